from __future__ import annotations

import json
from typing import Any

from headroom import tokens
from proxy.accounting import sizing
from proxy.accounting.sizing import FRAME_TOKENS, MEDIA_TOKENS
from proxy.providers import bodies
from proxy.replay import agents
from proxy.replay.prompts import Prompts
from proxy.replay.values import Session, Turn

HISTORY: list[dict[str, Any]] = [
    {"role": "user", "content": "go"},
    {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "ls", "input": {"path": "src"}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "a.py"}]},
    {"role": "assistant", "content": [{"type": "text", "text": "done"}]},
]


def session(**more: Any) -> Session:
    return Session(
        "s", "anthropic", (Turn(HISTORY, 1), Turn(HISTORY, 3)), system=[{"type": "text", "text": "be brief"}], **more
    )


def body(turn: int, **more: Any) -> dict[str, Any]:
    one = session(**more)
    return dict(json.loads(agents.request(one, one.turns[turn], model="claude-x")))


def test_an_agent_marks_its_system_prompt_and_its_newest_block() -> None:
    for turn in (0, 1):
        marks = [block.mark for block in Prompts().blocks(body(turn), "anthropic")]
        assert [n for n, mark in enumerate(marks) if mark] == [0, len(marks) - 1]


def test_moving_the_mark_leaves_the_digests_of_the_prefix_alone() -> None:
    first, second = (Prompts().blocks(body(turn), "anthropic") for turn in (0, 1))
    assert [block.digest for block in first] == [block.digest for block in second[: len(first)]]


def test_marks_of_an_hour_are_told_apart() -> None:
    assert {block.mark for block in Prompts().blocks(body(0, ttl="1h"), "anthropic")} == {"1h"}


def test_a_recording_without_system_prompt_gets_a_stand_in_for_each_agent() -> None:
    one = Session("s", "anthropic", (Turn(HISTORY, 1), Turn(HISTORY, 1, thread="helper")), leaves_out_prefix=True)
    systems = [json.loads(agents.request(one, turn, model="m"))["system"][0]["text"] for turn in one.turns]
    assert systems[0] != systems[1]


def test_a_chat_request_carries_its_messages_and_a_cache_key() -> None:
    one = Session(
        "s", "openai", (Turn(HISTORY, 1),), system=[{"type": "text", "text": "be brief"}], tools=[{"type": "function"}]
    )
    sent = json.loads(agents.request(one, one.turns[0], model="gpt-x"))
    assert [message["content"] for message in sent["messages"]] == ["be brief", "go"]
    assert sent["prompt_cache_key"] == "s"
    assert sent["tools"] == [{"type": "function"}]
    assert len(Prompts().blocks(sent, "openai")) == 3


def test_lone_surrogates_and_huge_integers_are_written_as_json() -> None:
    value = {"text": "\ud83d", "n": 2**70}
    assert json.loads(bodies.dumped(value)) == value


def test_a_block_is_as_long_as_what_the_model_reads_of_it() -> None:
    result = {
        "type": "tool_result",
        "tool_use_id": "toolu_01",
        "content": [{"type": "text", "text": "a b c"}, {"type": "text", "text": "d"}],
    }
    thought = {"type": "thinking", "thinking": "hm", "signature": "Eq8B" * 500}
    picture = {"type": "image", "source": {"type": "base64", "data": "iVBOR" * 5000}}
    call = {"id": "c", "type": "function", "function": {"name": "ls", "arguments": '{"path": "src"}'}}
    assert sizing.size_of(result) == FRAME_TOKENS + tokens.count("a b c") + tokens.count("d")
    assert sizing.size_of(thought) == FRAME_TOKENS + tokens.count("hm")
    assert sizing.size_of(picture) == FRAME_TOKENS + MEDIA_TOKENS
    assert sizing.size_of({"role": "assistant", "content": None, "tool_calls": [call]}) == FRAME_TOKENS + tokens.count(
        bodies.dumped(call)
    )
