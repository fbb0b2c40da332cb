"""Which rows of a long table to show: the ends, the extremes, what is rare against expectation, then an even spread."""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence

from headroom.shrinkers import trouble

ENDS = 4
RARE_PER_COLUMN = 12
MAX_TERMS = 24
MAX_NAMED_ROWS = 100
_VALUE = re.compile(r'"([^"\\]{4,80})"(?!\s*:)')
_WORD = re.compile(r"[\w./:@-]{5,}")
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?")


def pick(
    lines: Sequence[str],
    columns: Sequence[Sequence[str]],
    keep: int,
    *,
    wanted: str = "",
    reported: Sequence[int] | None = None,
) -> list[int]:
    """Return the indices of the rows to show, in order: about `keep`, more where more of them stand out.

    `columns` hold one cell per line. `wanted` is text whose words name rows that must stay, a call's arguments. `reported`
    are the lines that report trouble; None when nobody looked yet.
    """
    count = len(lines)
    if count <= keep:
        return list(range(count))
    chosen = {*range(min(ENDS, count)), *range(max(0, count - ENDS), count)}
    for column in columns:
        chosen.update(standing_out(column))
    reported = trouble.reporting(lines) if reported is None else reported
    if len(reported) * 3 <= count or len(reported) <= keep:
        chosen.update(reported)
    chosen.update(_named(lines, wanted))
    missing = keep - len(chosen)
    if missing > 0:
        rest = [index for index in range(count) if index not in chosen]
        chosen.update(rest[(step * len(rest)) // missing] for step in range(missing))
    return sorted(chosen)


def standing_out(column: Sequence[str]) -> set[int]:
    """Return the rows of one column that a reader would look for: extremes, odd types, values far rarer than the rest."""
    blank = [index for index, cell in enumerate(column) if not cell]
    numbers, odd = _numbers(column, len(column) - len(blank))
    found: set[int] = set()
    if numbers:
        found.update(_extremes(numbers))
        found.update(odd[:RARE_PER_COLUMN])
    elif len(blank) < len(column):
        found.update(_rare(column, len(blank)))
    if len(blank) * 20 <= len(column):
        found.update(blank[:RARE_PER_COLUMN])
    return found


def _numbers(column: Sequence[str], filled: int) -> tuple[list[tuple[float, int]], list[int]]:
    """Return the numbers of a column with their rows, and the rows without one; nothing where these are more than a fifth."""
    numbers: list[tuple[float, int]] = []
    odd: list[int] = []
    for index, cell in enumerate(column):
        number = as_number(cell)
        if number is not None:
            numbers.append((number, index))
        elif cell:
            odd.append(index)
            if len(odd) * 5 > filled:
                return [], []
    return numbers, odd


def as_number(cell: str) -> float | None:
    """Return the number that a cell holds, None when it holds none."""
    if not cell[-1:].isdecimal() or len(cell) > 40:
        return None
    if cell[0] != "." and cell.replace(".", "", 1).isdecimal():
        return float(cell)
    return float(cell.replace(",", "")) if _NUMBER.fullmatch(cell) else None


def _extremes(numbers: list[tuple[float, int]]) -> set[int]:
    """Return first and last holder of the smallest and largest value, and what lies far outside the middle half."""
    ordered = sorted(numbers)
    (low, first), (high, last) = ordered[0], ordered[-1]
    found = {
        first,
        ordered[bisect_right(ordered, (low, math.inf)) - 1][1],
        ordered[bisect_left(ordered, (high, -1))][1],
        last,
    }
    quarter, three = ordered[len(ordered) // 4][0], ordered[(len(ordered) * 3) // 4][0]
    spread = three - quarter
    if spread > 0:
        below = ordered[: bisect_left(ordered, (quarter - 6 * spread, -1))]
        above = ordered[bisect_right(ordered, (three + 6 * spread, math.inf)) :]
        far = [(min(abs(number - quarter), abs(number - three)), index) for number, index in [*below, *above]]
        found.update(index for _, index in sorted(far, reverse=True)[:RARE_PER_COLUMN])
    return found


def _rare(column: Sequence[str], blank: int) -> set[int]:
    """Return one row per value of a column with few values, and every row of values far rarer than an even share."""
    counts = Counter(column)
    counts.pop("", None)
    if len(counts) > max(12, len(column) // 8):
        return set()
    expected = (len(column) - blank) / len(counts)
    rare = {cell for cell, times in counts.items() if times * 10 <= expected or times == 1}
    odd = [index for index, cell in enumerate(column) if cell in rare] if rare else []
    firsts = dict(zip(reversed(column), range(len(column) - 1, -1, -1), strict=True))
    return {*(firsts[cell] for cell in list(counts)[:40]), *odd[: 2 * RARE_PER_COLUMN]}


def _named(lines: Sequence[str], wanted: str) -> list[int]:
    """Return the rows that hold what the call asked for: its values and the words in them that few rows share."""
    values = _VALUE.findall(wanted[:4000])
    terms = dict.fromkeys([*values, *(word for value in values for word in _WORD.findall(value))])
    limit = max(20, len(lines) // 10)
    found: set[int] = set()
    text = "\n".join(lines) if terms else ""
    for term in list(terms)[:MAX_TERMS]:
        holding = [index for index, line in enumerate(lines) if term in line] if term in text else []
        if len(holding) <= limit:
            found.update(holding)
    return sorted(found)[:MAX_NAMED_ROWS]
