"""Rollouts that Codex keeps under ~/.codex/sessions: one JSON record per line, the items of the Responses API among them.

They are read as chat messages: what a model is sent and says is the same, and both are billed alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from proxy.providers import bodies
from proxy.replay.values import Message, Session, Turn, Unreadable

TYPES = frozenset({"session_meta", "response_item", "event_msg", "turn_context", "compacted"})
CALLS = frozenset({"function_call", "custom_tool_call", "local_shell_call"})
OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output", "local_shell_call_output"})


def is_record(value: Any) -> bool:
    """Whether a line looks like one of Codex's."""
    return isinstance(value, dict) and value.get("type") in TYPES and isinstance(value.get("payload"), dict)


def read(records: Iterable[dict[str, Any]], *, name: str, bad_lines: int = 0) -> Session:
    """The session in these records. Raises Unreadable when no answer of a model is in it."""
    log = _Log()
    for record in records:
        log.add(record)
    if not log.turns:
        raise Unreadable("no answer of a model in it")
    return Session(name, "openai", tuple(log.turns), leaves_out_prefix=True, bad_lines=bad_lines)


class _Log:
    """Reads records in file order. A compaction begins a history of its own."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self._history: list[Message] = []
        self._model = ""
        self._counted: Any = None

    def add(self, record: dict[str, Any]) -> None:
        payload = record["payload"]
        if record["type"] == "turn_context":
            self._model = bodies.text(payload.get("model")) or self._model
        elif record["type"] == "compacted":
            self._compact(payload)
        elif record["type"] == "event_msg" and payload.get("type") == "token_count":
            self._count(payload.get("info"))
        elif record["type"] == "response_item":
            self._add_item(payload, _seconds(record.get("timestamp")))

    def _compact(self, payload: dict[str, Any]) -> None:
        """Begin with what Codex kept, or with its summary alone where it does not say what else."""
        self._history = []
        for item in bodies.items(payload.get("replacement_history")):
            if isinstance(item, dict):
                self._add_item(item, None, is_kept=True)
        if not self._history:
            self._history = [{"role": "user", "content": bodies.text(payload.get("message"))}]

    def _count(self, info: Any) -> None:
        """Note the provider's count of the newest answer; it is told again whenever limits are."""
        usage = info.get("last_token_usage") if isinstance(info, dict) else None
        if not isinstance(usage, dict) or not self.turns or info == self._counted:
            return
        self._counted = info
        if self.turns[-1].recorded_input_tokens is None:
            self.turns[-1] = replace(
                self.turns[-1],
                recorded_input_tokens=bodies.count(usage.get("input_tokens")),
                recorded_output_tokens=bodies.count(usage.get("output_tokens")) or 0,
            )

    def _add_item(self, item: dict[str, Any], at_s: float | None, *, is_kept: bool = False) -> None:
        """Add an item to the history. `is_kept`: an answer among them is an old one, and no turn."""
        kind = item.get("type")
        if kind in OUTPUTS:
            text = _text(item.get("output"))
            self._history.append({"role": "tool", "tool_call_id": bodies.text(item.get("call_id")), "content": text})
        elif kind in CALLS:
            arguments = item.get("arguments", item.get("input", item.get("action")))
            spelled = arguments if isinstance(arguments, str) else bodies.dumped(arguments)
            function = {"name": bodies.text(item.get("name")) or str(kind), "arguments": spelled}
            call = {"id": bodies.text(item.get("call_id")), "type": "function", "function": function}
            self._answer(at_s, is_kept).setdefault("tool_calls", []).append(call)
        elif kind == "message" and item.get("role") == "assistant":
            answer = self._answer(at_s, is_kept)
            answer["content"] = (answer["content"] or "") + _text(item.get("content"))
        elif kind == "message":
            role = "user" if item.get("role") == "user" else "system"
            self._history.append({"role": role, "content": _text(item.get("content"))})

    def _answer(self, at_s: float | None, is_kept: bool) -> Message:
        """The answer that an item of the model's belongs to: neighbouring ones are one answer."""
        last = self._history[-1] if self._history else None
        if last is not None and last["role"] == "assistant":
            return last
        answer: Message = {"role": "assistant", "content": None}
        if self._history and not is_kept:
            self.turns.append(Turn(self._history, len(self._history), self._model, at_s))
        self._history.append(answer)
        return answer


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, dict):  # older rollouts: {"content": …, "success": …}
        return bodies.text(content.get("content"))
    return "\n".join(bodies.text(part.get("text")) for part in bodies.items(content) if isinstance(part, dict))


def _seconds(timestamp: Any) -> float | None:
    try:
        return datetime.fromisoformat(timestamp.replace("Z", "+00:00")).timestamp()
    except (AttributeError, ValueError):
        return None
