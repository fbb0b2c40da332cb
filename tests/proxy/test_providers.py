from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy import mentions
from proxy.accounting import sizing
from proxy.providers import anthropic, bodies, openai_chat, openai_responses, passthrough
from proxy.values import Meter, Plan
from proxy.window import units
from savings.receipts import Usage
from tests.live import answers
from tests.proxy.requests import make_exchange

PROVIDERS = [anthropic, openai_chat, openai_responses]
scraps = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.sampled_from(
            ["tool_result", "tool_use", "text", "assistant", "tool", "function_call", "function_call_output", ""]
        ),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    "messages",
                    "input",
                    "role",
                    "content",
                    "type",
                    "text",
                    "tool_calls",
                    "function",
                    "output",
                    "id",
                    "tool_use_id",
                    "arguments",
                    "usage",
                    "choices",
                    "delta",
                    "message",
                    "response",
                ]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=20,
)


def read(meter: Meter, pieces: list[bytes]) -> Any:
    for piece in pieces:
        meter.feed(piece)
    return meter.reading()


@pytest.mark.parametrize("provider", PROVIDERS)
@given(document=scraps)
def test_no_json_makes_parsing_fail(provider: Any, document: Any) -> None:
    body = json.dumps(document).encode()
    call = provider.parse(body)
    assert call.body == body
    if call.document is not None:
        provider.outline(call)
        assert json.loads(provider.render(call, Plan())) == (
            document
            | (
                {"stream_options": {"include_usage": True}}
                if call.is_streaming and "stream_options" not in document and provider is openai_chat
                else {}
            )
        )


@pytest.mark.parametrize("provider", [*PROVIDERS, passthrough.anthropic, passthrough.openai])
@pytest.mark.parametrize("is_event_stream", [True, False])
@given(documents=st.lists(scraps, max_size=4))
def test_no_answer_makes_metering_fail(provider: Any, is_event_stream: bool, documents: list[Any]) -> None:
    pieces = (
        [b"data: " + json.dumps(one).encode() + b"\n\n" for one in documents]
        if is_event_stream
        else [json.dumps(one).encode() for one in documents]
    )
    try:
        read(provider.meter(is_event_stream), pieces)
    except (AttributeError, TypeError) as exc:
        pytest.fail(f"{exc!r} for {pieces}")


def test_an_item_of_an_odd_type_stops_nothing() -> None:
    """The provider judges it, and what else there is goes on as ever."""
    output = {"type": "function_call_output", "call_id": "a", "output": "x"}
    odd = [{"type": ["reasoning"]}, {"type": {}, "role": ["assistant"]}, {"role": "user", "content": "go"}]
    call = openai_responses.parse(json.dumps({"input": [*odd, output]}).encode())
    assert [result.text for result in call.results] == ["x"]
    assert units.find(call, {}) != []
    assert mentions.talk(call.document or {}) == []
    assert sizing.layout(call, "openai").units == 4


def test_results_of_messages_are_found_with_their_calls() -> None:
    document = {
        "messages": [
            {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "Read", "input": {"path": "x"}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "old"}]},
            {"role": "assistant", "content": "fine"},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "b", "content": [{"type": "text", "text": "new"}, {"type": "image"}]}, {"type": "text", "text": "go on"}]},
        ]
    }  # fmt: skip
    old, new = anthropic.parse(json.dumps(document).encode()).results
    assert (old.path, old.text, old.tool, json.loads(old.arguments), old.is_newest) == (
        ("messages", 1, "content", 0, "content"),
        "old",
        "Read",
        {"path": "x"},
        False,
    )
    assert (new.path, new.text, new.tool, new.is_newest) == (
        ("messages", 3, "content", 0, "content", 0, "text"),
        "new",
        "",
        True,
    )


def test_results_of_chats_are_found_with_their_calls() -> None:
    call = {"id": "a", "function": {"name": "shell", "arguments": '{"c":1}'}}
    document = {
        "messages": [
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "a", "content": "out"},
            {"role": "user", "content": "x"},
        ]
    }
    (result,) = openai_chat.parse(json.dumps(document).encode()).results
    assert (result.path, result.tool, result.arguments, result.is_newest) == (
        ("messages", 1, "content"),
        "shell",
        '{"c":1}',
        True,
    )


def test_results_of_responses_are_found_with_their_calls() -> None:
    items = [
        {"type": "function_call", "call_id": "a", "name": "shell", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "out"},
        {"type": "custom_tool_call", "call_id": "b", "name": "patch", "input": "diff"},
        {"type": "custom_tool_call_output", "call_id": "b", "output": [{"type": "input_text", "text": "done"}]},
    ]
    old, new = openai_responses.parse(json.dumps({"input": items}).encode()).results
    assert (old.path, old.tool, old.is_newest) == (("input", 1, "output"), "shell", False)
    assert (new.path, new.tool, new.arguments, new.is_newest) == (
        ("input", 3, "output", 0, "text"),
        "patch",
        "diff",
        True,
    )


