"""What is read by what is remembered is what is read anew: the same call, the same bytes out, the same refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy import histories, splice
from proxy.histories import Histories
from proxy.providers import anthropic, openai_chat, openai_responses
from proxy.splice import Unspliceable
from proxy.values import Call, History, Plan, Provider
from proxy.window import records

Conversation = list[Any]
PROVIDERS: dict[str, Provider] = {"messages": anthropic, "chat": openai_chat, "responses": openai_responses}
MARK = {"type": "ephemeral"}
LEAD = "You are careful. " * 300
"""Makes every body long enough to be remembered."""

words = st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from('"\\\n/é\x7f')), max_size=8)
steps = st.lists(st.tuples(st.sampled_from("acu"), st.sampled_from("xyz"), words), min_size=1, max_size=4)


def entries(dialect: str, step: tuple[str, str, str]) -> Conversation:
    """A word of the model or the user, or a call with its result; ids come again, and results say the same again."""
    kind, call_id, text = step
    if kind != "c":
        part = {"type": "text", "text": text}
        return [{"role": "assistant" if kind == "a" else "user", "content": [part] if dialect == "messages" else text}]
    if dialect == "messages":
        use = {"type": "tool_use", "id": call_id, "name": "Read", "input": {"path": text, "n": 1.0}}
        result = {"type": "tool_result", "tool_use_id": call_id, "content": text}
        return [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    if dialect == "chat":
        call = {"id": call_id, "type": "function", "function": {"name": "Read", "arguments": text}}
        return [{"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": call_id, "content": text}]
    return [
        {"type": "function_call", "call_id": call_id, "name": "Read", "arguments": text},
        {"type": "function_call_output", "call_id": call_id, "output": [{"type": "input_text", "text": text}]},
    ]


def marked(messages: Conversation) -> Conversation:
    """The messages with a cache mark on the last block."""
    if not messages or not isinstance(messages[-1], dict) or not isinstance(messages[-1].get("content"), list):
        return messages
    *blocks, last = messages[-1]["content"]
    return [*messages[:-1], {**messages[-1], "content": [*blocks, {**last, "cache_control": MARK}]}]


@st.composite
def sessions(draw: st.DrawFn, dialect: str) -> list[bytes]:
    """The bodies of one client: mostly each begins with the one before it."""
    layout: dict[str, Any] = draw(
        st.sampled_from([{"separators": (",", ":")}, {}, {"indent": 1}, {"separators": (" , ", " : ")}])
    ) | {"ensure_ascii": draw(st.booleans())}
    is_last = draw(st.booleans())
    conversation: Conversation = []
    bodies = []
    for _ in range(draw(st.integers(2, 6))):
        move = draw(st.sampled_from(["on"] * 8 + ["fork", "change", "odd", "scalar"]))
        if move in ("fork", "change") and conversation:
            at = draw(st.integers(0, len(conversation) - 1))
            conversation = conversation[:at] + entries(dialect, ("u", "x", "?")) + conversation[at + 1 :]
            conversation = conversation[: at + 1] if move == "fork" else conversation
        if move == "odd":
            conversation = [*conversation, draw(st.sampled_from([{}, {"content": {"a": [1.50]}}, {"role": ["tool"]}]))]
        if move == "scalar":
            conversation = [*conversation, draw(st.sampled_from([1, 12, None, "x", [[]]]))]
        for step in draw(steps):
            conversation = [*conversation, *entries(dialect, step)]
        bodies.append(draw(spelled(dialect, conversation, layout, is_last=is_last)))
    return bodies


@st.composite
def spelled(
    draw: st.DrawFn, dialect: str, conversation: Conversation, layout: dict[str, Any], *, is_last: bool
) -> bytes:
    key = "input" if dialect == "responses" else "messages"
    head: dict[str, Any] = {"model": "m", "system": LEAD}
    behind = {"max_tokens": draw(st.sampled_from([9, 9, 9, 99])), "stream": True, "tools": [{"name": "Read", "n": 1e3}]}
    listed = {key: marked(conversation) if dialect == "messages" else conversation}
    body = json.dumps(head | behind | listed if is_last else head | listed | behind, **layout).encode()
    twist = draw(
        st.sampled_from([""] * 10 + ["twice", "escaped", "comma", "cut", "surrogate", "nan", "inside", "early"])
    )
    end = body.rindex(b"}")
    match twist:
        case "twice":
            return body[:end] + b',"%b":[{"role":"user","content":"other"}]}' % key.encode()
        case "escaped":
            return body[:end] + b',"\\u006d%b":[{"role":"user","content":"other"}]}' % key.encode()[1:]
        case "comma":
            return body.replace(b"]", b",]", 1)
        case "cut":
            return body[: draw(st.integers(0, len(body)))]
        case "surrogate":
            return body[:end] + b',"x":"\\ud800","big":123456789012345678901234567890}'
        case "nan":
            return body[:end] + b',"x":NaN}'
        case "inside":
            return body.replace(b'"role"', b'"content":"old","content":[],"role"')
        case "early":
            return body.replace(b'"tool_use_id"', b'"x":[{}]}],"y":1}],"z":[{"a":[{"tool_use_id"', 1)
    return body


def outcome(act: Callable[[], bytes]) -> bytes | str:
    try:
        return act()
    except Unspliceable:
        return "refused"


def plan(call: Call, share: int) -> Plan:
    """Replaces some texts, always the same by the same; with a mark of ours beside one of them."""
    chosen = [result for result in call.results if len(result.text) % 3 != share]
    mark = (chosen[-1].path, "5m") if chosen and share else None
    return Plan({result.path: f"<{result.text[:2]}" for result in chosen}, mark=mark)


@pytest.mark.parametrize("dialect", PROVIDERS)
@settings(max_examples=30, deadline=None)
@given(chance=st.data())
def test_remembered_or_not_it_is_the_same(dialect: str, chance: st.DataObject) -> None:
    provider, memory = PROVIDERS[dialect], Histories()
    for body in [*chance.draw(sessions(dialect)), *chance.draw(sessions(dialect))]:
        call, anew = provider.parse(body, partial(memory.read, "me")), provider.parse(body)
        assert repr(call) == repr(anew)  # which also tells 1 from 1.0, and in what order members come
        if call.document is None:
            continue
        assert provider.outline(call) == provider.outline(anew)
        assert provider.marks(call) == provider.marks(anew)
        assert records.root(call) == records.root(replace(anew, history=None))
        for share in (chance.draw(st.integers(0, 2)), 0):
            wanted = plan(call, share)
            sent = outcome(partial(provider.render, call, wanted))
            assert sent == outcome(partial(provider.render, anew, wanted))
            assert sent == outcome(partial(provider.render, replace(anew, history=None), wanted))


@pytest.mark.parametrize(
    "end",
    [
        b'],"x":[{"role":"user","content":"behind"}],"tools":[]}',
        b'],"":[0,{"role":"user","content":"behind"}],"tools":[]}',
        b'],"":[0],"messages":[{"role":"user","content":"instead"}],"tools":[]}',
        b'],"system":"again","tools":[]}',
        b',{"role":"user","content":"],\\"tools\\":[]}"}],"tools":[]}',
        b',{"x":"\\ud800"},{"x":123456789012345678901234567890}],"tools":[]}',
        b',],"tools":[]}',
        b',1],"tools":[]}',
        b'],"tools":[]}}',
    ],
)
def test_a_beginning_that_is_known_does_not_say_how_it_goes_on(end: bytes) -> None:
    memory, known = Histories(), body_of(talk(5))
    anthropic.parse(known, partial(memory.read, "me"))
    body = known.removesuffix(b'],"tools":[]}') + end
    assert repr(anthropic.parse(body, partial(memory.read, "me"))) == repr(anthropic.parse(body))


def test_what_only_the_lenient_parser_reads_is_not_remembered() -> None:
    odd = b'{"role":"user","content":[],"big":123456789012345678901234567890}'
    plain = body_of(talk(9)).replace(b'"messages":[', b'"messages":[%b,' % odd)
    memory, lenient = Histories(), plain.replace(b'"tools":[]', b'"x":"\\ud800"')
    assert json.loads(lenient)["x"] == "\ud800"
    for body in (lenient, plain, lenient):
        assert repr(anthropic.parse(body, partial(memory.read, "me"))) == repr(anthropic.parse(body))


def body_of(conversation: Conversation, **more: Any) -> bytes:
    return orjson.dumps({"model": "m", "system": LEAD, "messages": conversation, "tools": [], **more})


def talk(turns: int) -> Conversation:
    return [entry for n in range(turns) for entry in entries("messages", ("c", str(n), f"text {n}"))]


def shared(memory: Histories, one: bytes, other: bytes, owners: tuple[str, str] = ("me", "me")) -> int:
    """How many items of the first body were not read again for the second."""
    first, second = (memory.read(owner, body, "messages") for owner, body in zip(owners, (one, other), strict=True))
    assert isinstance(first, History) and isinstance(second, History)
    return sum(item in map(id, first.items) for item in map(id, second.items))


@pytest.mark.parametrize(
    ("one", "other", "count"),
    [
        (body_of(talk(5)), body_of(talk(6)), 10),
        (body_of(talk(5)), body_of(talk(5)), 10),
        (body_of(marked(talk(5))), body_of(marked(talk(6))), 9),
        (body_of(talk(5)), body_of(talk(6), max_tokens=1), 10),
        (body_of(talk(5)), body_of([*talk(4), *entries("messages", ("u", "", "?"))]), 8),
        (body_of(talk(5)), body_of(entries("messages", ("u", "", "?")) + talk(5)), 0),
        (body_of(talk(5)), body_of([*talk(5), 1]), 0),
    ],
)
def test_what_is_repeated_is_not_read_again(one: bytes, other: bytes, count: int) -> None:
    assert shared(Histories(), one, other) == count


def test_nothing_of_another_owner_is_used() -> None:
    assert shared(Histories(), body_of(talk(5)), body_of(talk(6)), ("one", "other")) == 0


def test_what_was_not_used_for_long_is_forgotten() -> None:
    first, second = body_of(talk(5)), body_of(talk(5), max_tokens=1)
    memory = Histories(max_held_bytes=histories.HELD_PER_BYTE * 2 * len(second))
    assert shared(memory, first, first) == 10
    for n in range(2):
        memory.read("me", body_of(entries("messages", ("u", "", str(n))) + talk(4)), "messages")
    assert shared(memory, first, first) == 10  # it was read anew, and is known again
    small = Histories(max_held_bytes=1)
    assert shared(small, first, first) == 0


def test_an_edit_that_stays_is_made_once() -> None:
    memory = Histories()
    call = anthropic.parse(body_of(talk(5)), partial(memory.read, "me"))
    wanted = Plan({result.path: "short" for result in call.results})
    before = anthropic.render(call, wanted)
    later = anthropic.parse(body_of(talk(6)), partial(memory.read, "me"))
    assert call.history is not None and later.history is not None
    made = [item.edited for item in later.history.items[:10]]
    after = anthropic.render(later, wanted)
    assert all(one is item.edited for one, item in zip(made, later.history.items, strict=False))
    assert after.startswith(before[: before.index(b',"tools"') - 1])
    assert [r.text for r in anthropic.parse(after).results] == ["short"] * 5 + ["text 5"]
    assert splice.loads(after)["system"] == LEAD
