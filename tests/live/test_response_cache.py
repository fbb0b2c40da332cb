"""Answers that are given again, as clients and the ledger see it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest

from tests.live import answers, proxies
from tests.live.provider import Provider
from tests.live.proxies import ROOT, Proxy

BODY: dict[str, Any] = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "What is a cache?"}],
}
TOOL = {"name": "Bash", "input_schema": {"type": "object"}}


@pytest.fixture(scope="module")
def _cached(_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with proxies.running(
        tmp_path_factory.mktemp("cached") / "workspace", _provider.url, env={"HEADROOM_CACHE_ENABLED": "1"}
    ) as proxy:
        yield proxy


@pytest.fixture
def cached(_cached: Proxy, provider: Provider) -> Proxy:
    """A proxy whose response cache is on, and empty."""
    proxies.post(f"{_cached.url}/cache/clear")
    return _cached


def ask(proxy: Proxy, body: dict[str, Any] | bytes = BODY, path: str = "/v1/messages", **lines: str) -> httpx.Response:
    headers = {key.replace("_", "-"): value for key, value in lines.items()}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return proxies.post(f"{proxy.url}{path}", content=content, headers=headers)


def is_hit(answer: httpx.Response) -> bool:
    assert answer.status_code == 200
    return answer.headers.get("x-headroom-cached") == "true"


def test_the_same_request_is_answered_again_and_costs_nothing(cached: Proxy, provider: Provider) -> None:
    first = ask(cached)
    second = ask(cached, json.dumps(dict(reversed(BODY.items())), indent=3).encode())
    assert (is_hit(first), is_hit(second), second.content) == (False, True, first.content)
    assert second.headers["request-id"] == "req_scripted"
    assert len(provider.requests) == 1
    paid, free = cached.row_of(first), cached.row_of(second)
    assert (free["origin"], free["status"], free["http_status"], free["reason"]) == (
        "response_cache",
        "complete",
        200,
        "cached",
    )
    assert (free["cost_nano_usd"], free["input_fresh_tokens"], free["output_tokens"]) == (0, 0, 0)
    assert free["avoided_nano_usd"] == paid["cost_nano_usd"] > 0


def test_streams_are_given_again_as_streams_to_the_real_sdks(cached: Proxy, provider: Provider) -> None:
    with (
        anthropic.Anthropic(base_url=cached.url, api_key="sk-ant-x") as claude,
        openai.OpenAI(base_url=cached.v1, api_key="sk-x") as chat,
    ):
        texts = []
        for _ in range(2):
            with claude.messages.stream(
                model="claude-sonnet-5", max_tokens=10, messages=[{"role": "user", "content": "stream"}]
            ) as stream:
                texts.append(stream.get_final_text())
            assert stream.response.headers["content-type"].startswith("text/event-stream")
        for _ in range(2):
            said = chat.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": "stream"}], stream=True
            )
            texts.append("".join(part.choices[0].delta.content or "" for part in said if part.choices))
        for _ in range(2):
            with chat.responses.stream(model="gpt-4o", input="stream") as events:
                texts.append(events.get_final_response().output_text)
        vectors = [chat.embeddings.create(model="text-embedding-3-small", input="x").data[0].embedding for _ in "ab"]
    assert texts[0] == texts[1] and texts[2] == texts[3] and texts[4] == texts[5] and all(texts)
    assert vectors[0] == vectors[1]
    assert len(provider.requests) == 4
    paid = "model_asked IN ('claude-sonnet-5', 'gpt-4o', 'text-embedding-3-small')"
    rows = proxies.eventually(lambda: cached.rows(paid), lambda rows: len(rows) == 8)
    assert [row["origin"] for row in rows] == ["client", "response_cache"] * 4


@pytest.mark.parametrize(
    "body",
    [
        BODY | {"tools": [TOOL]},
        BODY | {"temperature": 0.7},
        BODY | {"mcp_servers": [{"url": "https://x"}]},
        BODY | {"container": "c_1"},
        {
            **BODY,
            "messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]}],
        },
    ],
    ids=["tools", "temperature", "mcp", "container", "results"],
)
def test_what_may_not_be_repeated_is_not(cached: Proxy, provider: Provider, body: dict[str, Any]) -> None:
    assert [is_hit(ask(cached, body)) for _ in range(2)] == [False, False]
    assert len(provider.requests) == 2


@pytest.mark.parametrize(
    "lines",
    [
        {"anthropic_beta": "context-1m-2025-08-07"},
        {"anthropic_version": "2024-01-01"},
        {"x_api_key": "sk-ant-of-another"},
        {"x_headroom_bypass": "true"},
        {"x_headroom_mode": "passthrough"},
    ],
)
def test_headers_that_change_the_answer_make_another_request(
    cached: Proxy, provider: Provider, lines: dict[str, str]
) -> None:
    ask(cached)
    assert not is_hit(ask(cached, **lines))
    assert not is_hit(ask(cached, path="/v1/messages?beta=true"))
    assert not is_hit(ask(cached, BODY | {"temperature": 0}))
    assert not is_hit(ask(cached, BODY | {"max_tokens": 100.0}))
    assert is_hit(ask(cached)) and is_hit(ask(cached, path="/p/another/v1/messages", x_headroom_session_id="s"))


@pytest.mark.parametrize(
    "answer",
    [
        answers.json_answer(answers.message(), status=500, lines=[("x-should-retry", "false")]),
        answers.json_answer({"type": "error", "error": {"type": "overloaded_error", "message": "x"}}),
        answers.chunked(answers.message_events()[:-1]),
        answers.chunked([*answers.message_events()[:-1], answers.event({"type": "error", "error": {}}, "error")]),
        answers.json_answer(answers.message("x" * (1024 * 1024 + 1))),
    ],
    ids=["500", "an error with 200", "cut short", "an error at the end", "too large"],
)
def test_answers_that_are_not_whole_are_not_kept(cached: Proxy, provider: Provider, answer: Any) -> None:
    provider.say(answer)
    ask(cached)
    assert not is_hit(ask(cached))
    assert len(provider.requests) == 2


def test_an_answer_that_came_compressed_is_given_to_whoever_asks(cached: Proxy, provider: Provider) -> None:
    import gzip

    body = json.dumps(answers.message()).encode()
    provider.say(answers.whole(gzip.compress(body), lines=[("Content-Encoding", "gzip"), ("Set-Cookie", "a=b")]))
    assert ask(cached, accept_encoding="gzip").content == body
    again = ask(cached, accept_encoding="identity")
    assert is_hit(again) and again.content == body
    assert not {"content-encoding", "set-cookie"} & set(again.headers)


def test_hits_are_for_their_owner_and_pass_keys_and_rates_first(
    start_proxy: Callable[..., Proxy], provider: Provider
) -> None:
    proxy = start_proxy(
        "--require-key", "--rpm", "3", "--budget", "0.001", HEADROOM_CACHE_ENABLED="1", HEADROOM_RATE_LIMIT_ENABLED="1"
    )

    def new_key(name: str) -> str:
        command = [sys.executable, "manage.py", "key", "create", name, "--json"]
        made = subprocess.run(command, cwd=ROOT, env=proxy.env, capture_output=True, text=True, timeout=120, check=True)
        return str(json.loads(made.stdout)["secret"])

    one, two = new_key("one"), new_key("two")
    small = BODY | {"max_tokens": 1}
    proxies.eventually(lambda: ask(proxy, small, x_headroom_key=two).status_code, lambda status: status == 200)
    assert [is_hit(ask(proxy, small, x_headroom_key=one)) for _ in range(3)] == [False, True, True]
    limited = ask(proxy, small, x_headroom_key=one)
    assert (limited.status_code, limited.headers["x-headroom-error"]) == (429, "rate_limited")
    assert ask(proxy, small).status_code == 401
    assert proxies.post(f"{proxy.url}/cache/clear").status_code == 401
    # The budget is spent; what is kept is still given.
    proxies.eventually(lambda: sum(row["cost_nano_usd"] for row in proxy.rows()), lambda cost: cost > 1_000_000 / 2)
    assert is_hit(ask(proxy, small, x_headroom_key=two))
    cleared = proxies.post(f"{proxy.url}/cache/clear", headers={"x-headroom-key": two})
    assert cleared.json() == {"status": "cleared", "entries": 1}


def test_without_a_cache_clearing_says_so(proxy: Proxy) -> None:
    assert proxies.post(f"{proxy.url}/cache/clear").json() == {"status": "cache disabled"}
    assert proxies.get(f"{proxy.url}/health").json()["config"]["cache"] is False
