from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.replay import recordings
from proxy.replay.values import Session, Unreadable


def item(kind: str, at: str = "2026-03-01T12:00:00.000Z", **payload: Any) -> dict[str, Any]:
    return {"timestamp": at, "type": "response_item", "payload": {"type": kind, **payload}}


def said(role: str, text: str) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    return item("message", role=role, content=[{"type": kind, "text": text}])


CALL = item("function_call", name="shell", arguments='{"command":["ls"]}', call_id="c1")
OUTPUT = item("function_call_output", call_id="c1", output="a.py")
META = {"timestamp": "2026-03-01T12:00:00.000Z", "type": "session_meta", "payload": {"id": "s"}}
CONTEXT = {"timestamp": "2026-03-01T12:00:00.000Z", "type": "turn_context", "payload": {"model": "gpt-5-codex"}}


def read(tmp_path: Path, *records: Any) -> Session:
    path = tmp_path / "rollout.jsonl"
    path.write_text("\n".join(json.dumps(record) for record in records))
    return recordings.read(path)


def test_items_of_the_model_that_stand_together_are_one_answer(tmp_path: Path) -> None:
    reasoning = item("reasoning", encrypted_content="x")
    session = read(
        tmp_path,
        META,
        CONTEXT,
        said("user", "go"),
        reasoning,
        said("assistant", "I look"),
        CALL,
        OUTPUT,
        said("assistant", "done"),
    )
    assert (session.dialect, [turn.length for turn in session.turns]) == ("openai", [1, 3])
    first, second = session.turns
    assert first.model == "gpt-5-codex"
    assert first.answer["content"] == "I look"
    assert first.answer["tool_calls"][0]["function"] == {"name": "shell", "arguments": '{"command":["ls"]}'}
    assert second.history[2] == {"role": "tool", "tool_call_id": "c1", "content": "a.py"}


def test_a_compaction_begins_a_history_of_its_own(tmp_path: Path) -> None:
    compacted = {"timestamp": "2026-03-01T12:10:00Z", "type": "compacted", "payload": {"message": "so far: nothing"}}
    session = read(tmp_path, META, said("user", "go"), said("assistant", "a"), compacted, said("assistant", "b"))
    assert [turn.length for turn in session.turns] == [1, 1]
    assert session.turns[1].history[0]["content"] == "so far: nothing"


def counted(input_tokens: int, output_tokens: int) -> dict[str, Any]:
    usage = {"input_tokens": input_tokens, "cached_input_tokens": 0, "output_tokens": output_tokens}
    info = {"total_token_usage": usage, "last_token_usage": usage}
    return {"type": "event_msg", "payload": {"type": "token_count", "info": info}}


def test_the_providers_counts_belong_to_the_answer_before_them(tmp_path: Path) -> None:
    limits = {"type": "event_msg", "payload": {"type": "token_count", "info": None}}
    first, second = counted(12_000, 40), counted(12_100, 7)
    turns = (limits, said("user", "go"), CALL, OUTPUT, first, first, said("assistant", "done"), first, second)
    session = read(tmp_path, META, *turns)
    told = [(turn.recorded_input_tokens, turn.recorded_output_tokens) for turn in session.turns]
    assert told == [(12_000, 40), (12_100, 7)]
    assert session.leaves_out_prefix


def test_a_compaction_keeps_what_it_says_that_it_keeps(tmp_path: Path) -> None:
    kept = [said("user", "go")["payload"], CALL["payload"], OUTPUT["payload"], {"type": "compaction"}, None]
    compacted = {"type": "compacted", "payload": {"message": "", "replacement_history": kept}}
    session = read(tmp_path, META, said("user", "go"), said("assistant", "a"), compacted, said("assistant", "b"))
    assert [turn.length for turn in session.turns] == [1, 3]
    assert [message["role"] for message in session.turns[1].history] == ["user", "assistant", "tool", "assistant"]


def test_a_rollout_without_answers_is_skipped(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="no answer"):
        read(tmp_path, META, said("user", "go"))
