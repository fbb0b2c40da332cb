r"""Line numbers as file-reading tools print them: written on every tenth line only.

Claude Code and OpenHands write `     1\ttext` or `     1→text`, Cursor `     1|text`, Cline `1 | text`, others `00001| text`, `1. text`
or `1: text`. The last four may be other things as well, such as tables and lists: they count where an empty line has a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from headroom.values import Form, Source

EVERY = 10
_MIN_ROWS = 5
_MIN_UNCERTAIN_ROWS = 15
_NUMBERED = re.compile(r"( *\d{1,7})(→|\t|\| ?| \| ?|\. ?|: )")
_LOOSELY_NUMBERED = re.compile(r"( *\d{1,7})(→|\t| ?\| ?|\. |: ?)")
_CERTAIN = frozenset(("→", "\t"))
NOTE = "[every 10th line is numbered]"


@dataclass(frozen=True, slots=True)
class Numbering:
    """A run of numbered rows: rows `start` to `end` (exclusive) carry `first`, `first` + 1, … before their text."""

    start: int
    end: int
    first: int
    width: int
    mark: str
    pad: str = " "

    def prefix(self, row: int) -> str:
        return f"{str(self.number(row)).rjust(self.width, self.pad)}{self.mark}"

    def number(self, row: int) -> int:
        return self.first + row - self.start


def forms(source: Source) -> Iterable[Form]:
    """Yield the text with nine of ten line numbers left out: counting on from the tenth gives them back."""
    lines = source.text.split("\n")
    run = find(lines)
    if run:
        yield Form("\n".join(thinned(lines, run)), "line_numbers")


def find(lines: Sequence[str], *, is_loose: bool = False) -> Numbering | None:
    """Return the first long run of rows numbered one by one, None when there is none. `is_loose`: also as editors that
    take line numbers print them (`12:text`), which then have to stay."""
    numbers = _LOOSELY_NUMBERED if is_loose else _NUMBERED
    row = 0
    while row < len(lines):
        found = numbers.match(lines[row])
        if found:
            run = _run(lines, row, found)
            if run.end - run.start >= _MIN_ROWS and (run.mark in _CERTAIN or _is_file(lines, run, is_loose=is_loose)):
                return run
            row = run.end
        else:
            row += 1
    return None


def bared(text: str) -> tuple[str, str] | None:
    r"""Return what tells the numbers of a text's lines, and these without them; None where not all lines have one.

    >>> bared("\n".join(f"{n:6}\t{{}}" for n in range(7, 12)))
    ('[lines 7-11, their numbers left out]', '{}\n{}\n{}\n{}\n{}')
    """
    lines = text.rstrip("\n").split("\n")
    run = find(lines[:_MIN_ROWS]) and find(lines)
    if not run or run.start or run.end < len(lines):
        return None
    return f"[lines {run.first}-{run.number(run.end - 1)}, their numbers left out]", "\n".join(bare(lines, run))


def bare(lines: Sequence[str], run: Numbering) -> list[str]:
    """Return the texts of the numbered rows without their numbers."""
    return [lines[row][len(run.prefix(row)) :] for row in range(run.start, run.end)]


def label(run: Numbering, row: int) -> str:
    """Return what stands before a row's text in the thinned spelling: its number now and then, else nothing."""
    number = run.number(row)
    return f"{number}{run.mark}" if number % EVERY == 0 or row == run.start else ""


def thinned(lines: Sequence[str], run: Numbering) -> list[str]:
    """Return all rows, the numbered ones with a number on every tenth only."""
    rows = [label(run, row) + text for row, text in enumerate(bare(lines, run), run.start)]
    return [*lines[: run.start], NOTE, *rows, *lines[run.end :]]


def _run(lines: Sequence[str], start: int, found: re.Match[str]) -> Numbering:
    """Return the rows numbered on from one. A blank behind its mark may belong to its text: what more rows have counts."""
    padded, mark = found[1], found[2]
    pad = "0" if padded[0] == "0" else " "
    marks = [mark, *([mark[:-1]] if mark.endswith(" ") and found.re.fullmatch(f"1{mark[:-1]}") else [])]
    runs = [_extended(lines, Numbering(start, start + 1, int(padded), len(padded), mark, pad)) for mark in marks]
    return max(runs, key=lambda run: run.end)


def _extended(lines: Sequence[str], run: Numbering) -> Numbering:
    end = run.end
    while end < len(lines) and (lines[end].startswith(run.prefix(end)) or lines[end] == run.prefix(end).rstrip()):
        end += 1
    return replace(run, end=end)


def _is_file(lines: Sequence[str], run: Numbering, *, is_loose: bool) -> bool:
    """Return whether rows are many enough and, unless that is sure, one of them is a number and nothing else, as empty lines
    of files are."""
    has_empty = any(len(lines[row]) <= len(run.prefix(row)) for row in range(run.start, run.end))
    return run.end - run.start >= _MIN_UNCERTAIN_ROWS and (is_loose or has_empty)
