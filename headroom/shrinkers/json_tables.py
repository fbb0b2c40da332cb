"""Alike objects of a JSON value as rows below one head; of long lists the rows that stand out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from headroom.shrinkers import json_pick, json_rows, json_text, others, trouble
from headroom.shrinkers.json_tally import Limits, Tally
from headroom.values import Level

_MIN_ROW_CHARS = 40
_WIDE_ROW_CHARS = 1_000
_PROBED_ROWS = 60
_MAX_SPELLED_ROWS = 400
_MAX_QUOTED = 24


@dataclass(frozen=True, slots=True)
class Tables:
    """Writes the tables of one document. `cell` writes one value of a row on one line.

    `is_spaced` says that the source has a blank behind its colons: rows that report trouble are spelled like that.
    """

    level: Level
    limits: Limits | None
    words: frozenset[str]
    references: frozenset[str]
    is_spaced: bool
    tally: Tally
    cell: Callable[[Any], str]

    def of_objects(self, rows: Sequence[dict[str, Any]]) -> str:
        """Return objects as rows, "" where they are too unlike or too large for that."""
        columns = json_rows.columns(rows)
        if columns is None:
            return ""
        layout = json_rows.arrange(columns)
        mean = self._mean_chars(layout, len(rows))
        if mean > _WIDE_ROW_CHARS:
            return ""
        quoted = self._troubled(rows)
        chosen = sorted({*self._chosen(layout, len(rows), mean), *quoted})
        self.tally.quoted += len(quoted)
        self.tally.rows_total += len(rows)
        self.tally.rows += len(rows) - len(chosen)
        lines = [json_text.spaced(rows[index]) if index in quoted else layout.row(index, self.cell) for index in chosen]
        head = layout.head(self.cell)
        if len(chosen) == len(rows):
            return f"\n{len(rows):,} rows as {head}\n" + "\n".join(lines) + "\n"
        summary = self._summary(layout) + self._others(layout.inline, rows, chosen)
        return f"\n{len(rows):,} rows, {len(chosen):,} of them shown, as {head}\n{summary}" + "\n".join(lines) + "\n"

    def _mean_chars(self, layout: json_rows.Layout, count: int) -> float:
        """Return how long a row is, by rows evenly spread over the table."""
        before = replace(self.tally)
        lengths = [len(layout.row(index, self.cell)) for index in range(0, count, max(1, count // _PROBED_ROWS))]
        self.tally.go_back_to(before)
        return sum(lengths) / len(lengths)

    def _troubled(self, rows: Sequence[dict[str, Any]]) -> frozenset[int]:
        """Return the rows that keep their spelling, because they report trouble in words."""
        if not self.is_spaced or len(rows) > _MAX_SPELLED_ROWS:
            return frozenset()
        return frozenset(trouble.reporting([json_text.compact(row) for row in rows])[:_MAX_QUOTED])

    def _summary(self, layout: json_rows.Layout) -> str:
        varying = [*layout.inline, *(column for column, _ in layout.usual)]
        words = [f"{column.name} {words}" for column in varying if (words := json_pick.told(column))]
        return f"Over all rows: {'; '.join(words[:12])}\n" if words else ""

    def _others(
        self, columns: Sequence[json_rows.Column], rows: Sequence[dict[str, Any]], chosen: Sequence[int]
    ) -> str:
        probe = [len(json_text.compact(row)) for row in rows[:: max(1, len(rows) // _PROBED_ROWS)]]
        texts = [(column.label, column.values) for column in columns if column.types == {str}]
        return "".join(
            f"{said}\n"
            for said in others.names(self.level, texts, chosen, len(rows), len(rows) * sum(probe) / len(probe))
        )

    def _chosen(self, layout: json_rows.Layout, count: int, mean: float) -> Sequence[int]:
        if self.limits is None or mean * count <= self.limits.table_chars:
            return range(count)
        keep = max(self.limits.rows // 2, min(self.limits.rows, int(self.limits.table_chars / mean)))
        varying = [*layout.inline, *(column for column, _ in layout.usual), *layout.sparse]
        return json_pick.pick(varying, count, keep, words=self.words, references=self.references)

    def of_lists(self, value: Sequence[Any], path: str, *, folds: bool) -> str:
        """Return lists of alike objects as lists of rows, one a line, "" where they are too unlike or too large for that.

        With `folds`, a row that stood there before is told by its place, below `path`.
        """
        if not all(isinstance(part, list) and part for part in value):
            return ""
        rows = [row for part in value for row in part]
        if len(rows) < json_rows.MIN_ROWS or not all(isinstance(row, dict) for row in rows) or self._troubled(rows):
            return ""
        columns = json_rows.columns(rows)
        if columns is None:
            return ""
        layout = json_rows.arrange(columns)
        mean = self._mean_chars(layout, len(rows))
        if mean > _WIDE_ROW_CHARS or (self.limits is not None and mean * len(rows) > self.limits.table_chars):
            return ""
        written = iter([layout.row(index, self.cell) for index in range(len(rows))])
        head = layout.head(self.cell)
        seen: dict[str, str] = {}
        lines = [
            ",".join(_row_or_place(next(written), f"{path}[{n}][{k}]", seen if folds else {}) for k in range(len(part)))
            for n, part in enumerate(value)
        ]
        return f"[\n{len(value):,} lists of rows as {head}\n" + "\n".join(f"[{line}]" for line in lines) + "\n]"


def _row_or_place(row: str, place: str, seen: dict[str, str]) -> str:
    """Return a row, or where it stands already."""
    first = seen.setdefault(row, place)
    return row if first == place or len(row) < _MIN_ROW_CHARS else f"<same as {first}>"
