"""What was left out can be had back: by file on this machine, and by route for whoever owns it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live import proxies
from tests.live.provider import Provider
from tests.live.proxies import Proxy


def log(name: str) -> str:
    return "\n".join(f"12:00:{n % 60:02} INFO {name} run {n} took {n % 7} ms, nothing else to say" for n in range(800))


def exchange(call_id: str, tool: str, arguments: dict[str, Any], result: str) -> list[dict[str, Any]]:
    return [
        {"role": "assistant", "content": [{"type": "tool_use", "id": call_id, "name": tool, "input": arguments}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call_id, "content": result}]},
    ]


def sent_result(http: httpx.Client, proxy: Proxy, provider: Provider, messages: list[dict[str, Any]]) -> str:
    answer = http.post(f"{proxy.v1}/messages", json={"model": "m", "max_tokens": 9, "messages": messages})
    assert answer.status_code == 200
    text: str = provider.last.json["messages"][-1]["content"][0]["content"]
    return text


def test_the_agent_reads_the_original_with_its_own_tools(http: httpx.Client, proxy: Proxy, provider: Provider) -> None:
    text = log("files")
    first = exchange("call_1", "Bash", {"command": "make"}, text)
    marker = sent_result(http, proxy, provider, first).splitlines()[-1]
    named = Path(marker.rpartition("file ")[2].rstrip("]"))
    assert named.is_relative_to(proxy.workspace)
    assert named.read_text() == text

    back = exchange("call_2", "Read", {"file_path": str(named)}, text)
    assert sent_result(http, proxy, provider, first + back) == text, "what was wanted in full is not shortened again"
    found = http.get(f"{proxy.v1}/retrieve/{named.stem}").json()
    assert found["retrieval_count"] == 2, "the read and this"


def test_parts_of_an_original_and_when_it_expired(http: httpx.Client, proxy: Proxy, provider: Provider) -> None:
    text = log("routes")
    shown = http.post(
        f"{proxy.v1}/compress",
        json={"model": "m", "messages": [{"role": "tool", "tool_call_id": "c", "content": text}]},
    ).json()
    (hash,) = shown["ccr_hashes"]
    assert f"{proxy.v1}/retrieve/{hash}" in shown["messages"][0]["content"]
    asked = {"hash": hash, "query": "run 417"}
    found = http.post(f"{proxy.v1}/retrieve", json=asked).json()
    assert found["original_content"] == text
    assert found["matches"][0] == {"line": 418, "text": text.splitlines()[417]}
    assert http.get(f"{proxy.v1}/retrieve/{hash}", params={"query": "run 417"}).json()["matches"] == found["matches"]
    call = {"id": "t", "name": "headroom_retrieve", "input": {"hash": hash, "start_line": "3", "end_line": 4}}
    told = http.post(f"{proxy.v1}/retrieve/tool_call", json={"tool_call": call}).json()
    assert told["tool_result"]["content"] == "\n".join(text.splitlines()[2:4])
    counted = http.get(f"{proxy.v1}/retrieve/stats").json()["recent_retrievals"]
    assert {"hash": hash, "tool_name": "", "retrieval_count": 3} in counted

    expired_at = datetime.now(UTC).replace(tzinfo=None) - timedelta(minutes=5)
    with proxies.connect_writing(proxy.workspace / "headroom.sqlite3") as database:
        database.execute("UPDATE proxy_original SET expires_at = ? WHERE hash = ?", (str(expired_at), hash))
    gone = http.get(f"{proxy.v1}/retrieve/{hash}")
    assert gone.status_code == 404
    assert f"expired on {expired_at:%Y-%m-%d at %H:%M} UTC" in gone.json()["detail"]
    never = http.post(f"{proxy.v1}/retrieve", json={"hash": "0" * 24})
    assert never.status_code == 404
    assert "run the tool again" in never.json()["detail"]


@pytest.mark.parametrize("hash", [r"\u0000", r"\ud800", "../../secret.key", "a" * 100_000])
def test_what_can_be_no_name_is_not_found(http: httpx.Client, proxy: Proxy, hash: str) -> None:
    answer = http.post(f"{proxy.v1}/retrieve", content=f'{{"hash": "{hash}"}}')
    assert answer.status_code == 404
    assert "run the tool again" in answer.json()["detail"]


@pytest.mark.parametrize("asked", [{}, {"hash": 5}, {"hash": "a" * 24, "start_line": "one"}, []])
def test_what_cannot_be_understood_is_named(http: httpx.Client, proxy: Proxy, asked: Any) -> None:
    answer = http.post(f"{proxy.v1}/retrieve", content=json.dumps(asked))
    assert answer.status_code == 400
    assert answer.json()["detail"]
