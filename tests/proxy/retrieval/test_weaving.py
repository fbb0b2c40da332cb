from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.retrieval.rounds import STREAMED, WHOLE, Guard
from proxy.retrieval.weaving.base import Said, Weaver, summed
from tests.examples import examples
from tests.live import models
from tests.live.models import Part

ROUTES = list(STREAMED)
PLAIN: list[Part] = [("think", "hm"), ("say", "Grüß dich"), ("call", "c1", "Bash", {"x": 1})]
OWN: Part = ("call", "own1", "headroom_retrieve", {"hash": "a" * 24})


def fed(weaver: Weaver, body: bytes, size: int) -> bytes:
    pieces = [weaver.feed(body[start : start + size]) for start in range(0, len(body), size)]
    return b"".join(pieces) + weaver.flush()


@pytest.mark.parametrize("route", ROUTES)
@examples(10)
@given(size=st.integers(1, 400))
def test_an_answer_without_calls_of_ours_keeps_its_bytes(route: str, size: int) -> None:
    body = b": a comment\n\n" + b"".join(models.spelled(route, PLAIN, 1)) + b"event: odd\r\ndata: {]\r\n\r\ndata: cut"
    weaver = STREAMED[route]()
    assert fed(weaver, body, size) == body
    assert not weaver.is_held


@pytest.mark.parametrize("route", ROUTES)
@examples(15)
@given(size=st.integers(1, 400), place=st.integers(0, 3))
def test_where_a_stream_is_cut_does_not_matter(route: str, size: int, place: int) -> None:
    parts = [*PLAIN[:place], OWN, *PLAIN[place:]]
    woven, cut = STREAMED[route](), STREAMED[route]()
    whole = fed(woven, b"".join(models.spelled(route, parts, 1)), 10**6)
    assert fed(cut, b"".join(models.spelled(route, parts, 1)), size) == whole
    assert b"own1" not in whole + woven.ending()
    assert [call.call_id for call in woven.calls] == ["own1"]
    assert woven.has_client_calls == (len(PLAIN) == 3)


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + orjson.dumps({"id": "x", "choices": [choice], **more}) + b"\n\n"


@pytest.mark.parametrize("index", [{}, {"index": 0}], ids=["no index", "always the same"])
@pytest.mark.parametrize("is_first", [True, False], ids=["ours first", "ours last"])
def test_calls_are_told_apart_by_their_ids_where_their_index_says_nothing(
    index: dict[str, int], is_first: bool
) -> None:
    own = {**index, "id": "own1", "type": "function", "function": {"name": "headroom_retrieve", "arguments": "{}"}}
    theirs = {**index, "id": "c1", "type": "function", "function": {"name": "Bash", "arguments": '{"command":'}}
    rest = {**index, "id": "made-up", "function": {"arguments": '"ls"}'}}
    parts = [own, theirs, rest] if is_first else [theirs, rest, own]
    woven = STREAMED["/v1/chat/completions"]()
    shown = fed(woven, b"".join(chunk({"tool_calls": [part]}) for part in parts) + chunk({}, "tool_calls"), 10**6)
    assert b"own1" not in shown
    assert [call.arguments for call in woven.calls] == ["{}"]
    _, (answer,) = woven.turn([Said("x")])
    assert [call["function"] for call in answer["tool_calls"]] == [{"name": "Bash", "arguments": '{"command":"ls"}'}]


def test_usage_beside_the_end_of_an_answer_is_that_of_all_rounds() -> None:
    own = {"index": 0, "id": "own1", "type": "function", "function": {"name": "headroom_retrieve", "arguments": "{}"}}
    woven = STREAMED["/v1/chat/completions"]()
    usage = {"prompt_tokens": 100, "completion_tokens": 20}
    fed(woven, chunk({"tool_calls": [own]}) + chunk({}, "tool_calls", usage=usage), 10**6)
    woven.next_round([Said("x")])
    fed(woven, chunk({"content": "so"}) + chunk({}, "stop", usage=usage), 10**6)
    end = orjson.loads(woven.ending().split(b"\n\n")[0].removeprefix(b"data: "))
    assert end["usage"] == {"prompt_tokens": 200, "completion_tokens": 40}


ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 99)
    | st.text(max_size=9)
    | st.sampled_from(["tool_use", "headroom_retrieve"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                sorted(
                    (
                        "type",
                        "index",
                        "delta",
                        "content_block",
                        "message",
                        "usage",
                        "choices",
                        "tool_calls",
                        "function",
                        "name",
                        "id",
                        "finish_reason",
                        "response",
                        "output",
                        "item",
                        "output_index",
                        "stop_reason",
                        "content",
                        "status",
                    )
                )
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=25,
)
KINDS = [
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
    "ping",
    "response.created",
    "response.output_item.added",
    "response.output_item.done",
    "response.completed",
    "error",
]


@pytest.mark.parametrize("route", ROUTES)
@examples(20)
@given(events=st.lists(st.tuples(st.sampled_from(KINDS), ODD), max_size=8))
def test_nothing_that_a_provider_says_breaks_the_answer(route: str, events: list[tuple[str, Any]]) -> None:
    for make in (STREAMED[route], WHOLE[route]):
        weaver = make()
        guard = Guard(weaver)
        for kind, value in events:
            document = {**(value if isinstance(value, dict) else {"value": value}), "type": kind}
            guard.feed(b"data: " + orjson.dumps(document) + b"\n\n")
        guard.flush()
        assert not guard.is_broken
        if weaver.is_held:
            said = [Said("x") for _ in weaver.calls]
            weaver.turn(said)
            weaver.ending()


def test_usage_is_summed_at_every_depth() -> None:
    first = {"input_tokens": 3, "details": {"cached": 1}, "tier": "standard", "none": None}
    assert summed([first, {"input_tokens": 4, "details": {"cached": 2, "new": 5}, "none": 7}]) == {
        "input_tokens": 7,
        "details": {"cached": 3, "new": 5},
        "tier": "standard",
        "none": 7,
    }
