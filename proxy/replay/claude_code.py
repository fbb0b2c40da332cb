"""Sessions that Claude Code keeps under ~/.claude/projects: one JSON record per line, one record per content block.

The records are a log, not a transcript: an answer is spread over several records with one `message.id`, tools that ran
side by side fork the chain of parents, sub-agents may be mixed in, and a compaction or a rewind makes the history shorter.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from proxy.providers import bodies
from proxy.replay.billing import Ttl
from proxy.replay.values import Message, Session, Turn, Unreadable

SYNTHETIC_MODEL = "<synthetic>"
"""The model of messages that Claude Code wrote itself: errors, interruptions."""


@dataclass(slots=True)
class _Answer:
    """A turn that is still being read."""

    turn: Turn
    message: Message
    output_tokens: int = 0


@dataclass(slots=True)
class _Thread:
    """One agent of a session: its history so far, and what that was when each record had been read."""

    name: str
    history: list[Message] = field(default_factory=list)
    stands: dict[str, tuple[list[Message], int]] = field(default_factory=dict)


def is_record(value: Any) -> bool:
    """Whether a line looks like one of Claude Code's."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("type"), str)
        and ("uuid" in value or "sessionId" in value or "leafUuid" in value)
    )


def read(records: Iterable[dict[str, Any]], *, name: str, bad_lines: int = 0, seen: set[str] | None = None) -> Session:
    """The session in these records. Answers whose id is in `seen` were priced already (a resumed session repeats them).

    Raises Unreadable when no new answer is in it.
    """
    log = _Log(seen if seen is not None else set())
    for record in records:
        log.add(record)
    turns = tuple(log.turns())
    if not turns:
        raise Unreadable("no new answer of a model in it" if log.repeated else "no answer of a model in it")
    return Session(name, "anthropic", turns, ttl=log.ttl, leaves_out_prefix=True, bad_lines=bad_lines)


class _Log:
    """Reads records in file order."""

    def __init__(self, seen: set[str]) -> None:
        self.ttl: Ttl = "5m"
        self.repeated = 0
        self._seen = seen
        self._threads: dict[str, _Thread] = {}
        self._thread_of: dict[str, str] = {}
        self._answers: dict[str, _Answer] = {}

    def add(self, record: dict[str, Any]) -> None:
        thread = self._thread(record)
        message = record.get("message")
        if record.get("type") == "system" and record.get("subtype") == "compact_boundary":
            thread.history = []
        elif isinstance(message, dict) and not record.get("isVisibleInTranscriptOnly"):
            if record["type"] == "user":
                self._add_user(thread, record, message)
            elif (
                record["type"] == "assistant"
                and message.get("model") != SYNTHETIC_MODEL
                and not record.get("isApiErrorMessage")
            ):
                self._add_assistant(thread, record, message)
        if isinstance(uuid := record.get("uuid"), str):
            thread.stands[uuid] = (thread.history, len(thread.history))

    def turns(self) -> Iterable[Turn]:
        """The turns that were read, each with the largest count of output that any of its records gives."""
        for answer in self._answers.values():
            turn = answer.turn
            yield Turn(
                turn.history,
                turn.length,
                turn.model,
                turn.at_s,
                turn.recorded_input_tokens,
                answer.output_tokens,
                turn.thread,
            )

    def _thread(self, record: dict[str, Any]) -> _Thread:
        """The agent that a record belongs to. Old logs give sub-agents no name; there the first record of each names it."""
        name = ""
        if record.get("isSidechain"):
            parent = record.get("parentUuid")
            name = (
                bodies.text(record.get("agentId"))
                or self._thread_of.get(bodies.text(parent), "")
                or bodies.text(record.get("uuid"))
            )
        if isinstance(uuid := record.get("uuid"), str):
            self._thread_of[uuid] = name
        return self._threads.setdefault(name, _Thread(name))

    def _add_user(self, thread: _Thread, record: dict[str, Any], message: Message) -> None:
        content = message.get("content")
        if not isinstance(content, str | list) or not content:
            return
        if record.get("isCompactSummary"):
            thread.history = []
        elif not record.get("isMeta") and not _holds_result(content):
            _rewind(thread, bodies.text(record.get("parentUuid")))
        last = thread.history[-1] if thread.history else None
        if last is not None and last["role"] == "user":
            last["content"] = [*_blocks(last["content"]), *_blocks(content)]
        else:
            thread.history.append({"role": "user", "content": content})

    def _add_assistant(self, thread: _Thread, record: dict[str, Any], message: Message) -> None:
        key = bodies.text(message.get("id")) or bodies.text(record.get("uuid"))
        content = _blocks(message.get("content"))
        usage = message.get("usage")
        usage = usage if isinstance(usage, dict) else {}
        known = self._answers.get(key)
        if known is not None:
            known.message["content"] += content
            known.output_tokens = max(known.output_tokens, bodies.count(usage.get("output_tokens")) or 0)
            return
        last = thread.history[-1] if thread.history else None
        if last is not None and last.get("id") == key:
            last["content"] += content
            return
        answer = {"role": "assistant", "content": content, "id": key}
        if key in self._seen:
            self.repeated += 1
        elif thread.history:
            self._seen.add(key)
            turn = Turn(
                thread.history,
                len(thread.history),
                model=bodies.text(message.get("model")),
                at_s=_seconds(record.get("timestamp")),
                recorded_input_tokens=_input_tokens(usage),
                thread=thread.name,
            )
            self._answers[key] = _Answer(turn, answer, bodies.count(usage.get("output_tokens")) or 0)
            self._note_ttl(usage)
        thread.history.append(answer)

    def _note_ttl(self, usage: dict[str, Any]) -> None:
        buckets = usage.get("cache_creation")
        if isinstance(buckets, dict) and bodies.count(buckets.get("ephemeral_1h_input_tokens")):
            self.ttl = "1h"


def _rewind(thread: _Thread, parent: str) -> None:
    """Go back to the record that a new prompt continues, when that is not the newest one."""
    history, length = thread.stands.get(parent, (thread.history, len(thread.history)))
    if history is not thread.history or length < len(history):
        thread.history = history[:length]


def _holds_result(content: str | list[Any]) -> bool:
    return isinstance(content, list) and any(
        isinstance(block, dict) and block.get("type") == "tool_result" for block in content
    )


def _blocks(content: Any) -> list[Any]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _input_tokens(usage: dict[str, Any]) -> int | None:
    counts = [
        bodies.count(usage.get(key))
        for key in ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    ]
    return None if counts[0] is None else sum(count or 0 for count in counts)


def _seconds(timestamp: Any) -> float | None:
    try:
        return datetime.fromisoformat(timestamp).timestamp()
    except (TypeError, ValueError):
        return None
