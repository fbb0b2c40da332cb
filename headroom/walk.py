"""Where the texts of a conversation stand: OpenAI chat messages, Responses items, Anthropic blocks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headroom.values import Scope, ToolCall

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Text:
    """A text that may be shortened: its place among such texts, the place of its message, the call that it answers."""

    number: int
    message: int
    text: str
    call: ToolCall
    is_result: bool


def texts(messages: Sequence[Message], scope: Scope) -> list[Text]:
    """Return the texts that may be shortened, in order."""
    found: list[Text] = []

    def note(text: Text) -> str:
        found.append(text)
        return text.text

    visited(messages, scope, note)
    return found


def visited(messages: Sequence[Message], scope: Scope, visit: Callable[[Text], str]) -> list[Message]:
    """Return the messages with what `visit` returns for each of those texts; the list given is not changed."""
    walk = _Walk(scope, _calls(messages), visit)
    return [walk.message(place, message, len(messages)) for place, message in enumerate(messages)]


def read(message: Any) -> Iterator[str]:
    """Yield what a model reads of a message: its texts and the calls it makes, not the ids and the layout."""
    if isinstance(message, dict):
        yield from _strings(message.get("content"))
        yield from _strings(message.get("output"))
        for _, call in _called(message):
            yield call.name
            yield call.arguments


def said(message: Any) -> str:
    """Return what the user or the model says in a message, calls included and results not."""
    if not isinstance(message, dict) or message.get("role") not in ("user", "assistant", None):
        return ""
    parts = [f"{call.name} {call.arguments}" for _, call in _called(message)]
    content = message.get("content")
    if isinstance(content, str):
        parts.append(content)
    parts += [_text(block.get("text")) for block in _dicts(content) if block.get("type") != "tool_result"]
    return "\n".join(filter(None, parts))


def question(messages: Sequence[Any]) -> str:
    """Return what the user said last, "" when nothing."""
    users = (message for message in reversed(messages) if isinstance(message, dict) and message.get("role") == "user")
    return next(filter(None, map(said, users)), "")


@dataclass(slots=True)
class _Walk:
    """One way through a conversation. `count` is the number of texts met so far."""

    scope: Scope
    calls: Mapping[str, ToolCall]
    visit: Callable[[Text], str]
    count: int = field(default=0)

    def message(self, place: int, message: Message, total: int) -> Message:
        if (
            not isinstance(message, dict)
            or not self.scope.frozen_messages <= place < total - self.scope.recent_messages
        ):
            return message
        if message.get("role") in ("tool", "function"):
            return self._with_text(place, message, "content", self._call(message.get("tool_call_id"), message))
        if str(message.get("type", "")).endswith("_call_output"):
            return self._with_text(place, message, "output", self._call(message.get("call_id"), message))
        if isinstance(message.get("content"), list):
            blocks = [self._block(place, block, message) for block in message["content"]]
            return {**message, "content": blocks}
        if self._is_open(message):
            return self._with_text(place, message, "content", None)
        return message

    def _block(self, place: int, block: Any, message: Message) -> Any:
        if not isinstance(block, dict):
            return block
        if block.get("type") == "tool_result":
            return self._with_text(place, block, "content", self._call(block.get("tool_use_id"), block))
        if block.get("type") in ("text", "input_text") and self._is_open(message):
            return self._with_text(place, block, "text", None)
        return block

    def _with_text(self, place: int, holder: Message, key: str, call: ToolCall | None) -> Message:
        """Return `holder` with the text, or the text parts, under `key` visited; without a call it is no result."""
        value = holder.get(key)
        if isinstance(value, str):
            return {**holder, key: self._visited(place, value, call)}
        if isinstance(value, list):
            return {**holder, key: [self._part(place, part, call) for part in value]}
        return holder

    def _part(self, place: int, part: Any, call: ToolCall | None) -> Any:
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            return {**part, "text": self._visited(place, part["text"], call)}
        return part

    def _visited(self, place: int, text: str, call: ToolCall | None) -> str:
        found = Text(self.count, place, text, call or ToolCall(), is_result=call is not None)
        self.count += 1
        return self.visit(found)

    def _call(self, call_id: Any, holder: Message) -> ToolCall:
        known = self.calls.get(call_id) if isinstance(call_id, str) else None
        return known or ToolCall(_text(holder.get("name")))

    def _is_open(self, message: Message) -> bool:
        role = message.get("role")
        return (role == "user" and self.scope.user_text) or (role in ("system", "developer") and self.scope.system_text)


def _calls(messages: Sequence[Message]) -> dict[str, ToolCall]:
    """Return every tool call of a conversation by its id."""
    return {call_id: call for message in messages if isinstance(message, dict) for call_id, call in _called(message)}


def _called(message: Message) -> Iterator[tuple[str, ToolCall]]:
    for call in _dicts(message.get("tool_calls")):
        function = call.get("function")
        if isinstance(function, dict):
            yield _text(call.get("id")), ToolCall(_text(function.get("name")), _text(function.get("arguments")))
    for block in _dicts(message.get("content")):
        if block.get("type") == "tool_use":
            yield _text(block.get("id")), ToolCall(_text(block.get("name")), _json(block.get("input")))
    if str(message.get("type", "")).endswith("_call"):
        arguments = message.get("arguments") or message.get("input") or message.get("action")
        yield _text(message.get("call_id")), ToolCall(_text(message.get("name")), _json(arguments))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for block in _dicts(value):
        yield from _strings(block.get("text"))
        yield from _strings(block.get("content"))


def _dicts(value: Any) -> list[Message]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _json(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str) if value else ""
