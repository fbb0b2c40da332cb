"""Objects that are alike as rows: columns, what is the same in all rows, what is nearly always the same."""

from __future__ import annotations

import json.encoder
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

MIN_ROWS = 3
MAX_COLUMNS = 120
MISSING = object()
ABSENT = "-"
"""What a row shows where its object does not have the field."""

_MIN_FILL = 0.45
_USUAL_SHARE = 0.75
_INLINE_FILL = 0.5
_string = json.encoder.encode_basestring


@dataclass(frozen=True, slots=True)
class Column:
    """One field of all objects; `cells` are the values as JSON, None where an object does not have it."""

    name: str
    cells: tuple[str | None, ...]

    @property
    def label(self) -> str:
        return _string(self.name)


@dataclass(frozen=True, slots=True)
class Layout:
    """How rows are written: `constant` and `usual` once above them, `inline` in every row, `sparse` where present."""

    inline: tuple[Column, ...]
    constant: tuple[Column, ...]
    usual: tuple[tuple[Column, str], ...]
    twins: tuple[tuple[Column, Column], ...]
    sparse: tuple[Column, ...]

    def row(self, index: int) -> str:
        """Return one object: its cells, then an object of what is not as usual."""
        cells = [column.cells[index] or ABSENT for column in self.inline]
        odd = [
            f"{column.label}:{ABSENT if cell is None else cell}"
            for column, usual in self.usual
            if (cell := column.cells[index]) != usual
        ]
        odd += [f"{column.label}:{cell}" for column in self.sparse if (cell := column.cells[index]) is not None]
        if odd:
            cells.append("{" + ",".join(odd) + "}")
        return "[" + ",".join(cells) + "]"

    def head(self) -> str:
        """Return in words what stands above the rows."""
        parts = ["[" + ",".join(column.label for column in self.inline) + "]"]
        if self.constant:
            same = ",".join(f"{column.label}:{column.cells[0]}" for column in self.constant)
            parts.append("the same in all: {" + same + "}")
        if self.usual:
            usual = ",".join(f"{column.label}:{cell}" for column, cell in self.usual)
            parts.append("unless a row ends in its own: {" + usual + "}")
        if self.twins:
            parts.append(", ".join(f"{column.label} equals {twin.label}" for column, twin in self.twins))
        if any(None in column.cells for column in self.inline):
            parts.append(f"{ABSENT} where a field is absent")
        return "; ".join(parts)


def columns(rows: Sequence[dict[str, Any]], encode: Any, *, prefix: str = "", depth: int = 0) -> list[Column] | None:
    """Return the fields of objects that are alike, nested objects as dotted names; None when they are too unlike."""
    names = list(dict.fromkeys(chain.from_iterable(rows)))
    if not names or len(names) > MAX_COLUMNS or sum(map(len, rows)) < _MIN_FILL * len(names) * len(rows):
        return None
    found: list[Column] = []
    for name in names:
        cells = [row.get(name, MISSING) for row in rows]
        nested = _nested(cells, encode, f"{prefix}{name}.", depth) if isinstance(cells[0], dict) else None
        if nested is not None:
            found += nested
        else:
            found.append(Column(prefix + name, tuple(None if cell is MISSING else encode(cell) for cell in cells)))
    return found if len(found) <= MAX_COLUMNS else None


def _nested(cells: list[Any], encode: Any, prefix: str, depth: int) -> list[Column] | None:
    if depth >= 3 or not all(isinstance(cell, dict) and cell for cell in cells):
        return None
    if any("." in name for cell in cells for name in cell):
        return None
    return columns(cells, encode, prefix=prefix, depth=depth + 1)


def arrange(found: Sequence[Column]) -> Layout:
    """Return the layout that says what columns share once."""
    inline: list[Column] = []
    constant: list[Column] = []
    usual: list[tuple[Column, str]] = []
    twins: list[tuple[Column, Column]] = []
    sparse: list[Column] = []
    seen: dict[tuple[str | None, ...], Column] = {}
    for column in found:
        counts = Counter(column.cells)
        total = len(column.cells)
        value, times = counts.most_common(1)[0]
        if len(counts) == 1 and value is not None:
            constant.append(column)
        elif column.cells in seen:
            twins.append((column, seen[column.cells]))
        elif counts[None] > total * (1 - _INLINE_FILL):
            sparse.append(column)
        elif value is not None and times >= total * _USUAL_SHARE:
            usual.append((column, value))
        else:
            seen[column.cells] = column
            inline.append(column)
    if not inline:
        inline, constant, usual = _with_one(constant, usual)
    return Layout(tuple(inline), tuple(constant), tuple(usual), tuple(twins), tuple(sparse))


def _with_one(
    constant: list[Column], usual: list[tuple[Column, str]]
) -> tuple[list[Column], list[Column], list[tuple[Column, str]]]:
    """Keep one column in the rows, so that every object is still there."""
    if usual:
        return [usual[0][0]], constant, usual[1:]
    return constant[:1], constant[1:], usual