def test_a_result_before_an_item_that_the_provider_keeps_is_history() -> None:
    items = [
        {"type": "item_reference", "id": "fc_1"},
        {"type": "function_call_output", "call_id": "a", "output": "old"},
        {"type": "item_reference", "id": "fc_2"},
        {"type": "function_call_output", "call_id": "b", "output": "new"},
    ]
    call = openai_responses.parse(json.dumps({"input": items}).encode())
    assert [(result.text, result.is_newest) for result in call.results] == [("old", False), ("new", True)]
    assert (call.turns, call.is_continued) == (2, False)


STREAMS: list[tuple[Any, list[bytes], Usage]] = [
    (
        anthropic,
        answers.message_events(["Grüße 🙂"]),
        Usage(input_fresh=100, cache_read=0, cache_write_5m=0, output=20),
    ),
    (openai_chat, answers.chat_events(["Grüße 🙂"]), Usage(input_fresh=100, output=20)),
    (
        openai_responses,
        answers.response_events(["Grüße 🙂"]),
        Usage(input_fresh=100, cache_read=0, output=20, reasoning=0),
    ),
]


@pytest.mark.parametrize(("provider", "events", "usage"), STREAMS)
@given(size=st.integers(1, 60))
def test_a_stream_reads_the_same_whatever_the_cuts(provider: Any, events: list[bytes], usage: Usage, size: int) -> None:
    reading = read(provider.meter(True), answers.recut(events, size))
    assert (reading.usage, reading.is_complete) == (usage, True)


@pytest.mark.parametrize(("provider", "events", "usage"), STREAMS)
def test_a_stream_that_was_cut_off_gives_its_text_and_is_not_complete(
    provider: Any, events: list[bytes], usage: Usage
) -> None:
    reading = read(provider.meter(True), events[:-2])
    assert (reading.is_complete, reading.text) in ((False, "Grüße 🙂"), (False, ""))
    assert reading.usage.output is None or provider is openai_chat


def test_the_output_count_at_the_start_of_a_message_is_no_count() -> None:
    reading = read(anthropic.meter(True), answers.message_events()[:4])
    assert (reading.usage.input_fresh, reading.usage.output) == (100, None)


def test_later_figures_of_a_message_replace_earlier_ones() -> None:
    events = [
        *answers.message_events()[:4],
        answers.event(
            {"type": "message_delta", "usage": {"input_tokens": 7, "output_tokens": 3, "cache_read_input_tokens": None}}
        ),
    ]
    assert read(anthropic.meter(True), events).usage == Usage(input_fresh=7, cache_read=0, cache_write_5m=0, output=3)


def test_usage_at_the_end_of_a_long_answer_is_found_without_keeping_it() -> None:
    meter = openai_chat.meter(False)
    meter.feed(b'{"data":[')
    for _ in range(200):
        meter.feed(b'{"embedding":[' + b"0.25," * 10_000 + b"0]},")
    meter.feed(b'{}],"model":"e","usage":{"prompt_tokens":9,"total_tokens":9}}')
    assert isinstance(meter, bodies.JsonMeter)
    assert meter._kept_bytes < bodies.MAX_KEPT_BYTES
    reading = meter.reading()
    assert (reading.usage.input_fresh, reading.usage.output) == (9, 0)


@pytest.mark.parametrize(
    ("body", "is_complete"),
    [(b"", True), (b"\x00binary", True), (b'{"cut', False), (b'{"id":1}', True), (b"<html>", True)],
)
def test_only_json_that_is_cut_off_is_incomplete(body: bytes, is_complete: bool) -> None:
    assert read(passthrough.openai.meter(False), [body]).is_complete is is_complete


@pytest.mark.parametrize(
    ("lines", "chosen"),
    [
        ({"x_api_key": "k"}, "anthropic"),
        ({"anthropic_beta": "b"}, "anthropic"),
        ({"authorization": "Bearer sk-ant-x"}, "anthropic"),
        ({"user_agent": "claude-cli/2"}, "anthropic"),
        ({"authorization": "Bearer sk-x"}, "openai"),
        ({}, "openai"),
    ],
)
def test_credentials_choose_the_provider(lines: dict[str, str], chosen: str) -> None:
    assert chosen == passthrough.choose(make_exchange(**lines)).DIALECT


DEPTH = 5000


def nested(core: Any) -> Any:
    for _ in range(DEPTH):
        core = {"content": [core]}
    return core


def test_nesting_has_no_limit() -> None:
    deep = nested({"ü": [1, None], "text": "\ud800"})
    assert bodies.dumped(deep) == '{"content":[' * DEPTH + '{"\\u00fc":[1,null],"text":"\\ud800"}' + "]}" * DEPTH
    assert bodies.size(deep) == bodies.size({"content": [[]]}) * DEPTH + bodies.size({"ü": [1, None], "text": "\ud800"})
    block = nested({"text": "told", "content": [{"type": "image"}, "once"]})
    assert list(sizing.texts(block)) == ["told", "once"]
    assert list(sizing.media(block)) == [{"type": "image"}]
