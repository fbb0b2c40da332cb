from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from proxy.replay import claude_code
from proxy.replay.values import Session, Unreadable

USAGE = {"input_tokens": 3, "cache_creation_input_tokens": 100, "cache_read_input_tokens": 17000, "output_tokens": 1}
_numbers = count()


def prompt(text: str, **more: Any) -> dict[str, Any]:
    return record("user", {"role": "user", "content": text}, **more)


def result(call: str, text: str, **more: Any) -> dict[str, Any]:
    return record(
        "user", {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call, "content": text}]}, **more
    )


def said(key: str, *blocks: dict[str, Any], output_tokens: int = 1, **more: Any) -> dict[str, Any]:
    usage = USAGE | {"output_tokens": output_tokens}
    return record(
        "assistant",
        {"id": key, "model": "claude-x", "role": "assistant", "content": list(blocks), "usage": usage},
        **more,
    )


def record(kind: str, message: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "uuid": f"u{next(_numbers)}",
        "sessionId": "s",
        "timestamp": "2026-03-01T10:00:00.000Z",
        "message": message,
    } | more


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def call(key: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": key, "name": "Bash", "input": {"command": "ls"}}


def read(*records: dict[str, Any], **more: Any) -> Session:
    return claude_code.read(records, name="s.jsonl", **more)


def shape(session: Session) -> list[list[str]]:
    """For each turn, what was sent: one word for each block."""
    return [
        [_word(block) for message in turn.history[: turn.length] for block in _blocks(message["content"])]
        for turn in session.turns
    ]


def _blocks(content: Any) -> list[Any]:
    return [text(content)] if isinstance(content, str) else content


def _word(block: dict[str, Any]) -> str:
    return str(block.get("text") or block.get("id") or block.get("content"))


def test_an_answer_in_several_records_is_one_turn_with_the_largest_output() -> None:
    session = read(
        prompt("go"),
        said("m1", text("I look")),
        said("m1", call("c1"), output_tokens=70),
        result("c1", "files"),
        said("m2", text("done")),
    )
    assert shape(session) == [["go"], ["go", "I look", "c1", "files"]]
    assert [turn.recorded_output_tokens for turn in session.turns] == [70, 1]


def test_results_of_tools_that_ran_side_by_side_are_all_sent() -> None:
    first, second = said("m1", call("c1")), said("m1", call("c2"))
    session = read(
        prompt("go"),
        first,
        result("c1", "one", parentUuid=first["uuid"]),
        second,
        result("c2", "two", parentUuid=second["uuid"]),
        said("m2", text("done")),
    )
    assert shape(session)[1] == ["go", "c1", "c2", "one", "two"]
    assert [message["role"] for message in session.turns[1].history] == ["user", "assistant", "user", "assistant"]


def test_what_the_provider_counted_and_when_is_kept() -> None:
    turn = read(prompt("go"), said("m1", text("hi"))).turns[0]
    assert turn.recorded_input_tokens == 17103
    assert turn.at_s == 1772359200.0
    assert turn.model == "claude-x"


def test_a_compaction_starts_the_history_anew() -> None:
    session = read(
        prompt("go"),
        said("m1", text("a")),
        {"type": "system", "subtype": "compact_boundary", "uuid": "b", "sessionId": "s"},
        prompt("summary", isCompactSummary=True),
        said("m2", text("b")),
    )
    assert shape(session) == [["go"], ["summary"]]


def test_a_rewind_forgets_what_came_after_the_record_it_goes_back_to() -> None:
    answer = said("m1", text("a"))
    session = read(
        prompt("go"),
        answer,
        prompt("wrong way", parentUuid=answer["uuid"]),
        said("m2", text("b")),
        prompt("right way", parentUuid=answer["uuid"]),
        said("m3", text("c")),
    )
    assert shape(session) == [["go"], ["go", "a", "wrong way"], ["go", "a", "right way"]]


def test_sub_agents_have_histories_of_their_own() -> None:
    start = prompt("look around", isSidechain=True)
    session = read(
        prompt("go"),
        said("m1", call("task")),
        start,
        said("s1", text("seen"), isSidechain=True, parentUuid=start["uuid"]),
        result("task", "report"),
        said("m2", text("done")),
    )
    assert shape(session) == [["go"], ["look around"], ["go", "task", "report"]]
    assert len({turn.thread for turn in session.turns}) == 2


def test_errors_that_claude_code_wrote_itself_are_no_turns() -> None:
    failed = said("e1", text("API Error"), isApiErrorMessage=True)
    synthetic = said("e2", text("No response requested."))
    synthetic["message"]["model"] = "<synthetic>"
    assert shape(read(prompt("go"), failed, synthetic, said("m1", text("a")))) == [["go"]]


def test_answers_that_a_resumed_session_repeats_are_priced_once() -> None:
    seen: set[str] = set()
    first = [prompt("go"), said("m1", text("a")), said("m1", text("b"))]
    read(*first, seen=seen)
    resumed = read(*first, prompt("on"), said("m2", text("c")), seen=seen)
    assert shape(resumed) == [["go", "a", "b", "on"]]
    with pytest.raises(Unreadable, match="no new answer"):
        read(*first, seen=seen)


def test_writes_for_an_hour_are_recognised() -> None:
    answer = said("m1", text("a"))
    answer["message"]["usage"] = USAGE | {
        "cache_creation": {"ephemeral_1h_input_tokens": 100, "ephemeral_5m_input_tokens": 0}
    }
    assert read(prompt("go"), answer).ttl == "1h"
    assert read(prompt("go"), said("m9", text("a"))).ttl == "5m"


@pytest.mark.parametrize(
    "odd",
    [
        {"type": "user", "uuid": "x"},
        {"type": "user", "uuid": 7, "message": {"role": "user", "content": None}},
        {"type": "assistant", "uuid": "x", "message": {"content": "plain", "usage": "none", "id": 3}},
        {"type": "assistant", "uuid": "x", "timestamp": "yesterday", "message": {"content": [7, None]}},
        {"type": "file-history-snapshot", "uuid": [], "parentUuid": {}},
    ],
)
def test_odd_records_are_survived(odd: dict[str, Any]) -> None:
    assert shape(read(prompt("go"), said("m1", text("a")), odd, prompt("on"), said("m2", text("b"))))[0] == ["go"]


def test_a_log_without_answers_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="no answer"):
        read(prompt("go"), {"type": "summary", "summary": "x", "leafUuid": "y"})
