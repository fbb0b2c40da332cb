"""The requests that the benchmarks send: a small one, a stream, and a coding agent's conversation of about 93 kB."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

MODEL = "claude-sonnet-4-5"
TURNS = 22
RESULT_CHARS = 3_600
WORDS = [
    "order",
    "invoice",
    "retry",
    "cache",
    "worker",
    "queue",
    "ledger",
    "token",
    "budget",
    "stream",
    "parser",
    "session",
    "header",
    "upstream",
    "digest",
    "batch",
]


def small(*, is_stream: bool = False) -> bytes:
    """A question of one line."""
    body: dict[str, Any] = {"model": MODEL, "max_tokens": 256}
    if is_stream:
        body["stream"] = True
    return _encode({**body, "messages": [{"role": "user", "content": "Why does the test fail?"}]})


def conversation(seed: int, turns: int = TURNS) -> bytes:
    """What an agent sends in turn `turns`: everything so far, with one tool result of about 4 kB per turn."""
    return growing(seed, turns)[-1]


def growing(seed: int, turns: int = TURNS) -> list[bytes]:
    """The requests of one conversation, each with one tool call and its result more than the one before."""
    chance = random.Random(seed)
    messages: list[dict[str, Any]] = [{"role": "user", "content": f"Find out why build {seed} fails, and mend it."}]
    bodies = []
    for turn in range(turns):
        tool, arguments, output = MAKERS[turn % len(MAKERS)](chance)
        call_id = f"toolu_{seed:06d}{turn:04d}"
        call = {"type": "tool_use", "id": call_id, "name": tool, "input": arguments}
        messages.append({"role": "assistant", "content": [{"type": "text", "text": _sentence(chance)}, call]})
        result = {"type": "tool_result", "tool_use_id": call_id, "content": output}
        messages.append({"role": "user", "content": [result]})
        newest = [*messages[:-1], {"role": "user", "content": [{**result, "cache_control": {"type": "ephemeral"}}]}]
        bodies.append(_encode({"model": MODEL, "max_tokens": 4096, "system": _system(), "messages": newest}))
    return bodies


def _encode(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _system() -> list[dict[str, Any]]:
    text = "You are a careful engineer. Read before you write, and run the tests before you say that it works. " * 20
    return [{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}]


def _sentence(chance: random.Random) -> str:
    return " ".join(chance.choice(WORDS) for _ in range(12)) + "."


def _until_full(line: Callable[[int], str]) -> str:
    lines: list[str] = []
    size = 0
    while size < RESULT_CHARS:
        lines.append(line(len(lines)))
        size += len(lines[-1]) + 1
    return "\n".join(lines)


def _log(chance: random.Random) -> tuple[str, dict[str, Any], str]:
    def line(number: int) -> str:
        level = "ERROR" if chance.random() < 0.02 else "INFO"
        return f"2026-03-04T10:{number // 60:02d}:{number % 60:02d}Z {level} {chance.choice(WORDS)}.{chance.choice(WORDS)} took {chance.randint(1, 900)} ms"

    return "Bash", {"command": f"tail -n 200 logs/{chance.choice(WORDS)}.log"}, _until_full(line)


def _records(chance: random.Random) -> tuple[str, dict[str, Any], str]:
    rows = [
        {
            "id": 1000 + number,
            "name": chance.choice(WORDS),
            "state": "open",
            "amount": chance.randint(1, 10_000),
            "owner": None,
        }
        for number in range(44)
    ]
    return "Bash", {"command": "curl -s localhost:8000/api/orders"}, json.dumps(rows)


def _file(chance: random.Random) -> tuple[str, dict[str, Any], str]:
    def line(number: int) -> str:
        return f"{number + 1:6d}\t    {chance.choice(WORDS)}_{number} = {chance.choice(WORDS)}({chance.choice(WORDS)}, limit={chance.randint(1, 99)})"

    return "Read", {"file_path": f"/srv/app/{chance.choice(WORDS)}.py"}, _until_full(line)


def _matches(chance: random.Random) -> tuple[str, dict[str, Any], str]:
    def line(number: int) -> str:
        return f"src/{chance.choice(WORDS)}/{chance.choice(WORDS)}.py:{chance.randint(1, 900)}:    return {chance.choice(WORDS)}({number})"

    return "Grep", {"pattern": "return", "path": "src"}, _until_full(line)


MAKERS = (_log, _records, _file, _matches)
