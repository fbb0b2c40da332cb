"""`POST /v1/compress` as its clients use it."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.live.proxies import Proxy


def log(name: str, lines: int = 100) -> str:
    return "\n".join(
        f"2024-01-02 03:04:{at % 60:02} INFO {name} served /{name}/{at * 7} in {at % 90} ms" for at in range(lines)
    )


def step(call_id: str, output: str) -> list[dict[str, Any]]:
    call = {"id": call_id, "type": "function", "function": {"name": "Bash", "arguments": '{"command": "cat app.log"}'}}
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call_id, "content": output, "x_extra": [1, {"b": 2}]},
    ]


TALK = [{"role": "user", "content": log("user")}, *step("a", log("first")), *step("b", log("second"))]
KEYS = {
    "messages",
    "tokens_before",
    "tokens_after",
    "tokens_saved",
    "compression_ratio",
    "transforms_applied",
    "transforms_summary",
    "ccr_hashes",
}


@pytest.fixture
def compress(proxy: Proxy, http: httpx.Client) -> Any:
    def ask(messages: Any = TALK, *, status: int = 200, headers: dict[str, str] | None = None, **body: Any) -> Any:
        answer = http.post(
            f"{proxy.url}/v1/compress", json={"model": "gpt-4o", "messages": messages, **body}, headers=headers
        )
        assert answer.status_code == status, answer.text
        return answer.json()

    return ask


def contents(answer: dict[str, Any]) -> list[str]:
    return [message["content"] for message in answer["messages"] if message["role"] == "tool"]


def test_the_answer_has_the_shape_that_sdks_read_and_the_originals_are_there(
    compress: Any, proxy: Proxy, http: httpx.Client
) -> None:
    answer = compress(token_budget=None, config={"protect_analysis_context": True, "unknown": 1})
    assert set(answer) == KEYS
    assert answer["tokens_saved"] == answer["tokens_before"] - answer["tokens_after"] > 0
    assert answer["compression_ratio"] == round(answer["tokens_after"] / answer["tokens_before"], 2)
    assert [{**m, "content": 0} for m in answer["messages"]] == [{**m, "content": 0} for m in TALK]
    assert answer["messages"][0] == TALK[0]
    assert len(answer["ccr_hashes"]) == 2
    kept = http.get(f"{proxy.url}/v1/retrieve/{answer['ccr_hashes'][1]}", params={"query": "second/70"}).json()
    assert kept["original_content"] == log("second") and kept["matches"][0]["line"] == 11


def test_every_key_of_the_config_does_what_it_says(compress: Any) -> None:
    assert "left out" in compress(config={"compress_user_messages": True})["messages"][0]["content"]
    system = [{"role": "system", "content": log("system")}, *TALK]
    assert compress(system)["messages"][0] == system[0]
    assert compress(system, config={"compress_system_messages": True})["messages"][0] != system[0]
    assert contents(compress(config={"frozen_message_count": 3}))[0] == log("first")
    assert contents(compress(config={"protect_recent": 1}))[1] == log("second")
    assert compress(config={"mode": "lossless"})["ccr_hashes"] == []
    assert compress(config={"mode": "deep"})["tokens_after"] < compress()["tokens_after"]
    assert compress(config={"target_ratio": 0.02})["tokens_after"] < compress()["tokens_after"]
    inline = compress(config={"mode": "lossy_inline"})
    assert inline["ccr_hashes"] == [] and all(
        text.endswith("the file or command itself is intact]") for text in contents(inline)
    )


def test_with_the_bypass_header_messages_come_back_as_they_were(compress: Any) -> None:
    answer = compress(headers={"x-headroom-bypass": "true"}, token_budget=3)
    assert answer["messages"] == TALK and answer["tokens_saved"] == 0
    assert (answer["compression_ratio"], answer["transforms_applied"], answer["ccr_hashes"]) == (1.0, [], [])


def test_a_budget_is_met_or_said_not_to_be(compress: Any) -> None:
    room = compress(config={"mode": "deep"})["tokens_after"] - 60
    less = compress(token_budget=room)
    assert less["tokens_after"] <= room
    assert {step for step in less["transforms_applied"] if step.startswith("budget:")} == {
        "budget:deep",
        "budget:dropped",
    }
    assert "for want of room" in contents(less)[0] and contents(less)[0].count(less["ccr_hashes"][0]) == 1
    assert compress(token_budget=1)["transforms_applied"][-1] == "budget:not_met"


def test_in_a_session_a_form_stays_what_it_was(compress: Any) -> None:
    session = {"session_id": "s-1"}
    tight = compress(token_budget=compress()["tokens_after"] - 100, config=session)
    grown = compress([*TALK, *step("c", log("third"))], config={**session, "target_ratio": 0.5})
    assert contents(grown)[:2] == contents(tight) and "left out" in contents(grown)[2]
    assert set(tight["ccr_hashes"]) < set(grown["ccr_hashes"])
    assert contents(compress(config={"session_id": "s-2"}))[0] != contents(tight)[0]
    mild = compress([*TALK, *step("c", log("third"))], config={**session, "mode": "lossless"})
    assert contents(mild) == contents(grown)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"messages": None}, "messages must be a list"),
        ({"messages": "hello"}, "messages must be a list, not a string"),
        ({"messages": [1]}, "each message must be an object"),
        ({"model": ""}, "Missing required field: model"),
        ({"model": 7}, "model must be a string"),
        ({"token_budget": -1}, "token_budget must not be negative"),
        ({"token_budget": "many"}, "token_budget must be a whole number"),
        ({"config": []}, "config must be an object"),
        ({"config": {"mode": "fast"}}, "config.mode must be one of ccr, "),
        ({"config": {"target_ratio": "abc"}}, "target_ratio must be a whole number or a number"),
        ({"config": {"target_ratio": 0}}, "config.target_ratio must be above 0"),
        ({"config": {"compress_user_messages": 1}}, "compress_user_messages must be true or false"),
        ({"config": {"frozen_message_count": True}}, "frozen_message_count must be a whole number"),
        ({"config": {"session_id": "x" * 257}}, "config.session_id must have at most 256 characters"),
    ],
)
def test_wrong_fields_are_named(compress: Any, body: dict[str, Any], words: str) -> None:
    error = compress(status=400, **{"messages": TALK, **body})["error"]
    assert error["type"] == "invalid_request" and words in error["message"]


def test_bodies_that_are_no_request_are_told_so(proxy: Proxy, http: httpx.Client) -> None:
    for body, words in (
        (b"{", "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b'{"model": "m"}', "messages or input"),
    ):
        answer = http.post(f"{proxy.url}/v1/compress", content=body)
        assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request")
        assert words in answer.json()["error"]["message"]


def test_responses_items_come_as_input(proxy: Proxy, http: httpx.Client) -> None:
    items = [
        {"type": "function_call", "call_id": "a", "name": "Bash", "arguments": '{"command": "cat app.log"}'},
        {"type": "function_call_output", "call_id": "a", "output": log("first")},
    ]
    answer = http.post(f"{proxy.url}/p/shop/v1/compress", json={"model": "gpt-5", "input": items}).json()
    assert answer["messages"][0] == items[0] and "left out" in answer["messages"][1]["output"]


def test_messages_nested_too_deeply_do_no_harm(proxy: Proxy, http: httpx.Client) -> None:
    text = json.dumps(log("deep"))
    for depth, status in ((100, 200), (500, 400), (5_000, 400)):
        nested = '[{"type": "text", "content": ' * depth + text + "}]" * depth
        body = '{"model": "m", "messages": [{"role": "tool", "content": ' + nested + "}]}"
        assert http.post(f"{proxy.url}/v1/compress", content=body).status_code == status
