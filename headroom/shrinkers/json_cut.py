"""Long strings of a JSON value: their beginning, their end and what reports trouble."""

from __future__ import annotations

from headroom.shrinkers import trouble
from headroom.shrinkers.json_rows import string
from headroom.shrinkers.json_tally import Tally

_MIN_LINES = 12
_LONG_LINE_CHARS = 1_000
_MAX_TROUBLED_LINES = 24


def cut(value: str, most: int, tally: Tally) -> str:
    """Return a text as a JSON string, of a longer one the beginning, the end and the lines that report trouble."""
    if len(value) <= most or (len(value) <= 2 * most and trouble.reports(value)):
        return string(value)
    if value.count("\n") >= _MIN_LINES:
        return string(_cut_lines(value.split("\n"), most, tally))
    head, tail = most * 2 // 3, most // 4
    gone = len(value) - head - tail
    tally.chars += gone
    return string(f"{value[:head]}… [{gone:,} characters left out] …{value[-tail:]}")


def _cut_lines(lines: list[str], most: int, tally: Tally) -> str:
    """Keep the beginning, the end and the lines that report trouble."""
    kept = set(trouble.reporting(lines)[:_MAX_TROUBLED_LINES])
    for order, share in ((range(len(lines)), most // 2), (range(len(lines) - 1, -1, -1), most // 3)):
        for index in order:
            share -= len(lines[index]) + 1
            if share < 0:
                break
            kept.add(index)
    out: list[str] = []
    before = -1
    for index in [*sorted(kept), len(lines)]:
        gone = lines[before + 1 : index]
        if gone:
            tally.chars += sum(map(len, gone)) + len(gone)
            out.append(f"[{len(gone):,} lines left out]")
        out += [_short(line) for line in lines[index : index + 1]]
        before = index
    return "\n".join(out)


def _short(line: str) -> str:
    return line if len(line) <= _LONG_LINE_CHARS else f"{line[:_LONG_LINE_CHARS]}…"
