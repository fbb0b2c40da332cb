"""A conversation in units that stand or fall together: an answer of the model with the results of its calls.

What a person wrote is a unit of its own. System and developer messages, and anything that is not understood, are in none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from proxy.providers import bodies
from proxy.values import Call

Kind = Literal["answer", "result", "person", "other"]

_ITEM_CALLS = frozenset({"function_call", "custom_tool_call", "local_shell_call"})
_ITEM_OUTPUTS = frozenset(f"{kind}_output" for kind in _ITEM_CALLS)
# Items of the model's that nothing outside of the unit refers to.
_ITEM_ANSWERS = _ITEM_CALLS | {"reasoning"}


@dataclass(frozen=True, slots=True)
class Unit:
    """Messages [start, end) of a conversation. `age` counts the answers of the model that came after it. `kept` are parts
    of its messages that stay when it goes: what a person added to results. `is_persons`: a person wrote it."""

    start: int
    end: int
    tools: tuple[str, ...]
    text: str
    has_error: bool
    chars: int
    age: int
    kept: tuple[Any, ...] = ()
    is_persons: bool = False


def where(call: Call) -> str:
    """The key of the list that holds the conversation, "" where there is none."""
    return next((key for key in ("messages", "input") if isinstance((call.document or {}).get(key), list)), "")


def find(call: Call, shown: Mapping[int, int]) -> list[Unit]:
    """The units of a request, oldest first; of those that can go. `shown` are characters that results of a message lost
    already."""
    key = where(call)
    items = bodies.items((call.document or {}).get(key)) if key else []
    spans = list(_spans(items))
    answers = [start for start, _ in spans if _kind(items[start]) == "answer"]
    return [
        _unit(items, start, end, shown, age=sum(other > start for other in answers))
        for start, end in spans
        if _is_closed(items[start:end])
    ]


def _spans(items: Sequence[Any]) -> Iterator[tuple[int, int]]:
    """Answers with the results behind them, and what persons wrote."""
    n = 0
    while n < len(items):
        start = n
        while n < len(items) and _kind(items[n]) == "answer":
            n += 1
        if n == start:
            n += 1
            if _kind(items[start]) == "person":
                yield start, n
            continue
        while n < len(items) and _kind(items[n]) == "result":
            n += 1
        yield start, n


def _kind(item: Any) -> Kind:
    if not isinstance(item, dict):
        return "other"
    role, kind = item.get("role"), bodies.text(item.get("type"))
    if role == "assistant" or kind in _ITEM_ANSWERS:
        return "answer"
    if role in ("tool", "function") or kind in _ITEM_OUTPUTS:
        return "result"
    is_result = any(isinstance(b, dict) and b.get("type") == "tool_result" for b in bodies.items(item.get("content")))
    return "other" if role != "user" else "result" if is_result else "person"


def is_answer(item: Any) -> bool:
    """Whether the model produced a message or item."""
    return _kind(item) == "answer"


def _is_closed(items: Sequence[Any]) -> bool:
    """Whether every call in it is answered in it, and every answer is to a call in it."""
    asked = [call_id for item in items for call_id, _ in _calls(item)]
    given = [call_id for item in items for call_id in _results(item)]
    return "" not in asked and sorted(asked) == sorted(given)


def _calls(item: Any) -> Iterator[tuple[str, str]]:
    """Ids and names of the calls in a message."""
    if bodies.text(item.get("type")) in _ITEM_CALLS:
        yield bodies.text(item.get("call_id")), bodies.text(item.get("name")) or str(item["type"])
    for block in bodies.items(item.get("content")):
        # What the provider runs itself (server tools) is answered in the same message.
        if isinstance(block, dict) and block.get("type") == "tool_use":
            yield bodies.text(block.get("id")), bodies.text(block.get("name"))
    for call in bodies.items(item.get("tool_calls")):
        function = call.get("function") if isinstance(call, dict) else None
        name = bodies.text(function.get("name")) if isinstance(function, dict) else ""
        yield bodies.text(call.get("id")) if isinstance(call, dict) else "", name


def _results(item: Any) -> Iterator[str]:
    if bodies.text(item.get("type")) in _ITEM_OUTPUTS:
        yield bodies.text(item.get("call_id"))
    if item.get("role") in ("tool", "function"):
        yield bodies.text(item.get("tool_call_id"))
    for block in bodies.items(item.get("content")):
        if isinstance(block, dict) and block.get("type") == "tool_result":
            yield bodies.text(block.get("tool_use_id"))


def _unit(items: Sequence[Any], start: int, end: int, shown: Mapping[int, int], *, age: int) -> Unit:
    part = items[start:end]
    is_persons = _kind(part[0]) == "person"
    kept = () if is_persons else tuple(block for item in part for block in _added(item))
    chars = sum(bodies.size(item) - shown.get(n, 0) for n, item in enumerate(part, start)) - bodies.size(list(kept))
    return Unit(
        start,
        end,
        tools=tuple(name for item in part for _, name in _calls(item)),
        text="\n\n".join(filter(None, map(_written, part))),
        has_error=any(_reports_error(item) for item in part),
        chars=max(0, chars),
        age=age,
        kept=kept,
        is_persons=is_persons,
    )


def _added(item: dict[str, Any]) -> Iterator[Any]:
    """What stands beside tool results in a person's message."""
    if item.get("role") == "user":
        yield from (
            block
            for block in bodies.items(item.get("content"))
            if not (isinstance(block, dict) and block.get("type") == "tool_result")
        )


def _reports_error(item: dict[str, Any]) -> bool:
    return any(isinstance(b, dict) and b.get("is_error") is True for b in bodies.items(item.get("content")))


def _written(item: dict[str, Any]) -> str:
    """A message as a person would read it back; what only machines read (signatures, encrypted items) is left out."""
    lines: list[str] = []
    role = {"result": "result", "person": "user"}.get(_kind(item), "assistant")
    for text in _texts(item.get("content")):
        lines.append(f"[{role}]\n{text}")
    for block in bodies.items(item.get("content")):
        if isinstance(block, dict) and block.get("type") == "tool_use":
            lines.append(f"[call of {bodies.text(block.get('name'))}]\n{bodies.dumped(block.get('input'))}")
    for call in bodies.items(item.get("tool_calls")):
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            lines.append(f"[call of {bodies.text(function.get('name'))}]\n{bodies.text(function.get('arguments'))}")
    if bodies.text(item.get("type")) in _ITEM_CALLS:
        arguments = item.get("arguments", item.get("input", item.get("action")))
        spelled = arguments if isinstance(arguments, str) else bodies.dumped(arguments)
        lines.append(f"[call of {bodies.text(item.get('name')) or item['type']}]\n{spelled}")
    lines += [f"[result]\n{text}" for text in _texts(item.get("output"))]
    return "\n\n".join(lines)


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str) and content:
        yield content
    for block in bodies.items(content):
        if not isinstance(block, dict):
            continue
        if isinstance(block.get("text"), str):
            yield block["text"]
        elif block.get("type") == "tool_result":
            yield from _texts(block.get("content"))


def question(call: Call) -> str:
    """What a person asked last, and what the model said since, shortly: what the conversation is about right now."""
    items = bodies.items((call.document or {}).get(where(call)))
    asked: Any = next((item for item in reversed(items) if _kind(item) == "person"), {})
    said: Any = next((item for item in reversed(items) if _kind(item) == "answer"), {})
    return " ".join(" ".join([*_texts(asked.get("content")), *_texts(said.get("content"))])[:2000].split())
