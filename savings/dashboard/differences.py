"""What was sent instead of what: the strings of two JSON bodies that differ, line by line."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MAX_CHANGES = 50
MAX_LINES = 400
MAX_CHARS = 200_000
"""Comparing takes time that grows with the square of what differs; beyond this the two texts are shown as they are."""


@dataclass(frozen=True, slots=True)
class Change:
    """A string that went out differently. `where` is its place, `lines` are (mark, text) with the mark ` `, `-` or `+`."""

    where: str
    before_chars: int
    after_chars: int
    lines: list[tuple[str, str]]
    is_cut: bool


def changes(asked: bytes, sent: bytes) -> list[Change]:
    """The first fifty strings that differ; none when a body is not JSON or is cut."""
    try:
        before, after = json.loads(asked), json.loads(sent)
    except ValueError:
        return []
    found = []
    for where, old, new in _differing(before, after, ""):
        found.append(_change(where, old, new))
        if len(found) == MAX_CHANGES:
            break
    return found


def _differing(before: Any, after: Any, where: str) -> Iterator[tuple[str, str, str]]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in {**before, **after}:
            yield from _differing(before.get(key, ""), after.get(key, ""), f"{where}.{key}" if where else str(key))
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            old = before[index] if index < len(before) else ""
            new = after[index] if index < len(after) else ""
            yield from _differing(old, new, f"{where}[{index}]")
    elif before != after:
        yield where, _text(before), _text(after)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _change(where: str, before: str, after: str) -> Change:
    if len(before) + len(after) > MAX_CHARS:
        lines = [("-", line) for line in before[: MAX_CHARS // 2].splitlines()[: MAX_LINES // 2]]
        lines += [("+", line) for line in after[: MAX_CHARS // 2].splitlines()[: MAX_LINES // 2]]
        return Change(where, len(before), len(after), lines, is_cut=True)
    compared = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2)
    lines = [(line[:1], line[1:]) for line in compared if not line.startswith(("---", "+++"))]
    return Change(where, len(before), len(after), lines[:MAX_LINES], is_cut=len(lines) > MAX_LINES)
