"""Histories that clients change: messages go, come twice or in another order, results get lost or stand before their calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Messages = list[dict[str, Any]]
Change = Callable[[Messages, int], Messages]
"""Changes messages at a place, of which there is at least one before and one behind it."""


def _is_result(message: dict[str, Any]) -> bool:
    content = message["content"]
    return message["role"] == "tool" or (isinstance(content, list) and content[0]["type"] == "tool_result")


def _nearest_result(messages: Messages, place: int) -> int:
    return max(n for n in range(len(messages)) if n <= place + 1 and (_is_result(messages[n]) or n == 1))


def _before_its_call(messages: Messages, place: int) -> Messages:
    n = _nearest_result(messages, place)
    return [*messages[: n - 1], messages[n], messages[n - 1], *messages[n + 1 :]]


def _without_result(messages: Messages, place: int) -> Messages:
    n = _nearest_result(messages, place)
    return messages[:n] + messages[n + 1 :]


def _with_one_id(messages: Messages, place: int) -> Messages:
    return messages[:place] + [_renamed(message) for message in messages[place:]]


def _renamed(value: Any) -> Any:
    if isinstance(value, list):
        return [_renamed(part) for part in value]
    if not isinstance(value, dict):
        return value
    return {k: "t0" if k in ("id", "tool_use_id", "tool_call_id") else _renamed(part) for k, part in value.items()}


def _edited(messages: Messages, place: int) -> Messages:
    message = messages[place]
    content = message["content"]
    if isinstance(content, str):
        content = content.replace("a", "e")  # as long as before
    elif isinstance(content, list):
        content = [_longer(block) for block in content]
    return [*messages[:place], {**message, "content": content}, *messages[place + 1 :]]


def _longer(block: dict[str, Any]) -> dict[str, Any]:
    key = "content" if block["type"] == "tool_result" else "text"
    return {**block, key: block[key] + "\n(edited)"} if isinstance(block.get(key), str) else block


CHANGES: dict[str, Change] = {
    "drop": lambda messages, n: messages[:n] + messages[n + 1 :],
    "repeat": lambda messages, n: messages[: n + 1] + messages[n:],
    "repeat a turn": lambda messages, n: messages[: n + 2] + messages[n:],
    "repeat the last": lambda messages, n: [*messages, messages[-1]],
    "show again": lambda messages, n: [*messages, messages[_nearest_result(messages, n)]],
    "swap": lambda messages, n: [*messages[:n], messages[-1], *messages[n + 1 : -1], messages[n]],
    "reverse": lambda messages, n: messages[:n] + messages[n : n + 5][::-1] + messages[n + 5 :],
    "lose a result": _without_result,
    "answer before the call": _before_its_call,
    "one id for all": _with_one_id,
    "edit": _edited,
    "shrink": lambda messages, n: messages[: n + 1],
    "compact": lambda messages, n: messages[:1] + messages[n:],
    "fork": lambda messages, n: [*messages[:n], {"role": "user", "content": f"Do it another way, as in {n}."}],
}
