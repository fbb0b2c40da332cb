from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from proxy.replay import recordings
from proxy.replay.values import Unreadable

CHAT = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": "go"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "ls", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "c", "content": "a.py"},
    {"role": "assistant", "content": "done"},
]
BLOCKS = [
    {"role": "user", "content": [{"type": "text", "text": "go", "cache_control": {"type": "ephemeral"}}]},
    {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "ls", "input": {}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "a.py"}]},
    {"role": "assistant", "content": "done"},
]
RECORDS = [
    {"type": "user", "uuid": "1", "sessionId": "s", "message": {"role": "user", "content": "go"}},
    {
        "type": "assistant",
        "uuid": "2",
        "sessionId": "s",
        "message": {"id": "m", "role": "assistant", "content": [{"type": "text", "text": "hi"}]},
    },
]


def write(path: Path, value: Any) -> Path:
    content = json.dumps(value).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def lines(path: Path, *records: Any) -> Path:
    path.write_text("\n".join(record if isinstance(record, str) else json.dumps(record) for record in records))
    return path


@pytest.mark.parametrize("name", ["list.json", "list.json.gz"])
def test_a_plain_list_of_chat_messages_is_a_session(tmp_path: Path, name: str) -> None:
    session = recordings.read(write(tmp_path / name, CHAT))
    assert session.dialect == "openai"
    assert [turn.length for turn in session.turns] == [2, 4]


def test_an_object_may_bring_system_tools_and_model(tmp_path: Path) -> None:
    body = {"messages": BLOCKS, "system": "be brief", "tools": [{"name": "ls"}], "model": "claude-x"}
    session = recordings.read(write(tmp_path / "a.json", body))
    assert session.dialect == "anthropic"
    assert session.system == [{"type": "text", "text": "be brief"}]
    assert session.tools == [{"name": "ls"}]
    assert session.turns[1].model == "claude-x"


def test_cache_marks_of_a_recording_are_dropped(tmp_path: Path) -> None:
    session = recordings.read(write(tmp_path / "a.json", BLOCKS))
    assert "cache_control" not in json.dumps(list(session.turns[0].history))


@pytest.mark.parametrize(
    ("messages", "declared", "dialect"),
    [
        (CHAT, None, "openai"),
        (BLOCKS, None, "anthropic"),
        (BLOCKS, "anthropic", "anthropic"),
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], None, "openai"),
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "anthropic", "anthropic"),
    ],
)
def test_the_dialect_is_declared_or_seen(
    tmp_path: Path, messages: list[Any], declared: str | None, dialect: str
) -> None:
    assert recordings.read(write(tmp_path / "a.json", {"messages": messages, "format": declared})).dialect == dialect


def test_a_log_of_claude_code_is_recognised_and_bad_lines_are_counted(tmp_path: Path) -> None:
    session = recordings.read(
        lines(tmp_path / "s.jsonl", {"type": "summary", "leafUuid": "x"}, *RECORDS, "", '{"type": "assist')
    )
    assert len(session.turns) == 1
    assert session.bad_lines == 1
    assert session.leaves_out_prefix


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"hello", "neither JSON"),
        (b"\x1f\x8bbroken", "gzip"),
        (b"[]", "messages"),
        (b'{"a": 1}', "messages"),
        (b"[1, 2]", "messages"),
        (b'[{"role": "user", "content": "x"}]', "no answer"),
        (b'{"a": 1}\n{"b": 2}', "neither JSON"),
        (b"\xff\xfe\x00", "neither JSON"),
        (b"[" * 100_000, "neither JSON"),
    ],
)
def test_other_files_are_refused_with_a_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(Unreadable, match=reason):
        recordings.read(path)


def test_a_missing_file_is_refused_with_the_systems_words(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="No such file"):
        recordings.read(tmp_path / "nowhere.json")


def test_folders_are_searched_for_recordings_in_order(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("b/2.jsonl", "b/1.json.gz", "a.json", "note.txt"):
        write(tmp_path / name, [])
    named = tmp_path / "note.txt"
    found = [str(path.relative_to(tmp_path)) for path in recordings.find([tmp_path, named])]
    assert found == ["a.json", "b/1.json.gz", "b/2.jsonl", "note.txt"]
