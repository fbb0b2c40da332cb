"""Compress a whole conversation as a library call: OpenAI chat messages, Responses items, Anthropic blocks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headroom import explanations, pipeline, tokens
from headroom.values import Attempt, Policy, Shrunk, ToolCall

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scope:
    """Which messages may be touched. Tool results always may, unless they stand in the frozen beginning or the end."""

    user_text: bool = False
    system_text: bool = False
    frozen_messages: int = 0
    recent_messages: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """What happened to one text, for `explain`.

    `message` is the place of its message, `detected` the kinds that it may be of, `kind` and `form` what was kept of it,
    `attempts` the forms that were tried with their tokens, and `why` says why this one and not more.
    """

    message: int
    tool: str
    detected: tuple[str, ...]
    kind: str
    form: str
    reason: str
    tokens_before: int
    tokens_after: int
    lines_after: int
    original_hash: str
    attempts: tuple[Attempt, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Result:
    """The conversation with shorter tool results; `originals` maps every hash in `ccr_hashes` to the text it names."""

    messages: list[Message]
    tokens_before: int
    tokens_after: int
    tokens_saved: int
    compression_ratio: float
    transforms_applied: list[str] = field(default_factory=list)
    transforms_summary: dict[str, int] = field(default_factory=dict)
    ccr_hashes: list[str] = field(default_factory=list)
    originals: dict[str, str] = field(default_factory=dict)
    explain: tuple[Block, ...] = ()


def compress(
    messages: Sequence[Message],
    *,
    model: str,
    policy: Policy | None = None,
    scope: Scope | None = None,
    explain: bool = False,
) -> Result:
    """Return `messages` with their tool results in shorter forms; the list given is not changed.

    Number, order, roles and ids stay as they are. `model` names the reader and is kept for callers' records: tokens are
    counted with one encoding for all models, so that figures can be compared.
    """
    run = _Run(policy or Policy(), scope or Scope(), _calls(messages))
    shorter = [run.message(place, message, len(messages)) for place, message in enumerate(messages)]
    before = sum(_message_tokens(message) for message in messages)
    after = before + sum(block.tokens_after - block.tokens_before for block in run.blocks)
    changed = [block for block in run.blocks if not block.reason]
    return Result(
        messages=shorter,
        tokens_before=before,
        tokens_after=after,
        tokens_saved=before - after,
        compression_ratio=round(after / before, 2) if before else 1.0,
        transforms_applied=[f"router:{block.form}:{block.tokens_after / block.tokens_before:.2f}" for block in changed],
        transforms_summary=dict(Counter(f"router:{block.form}" for block in changed)),
        ccr_hashes=list(run.originals),
        originals=run.originals,
        explain=tuple(run.blocks) if explain else (),
    )


@dataclass(slots=True)
class _Run:
    """One conversation being compressed: the calls seen, and what happened to each text."""

    policy: Policy
    scope: Scope
    calls: Mapping[str, ToolCall]
    blocks: list[Block] = field(default_factory=list)
    originals: dict[str, str] = field(default_factory=dict)

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
            return self._with_text(place, message, "content", ToolCall())
        return message

    def _block(self, place: int, block: Any, message: Message) -> Any:
        if not isinstance(block, dict):
            return block
        if block.get("type") == "tool_result":
            return self._with_text(place, block, "content", self._call(block.get("tool_use_id"), block))
        if block.get("type") in ("text", "input_text") and self._is_open(message):
            return self._with_text(place, block, "text", ToolCall())
        return block

    def _with_text(self, place: int, holder: Message, key: str, call: ToolCall) -> Message:
        """Return `holder` with the text, or the text parts, under `key` shrunk."""
        value = holder.get(key)
        if isinstance(value, str):
            return {**holder, key: self._shrunk(place, value, call)}
        if isinstance(value, list):
            return {**holder, key: [self._part(place, part, call) for part in value]}
        return holder

    def _part(self, place: int, part: Any, call: ToolCall) -> Any:
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            return {**part, "text": self._shrunk(place, part["text"], call)}
        return part

    def _shrunk(self, place: int, text: str, call: ToolCall) -> str:
        outcome = pipeline.shrink(text, call=call, policy=self.policy)
        self.blocks.append(_told(place, call, outcome, self.policy))
        if outcome.original_hash:
            self.originals[outcome.original_hash] = text
        return outcome.text

    def _call(self, call_id: Any, holder: Message) -> ToolCall:
        known = self.calls.get(call_id) if isinstance(call_id, str) else None
        return known or ToolCall(_text(holder.get("name")))

    def _is_open(self, message: Message) -> bool:
        role = message.get("role")
        return (role == "user" and self.scope.user_text) or (role in ("system", "developer") and self.scope.system_text)


def _told(place: int, call: ToolCall, outcome: Shrunk, policy: Policy) -> Block:
    return Block(
        message=place,
        tool=call.name,
        detected=outcome.detected,
        kind=outcome.kind,
        form=outcome.form,
        reason=outcome.reason,
        tokens_before=outcome.tokens_before,
        tokens_after=outcome.tokens_after,
        lines_after=outcome.text.count("\n") + 1,
        original_hash=outcome.original_hash,
        attempts=explanations.attempts(outcome, policy),
        why=explanations.why(outcome, policy),
    )


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


def _dicts(value: Any) -> list[Message]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _json(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str) if value else ""


def _message_tokens(message: Any) -> int:
    """Count what a model reads of a message: its texts and the calls it makes, not the ids and the layout."""
    if not isinstance(message, dict):
        return 0
    texts = [*_texts(message.get("content")), *_texts(message.get("output"))]
    return sum(map(tokens.count, texts)) + sum(
        tokens.count(call.name) + tokens.count(call.arguments) for _, call in _called(message)
    )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for block in _dicts(value):
        yield from _texts(block.get("text"))
        yield from _texts(block.get("content"))
