"""Runs of lines that stood in the same text before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

_WINDOW = 3
# Extending a match that turns out too short to mention must stay cheap, or blank lines would cost quadratic time.
_ALWAYS_WORTH_LINES = 40


class Copy(NamedTuple):
    """`length` lines from `start` equal those from `source`, further up; neither part overlaps another copy's lines."""

    start: int
    source: int
    length: int


def copies(
    lines: Sequence[str], sides: Sequence[str] | None = None, *, min_lines: int = 4, min_chars: int = 120
) -> list[Copy]:
    """Return the repeated runs worth mentioning, in order. Time is linear in the number of lines.

    `sides` holds a mark for every line; a run never crosses a change of the mark, and "" marks lines that take no part.

    >>> copies(["a" * 40, "b" * 40, "c" * 40, "d" * 40, "-"] * 2, min_lines=4)
    [Copy(start=5, source=0, length=5)]
    """
    sides = sides if sides is not None else "x" * len(lines)
    seen: dict[tuple[str, ...], int] = {}
    is_copied = bytearray(len(lines))
    found: list[Copy] = []
    at = 0
    while at <= len(lines) - _WINDOW:
        window = tuple(lines[at : at + _WINDOW])
        source = seen.setdefault(window, at)
        length = _length(lines, sides, is_copied, source, at) if source < at else 0
        if _is_worth(lines, at, length, min_lines, min_chars):
            found.append(Copy(at, source, length))
            is_copied[at : at + length] = b"\1" * length
            at += length
        else:
            at += 1
    return found


def _length(lines: Sequence[str], sides: Sequence[str], is_copied: bytearray, source: int, at: int) -> int:
    length = 0
    limit = min(at - source, len(lines) - at)
    if not sides[at] or not sides[source]:
        return 0
    while (
        length < limit
        and lines[source + length] == lines[at + length]
        and sides[at + length] == sides[at]
        and sides[source + length] == sides[source]
        and not is_copied[source + length]
    ):
        length += 1
    return length


def _is_worth(lines: Sequence[str], at: int, length: int, min_lines: int, min_chars: int) -> bool:
    if length < min_lines:
        return False
    return length >= _ALWAYS_WORTH_LINES or sum(map(len, lines[at : at + length])) >= min_chars
