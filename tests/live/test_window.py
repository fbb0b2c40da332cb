"""A full context window: what goes, what stays, and that no byte moves between turns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live import answers, proxies, rules
from tests.live.provider import Provider
from tests.live.proxies import Proxy

TURNS = 12
WHY = " ".join(f"because of reason {n}," for n in range(60))
"""What the model wrote itself, some 300 tokens: nothing shortens that."""


def output(name: str, n: int) -> str:
    return "\n".join(
        f"{name} {n}.{line}: " + " ".join(f"w{(line * 7 + k * n) % 97}" for k in range(12)) for line in range(40)
    )


def said_too_long(path: str) -> Any:
    if path == "/v1/messages":
        return answers.anthropic_error("invalid_request_error", "prompt is too long: 20000 tokens > 9000 maximum")
    text = "This model's maximum context length is 9000 tokens. However, your messages resulted in 20000 tokens."
    return answers.openai_error(text, code="context_length_exceeded")


def anthropic(name: str, turns: int) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [{"role": "user", "content": f"Mend the {name} parser"}]
    for n in range(turns):
        thought = {"type": "thinking", "thinking": f"step {n}", "signature": f"signed:step {n}"}
        use = {"type": "tool_use", "id": f"call_{n}", "name": "Bash", "input": {"command": f"run {n}", "why": WHY}}
        result = {"type": "tool_result", "tool_use_id": f"call_{n}", "content": output(name, n)}
        added = [{"type": "text", "text": "and mind the tests"}] if n == 3 else []
        messages += [{"role": "assistant", "content": [thought, use]}, {"role": "user", "content": [result, *added]}]
    return {"model": "unheard-of", "max_tokens": 50, "messages": messages}


def chat(name: str, turns: int) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": f"Mend the {name} parser"},
    ]
    for n in range(turns):
        call = {
            "id": f"call_{n}",
            "type": "function",
            "function": {"name": "inventory", "arguments": f'{{"run": {n}}}'},
        }
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": f"call_{n}", "content": output(name, n)})
    return {"model": "unheard-of", "messages": messages}


def responses(name: str, turns: int) -> dict[str, Any]:
    items: list[dict[str, Any]] = [{"type": "message", "role": "user", "content": f"Mend the {name} parser"}]
    for n in range(turns):
        items.append({"type": "reasoning", "id": f"rs_{n}", "summary": [], "encrypted_content": f"sealed:rs_{n}"})
        items.append(
            {"type": "function_call", "call_id": f"call_{n}", "name": "inventory", "arguments": f'{{"run": {n}}}'}
        )
        items.append({"type": "function_call_output", "call_id": f"call_{n}", "output": output(name, n)})
    return {"model": "unheard-of", "store": False, "input": items}


DIALECTS = {
    "/v1/messages": (anthropic, "messages", answers.message()),
    "/v1/chat/completions": (chat, "messages", answers.completion()),
    "/v1/responses": (responses, "input", answers.response()),
}


@pytest.mark.parametrize("path", DIALECTS)
def test_what_the_provider_finds_too_long_is_made_shorter_and_stays_so(
    http: httpx.Client, proxy: Proxy, provider: Provider, path: str
) -> None:
    conversation, key, good = DIALECTS[path]
    asked = conversation("window", TURNS)
    provider.say(answers.json_answer(said_too_long(path), 400), answers.json_answer(good))
    answer = http.post(f"{proxy.url}{path}", json=asked)
    assert answer.status_code == 200
    refused, sent = provider.requests
    assert len(sent.body) < 0.7 * len(refused.body)
    rules.check(path, sent.json)
    assert sent.json[key][-4:] == refused.json[key][-4:], "the last two turns are as they were"
    assert "Mend the window parser" in json.dumps(sent.json[key][:2])
    assert "window:dropped" in answer.headers["x-headroom-transforms"]
    markers = [
        item for item in sent.json[key] if "headroom left out" in json.dumps(item) and item.get("role") == "user"
    ]
    named = Path(json.dumps(markers[0]).partition("full text: file ")[2].partition("]")[0])
    tool = "Bash" if path == "/v1/messages" else "inventory"
    assert f"[call of {tool}]" in named.read_text()
    if path == "/v1/messages":
        assert "and mind the tests" in sent.body.decode(), "what a person wrote stays"

    provider.script = lambda received: answers.json_answer(good)
    http.post(f"{proxy.url}{path}", json=conversation("window", TURNS + 1))
    assert provider.last.json[key][: len(sent.json[key])] == sent.json[key]
    start = sent.body.index(f'"{key}"'.encode())
    assert provider.last.body[start:].startswith(sent.body[start:].rstrip(b" ]}"))
    rules.check(path, provider.last.json)
    rows = proxy.rows_of(answer.headers["x-headroom-request-id"], count=2)
    assert [row["http_status"] for row in rows] == [400, 200]


def test_a_stream_of_responses_may_begin_before_it_is_too_long(
    http: httpx.Client, proxy: Proxy, listed: Provider
) -> None:
    provider = listed
    asked = responses("late", 8) | {"model": "gpt-4", "stream": True}  # 8,192 tokens, and we count about as many
    error = {"code": "context_length_exceeded", "message": "Your input exceeds the context window of this model."}
    failed = {**answers.response(status="failed"), "error": error, "output": [], "usage": None}
    begun = answers.response_events()[:1]
    end = answers.event({"type": "response.failed", "sequence_number": 1, "response": failed}, "response.failed")
    provider.say(answers.chunked([*begun, end]), answers.chunked(answers.response_events(("fi", "ne"))))
    answer = http.post(f"{proxy.v1}/responses", json=asked)
    assert answer.content == b"".join(answers.response_events(("fi", "ne")))
    rules.check_responses(provider.last.json)
    assert len(provider.last.body) < len(provider.requests[0].body)


def test_a_prompt_that_stays_too_long_brings_the_providers_answer(
    http: httpx.Client, proxy: Proxy, provider: Provider
) -> None:
    provider.script = lambda received: answers.json_answer(said_too_long("/v1/messages"), 400)
    answer = http.post(f"{proxy.v1}/messages", json=anthropic("stubborn", TURNS))
    assert answer.status_code == 400
    assert answer.json() == said_too_long("/v1/messages")
    assert len(provider.requests) <= 3
    short = anthropic("short", 1)
    answer = http.post(f"{proxy.v1}/messages", json=short)
    assert answer.json() == said_too_long("/v1/messages")
    assert provider.last.json == short


@pytest.fixture
def listed(http: httpx.Client, proxy: Proxy, provider: Provider) -> Provider:
    """The provider, once the proxy has the list of models and their limits."""
    asked = chat("list", 40) | {"model": "gpt-4"}  # 8,192 tokens
    provider.script = lambda received: answers.json_answer(answers.completion())

    def sent() -> int:
        http.post(f"{proxy.v1}/chat/completions", json=asked)
        return len(provider.last.json["messages"])

    proxies.eventually(sent, lambda messages: messages < len(asked["messages"]))
    rules.check_chat(provider.last.json)
    provider.reset()
    return provider


def test_a_known_limit_counts_from_a_tenth_above_it(http: httpx.Client, proxy: Proxy, listed: Provider) -> None:
    http.post(f"{proxy.v1}/chat/completions", json=chat("unlisted", 20))
    assert len(listed.last.json["messages"]) == 42
    http.post(f"{proxy.v1}/chat/completions", json=chat("below", 7) | {"model": "gpt-4"})
    assert len(listed.last.json["messages"]) == 16
    http.post(f"{proxy.v1}/chat/completions", json=chat("above", 40) | {"model": "gpt-4"})
    assert len(listed.last.json["messages"]) < 82
    assert len(listed.requests) == 3
