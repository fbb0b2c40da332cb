"""Rows with named columns, however they were drawn, written once: what is alike in all rows is said above them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

MAX_COLUMNS = 200
PROBED_ROWS = 40
AS_ABOVE = "(as above)"
LONG_CELL_CHARS = 24
MAX_TWINS = 40
"""A column is only compared with this many columns before it, to stay linear in the width of a table."""

_PIECE = re.compile(r"[A-Za-z]+|\d+|[^\sA-Za-z\d]+")


class Row(NamedTuple):
    """One row: its cells, and the line they were read from. A row whose cells do not fit the columns is only a line."""

    cells: tuple[str, ...]
    line: str


@dataclass(slots=True)
class Sheet:
    """All rows of a text that share one set of columns. `header` is the line of names as it came, "" without one.

    Without one the columns are the words of a line, and what is alike in all lines is shown as their pattern.
    """

    names: tuple[str, ...]
    header: str = ""
    is_named: bool = True
    rows: list[Row] = field(default_factory=list)

    def take(self, rows: Iterable[Row]) -> list[Item]:
        """Add rows, and return them as items of the text."""
        added = list(rows)
        self.rows += added
        return [(self, row) for row in added]


Item = str | tuple[Sheet, Row]
"""A piece of a text in reading order: a line as it came, or a row of a table."""

Sheets = dict[tuple[str, ...], Sheet]


@dataclass(frozen=True, slots=True)
class Layout:
    """How a sheet is written: `usual` maps a column to its usual value or to the column that it repeats."""

    names: tuple[str, ...]
    inline: tuple[int, ...]
    constant: tuple[tuple[int, str], ...]
    usual: tuple[tuple[int, str, int], ...]
    separator: str
    row_count: int
    is_named: bool = True

    @property
    def is_plain(self) -> bool:
        """Whether nothing was said once: every cell is still written in its row."""
        return not self.constant and not self.usual

    def head(self) -> list[str]:
        """Return the lines that stand above the rows."""
        said = []
        if not self.is_named:
            return self._pattern()
        if self.constant:
            fixed = "; ".join(f"{self.names[column]}={value or '(empty)'}" for column, value in self.constant)
            said.append(f"In all {self.row_count:,} rows: {fixed}")
        if self.usual:
            words = "; ".join(f"{self.names[column]}={self._usual(value, twin)}" for column, value, twin in self.usual)
            said.append(f"Unless a row says otherwise in brackets: {words}")
        said.append(self.separator.join(self.names[column] for column in self.inline))
        return said

    def write(self, row: Row, above: Row | None = None) -> str:
        """Return one row: the columns that differ, then in brackets what is not as usual. Of a long cell that is the same in
        the row `above` only that is said."""
        cells = row.cells
        odd = [
            f"{self.names[column]}={cells[column] or '(empty)'}"
            for column, value, twin in self.usual
            if cells[column] != (cells[twin] if twin >= 0 else value)
        ]
        shown = [cells[column] for column in self.inline]
        if above is not None:
            # Where blanks part the columns, words may only stand in the last one.
            for place in range(len(shown) - 1 if self.separator == " " else 0, len(shown)):
                if len(shown[place]) >= LONG_CELL_CHARS and shown[place] == above.cells[self.inline[place]]:
                    shown[place] = AS_ABOVE
        text = self.separator.join(shown)
        return f"{text} [{'; '.join(odd)}]" if odd else text

    def _pattern(self) -> list[str]:
        if self.is_plain:
            return []
        fixed = dict(self.constant)
        words = " ".join(
            fixed.get(column, "*" if column in self.inline else f"<{self.names[column]}>")
            for column in range(len(self.names))
        )
        said = [f"{self.row_count:,} lines like “{words}”; below is only what stands at the stars"]
        if self.usual:
            usual = "; ".join(
                f"<{self.names[column]}> is {self._usual(value, twin)}" for column, value, twin in self.usual
            )
            said.append(f"Unless a line says otherwise in brackets: {usual}")
        return said

    def _usual(self, value: str, twin: int) -> str:
        return f"same as {self.names[twin]}" if twin >= 0 else value or "(empty)"


def unique(names: Iterable[str]) -> tuple[str, ...]:
    """Return column names of which none is empty and none comes twice.

    >>> unique(("TIME", "", "TIME"))
    ('TIME', 'column 2', 'TIME (2)')
    """
    seen: Counter[str] = Counter()
    result = []
    for position, name in enumerate(names, 1):
        seen[name] += 1
        result.append((name or f"column {position}") if seen[name] == 1 else f"{name or 'column'} ({seen[name]})")
    return tuple(result)


def weight(text: str) -> int:
    """Return about how many tokens `text` costs: cheap, and good enough to compare two spellings of one row."""
    return sum(1 + (len(piece) - 1) // (3 if piece[0].isdigit() else 6) for piece in _PIECE.findall(text[:2000]))


def arrange(sheet: Sheet, *, separator: str = "") -> Layout:
    """Return the shortest layout for the rows of a sheet that fit its columns; `separator` when it is not free to choose."""
    width = len(sheet.names)
    rows = [row.cells for row in sheet.rows if len(row.cells) == width]
    if not rows:
        return Layout(sheet.names, tuple(range(width)), (), (), separator or " ", 0, sheet.is_named)
    columns = list(zip(*rows, strict=True))
    constant: list[tuple[int, str]] = []
    usual: list[tuple[int, str, int]] = []
    inline: list[int] = []
    for index, column in enumerate(columns):
        if len(rows) > 1 and width > 1 and len(set(column)) == 1:
            constant.append((index, column[0]))
            continue
        habit = _habit(sheet.names, columns, index, inline)
        if habit is not None:
            usual.append((index, *habit))
        else:
            inline.append(index)
    if not inline and width:
        inline = [0]
        constant = [entry for entry in constant if entry[0]]
        usual = [entry for entry in usual if entry[0]]
    return Layout(
        sheet.names,
        tuple(inline),
        tuple(constant),
        tuple(usual),
        separator or _separator(sheet.names, columns, inline),
        len(rows),
        sheet.is_named,
    )


def _habit(
    names: Sequence[str], columns: Sequence[Sequence[str]], index: int, inline: list[int]
) -> tuple[str, int] | None:
    """Return the usual value of a column, or the earlier column that it repeats, where saying so once is shorter."""
    column = columns[index]
    counts = Counter(column)
    count = max(counts.values())
    twins = [twin for twin in inline[-MAX_TWINS:] if _is_close(column[:PROBED_ROWS], columns[twin][:PROBED_ROWS])]
    if count * 2 < len(column) and not twins:
        return None
    costs = {value: weight(value) for value in counts}
    named = weight(names[index]) + 3
    best: tuple[int, str, int] | None = None
    if count * 2 >= len(column):
        value = max(value for value, times in counts.items() if times == count)
        spelled = sum((costs[other] + named) * times for other, times in counts.items() if other != value)
        best = (spelled + costs[value] + named, value, -1)
    for twin in twins:
        differing = [mine for mine, other in zip(column, columns[twin], strict=True) if mine != other]
        if len(differing) * 4 <= len(column):
            spelled = sum(costs[mine] + named for mine in differing) + named + weight(names[twin])
            if best is None or spelled < best[0]:
                best = (spelled, "", twin)
    written = sum((cost + 1) * counts[other] for other, cost in costs.items())
    return (best[1], best[2]) if best is not None and best[0] < written else None


def _is_close(column: Sequence[str], other: Sequence[str]) -> bool:
    return sum(1 for mine, theirs in zip(column, other, strict=True) if mine != theirs) * 2 <= len(column)


def _separator(names: Sequence[str], columns: Sequence[Sequence[str]], inline: Sequence[int]) -> str:
    """Return a space where it keeps the columns apart, a bar where a cell may be empty or hold a varying word count, a tab
    where bars stand in cells."""
    if not any(
        "" in columns[index] or (index != inline[-1] and len({cell.count(" ") for cell in columns[index]}) > 1)
        for index in inline
    ):
        return " "
    cells = [cell for index in inline for cell in (names[index], *columns[index]) if "|" in cell or "\t" in cell]
    has_bars = any([" | " in f" {cell} " for cell in cells])
    return "\t" if has_bars and not any(["\t" in cell for cell in cells]) else " | "
