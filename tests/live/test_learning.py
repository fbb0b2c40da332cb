"""What is wanted back too often is shortened less: in new conversations, on every worker, after every restart."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import httpx

from proxy.learning import cycle, versions
from tests.live import proxies
from tests.live.provider import Provider
from tests.live.proxies import Proxy
from tests.savings.databases import connected

USED = 24
TOOL = "service_log"
"""No command: what those print is old news, and shortened further, after one turn."""


def log(name: str) -> str:
    return "\n".join(f"12:00:{n % 60:02} INFO {name} run {n} took {n % 7} ms, nothing else to say" for n in range(200))


def turn(name: str, *results: str) -> list[dict[str, Any]]:
    """The model's calls and what came of them."""
    calls = [{"type": "tool_use", "id": f"{name}_{n}", "name": TOOL, "input": {}} for n in range(len(results))]
    return [
        {"role": "assistant", "content": calls},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": call["id"], "content": text}
                for call, text in zip(calls, results, strict=True)
            ],
        },
    ]


def sent(http: httpx.Client, proxy: Proxy, provider: Provider, messages: list[dict[str, Any]]) -> list[list[str]]:
    """The tool results of each turn as the provider got them."""
    body = {"model": "m", "max_tokens": 9, "messages": messages}
    assert http.post(f"{proxy.v1}/messages", json=body).status_code == 200
    got = provider.last.json["messages"]
    return [[block["content"] for block in message["content"]] for message in got if message["role"] == "user"]


def test_a_tool_whose_results_are_wanted_back_is_shortened_less_in_new_conversations(
    http: httpx.Client, start_proxy: Any, provider: Provider, django_db_blocker: Any
) -> None:
    proxy: Proxy = start_proxy()
    old = turn("old", *(log(f"old {n}") for n in range(USED)))
    (first,) = sent(http, proxy, provider, old)
    hashes = [re.findall(r"\b[0-9a-f]{24}\b", text.splitlines()[-1])[-1] for text in first]
    for hash in hashes[: USED // 2]:
        asked = {"hash": hash, "query": "run 99 took"}
        assert http.post(f"{proxy.v1}/retrieve", json=asked).status_code == 200

    with django_db_blocker.unblock(), connected(f"sqlite:///{proxy.workspace / 'headroom.sqlite3'}"):
        proposed = cycle.run(datetime.now(UTC))
        assert proposed is not None
        ((tool, form, level),) = versions.rules_of(proposed)
        (evidence,) = proposed.evidence
        assert (tool, level, evidence["count"], evidence["total"]) == (TOOL, "balanced", USED // 2, USED)
        assert "run 99" not in json.dumps(proposed.evidence), "no word of a question is kept"
        (unchanged,) = sent(http, proxy, provider, turn("early", log("early")))
        assert "left out" in unchanged[0]
        versions.adopt(proposed.pk, by="olga")

    def newer(name: str) -> str:
        return sent(http, proxy, provider, turn(name, log(name)))[0][0]

    tries = iter(range(1000))
    longer = proxies.eventually(lambda: newer(f"new {next(tries)}"), lambda text: "left out" not in text)
    assert "run 99 took" in longer, "nothing is left out of it"
    begun = turn("begun", log("begun"))
    (before,) = sent(http, proxy, provider, begun)

    def continue_all(name: str) -> None:
        again = sent(http, proxy, provider, old + turn(f"old {name}", log(f"old {name}")))
        assert again[0] == first and "left out" in again[1][0], "the old conversation goes on as it began"
        again = sent(http, proxy, provider, begun + turn(f"begun {name}", log(f"begun {name}")))
        assert again[0] == before and "left out" not in again[1][0]

    continue_all("now")
    proxy.stop()
    proxy.start()
    continue_all("restarted")
    assert "left out" not in newer("after")

    with django_db_blocker.unblock(), connected(f"sqlite:///{proxy.workspace / 'headroom.sqlite3'}"):
        versions.adopt(1, by="olga")
    proxies.eventually(lambda: newer(f"back {next(tries)}"), lambda text: "left out" in text)
    continue_all("gone back")
