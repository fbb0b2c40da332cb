"""Made-up agent sessions: long logs to read, and an agent that says a little about each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

Message = dict[str, Any]
MARK = {"type": "ephemeral"}
MODEL = {"anthropic": "claude-sonnet-4-5", "openai": "gpt-4o"}


def log(turn: int, lines: int) -> str:
    return "\n".join(
        f"2026-03-01T12:{turn:02}:{n % 60:02}Z INFO worker-{n % 4} finished task {turn}-{n} after {n % 7} ms"
        for n in range(lines)
    )


def requests(dialect: str, turns: int, *, lines: int = 60) -> Iterator[bytes]:
    """The bodies of a session, turn by turn, as an agent sends them: with its marks, where the dialect has marks."""
    for turn in range(turns):
        yield body(dialect, history(dialect, turn, lines=lines))


def history(dialect: str, turns: int, *, lines: int = 60) -> list[Message]:
    """The messages of a session after so many turns."""
    asked: Message = {"role": "user", "content": "Find out why task 7 is slow. " * 20}
    return [asked, *(message for turn in range(turns) for message in _turn(dialect, turn, lines))]


def body(dialect: str, history: list[Message], **more: Any) -> bytes:
    if dialect == "openai":
        lead = [{"role": "system", "content": "You are careful. " * 300}]
        return json.dumps({"model": MODEL[dialect], "messages": lead + history} | more).encode()
    content = history[-1]["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    newest = {**history[-1], "content": [*blocks[:-1], {**blocks[-1], "cache_control": MARK}]}
    system = [{"type": "text", "text": "You are careful. " * 300, "cache_control": MARK}]
    document = {"model": MODEL[dialect], "system": system, "messages": [*history[:-1], newest]} | more
    return json.dumps(document).encode()


def _turn(dialect: str, turn: int, lines: int) -> list[Message]:
    said = f"Run {turn} is as fast as the one before; I look at the next one. " * 3
    command = {"command": f"journalctl -u worker --run {turn}"}
    if dialect == "openai":
        function = {"name": "Bash", "arguments": json.dumps(command)}
        call = {"id": f"c{turn}", "type": "function", "function": function}
        return [
            {"role": "assistant", "content": said, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": f"c{turn}", "content": log(turn, lines)},
        ]
    use = {"type": "tool_use", "id": f"c{turn}", "name": "Bash", "input": command}
    result = {"type": "tool_result", "tool_use_id": f"c{turn}", "content": log(turn, lines)}
    return [
        {"role": "assistant", "content": [{"type": "text", "text": said}, use]},
        {"role": "user", "content": [result]},
    ]
