"""Writes a JSON value shorter: alike objects as rows, repeated parts by reference, long lists by what stands out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from headroom.shrinkers import json_pick, json_rows, json_text, others, trouble
from headroom.values import Level


@dataclass(frozen=True, slots=True)
class Limits:
    """What is still shown whole, in characters; about three make a token."""

    table_chars: int
    rows: int
    list_chars: int
    string_chars: int
    cell_chars: int


LIMITS: dict[Level, Limits] = {
    "balanced": Limits(table_chars=4500, rows=24, list_chars=3000, string_chars=2000, cell_chars=600),
    "deep": Limits(table_chars=1800, rows=12, list_chars=600, string_chars=400, cell_chars=200),
}

FOLD_CHARS = 1_000_000
"""Longer texts are not searched for repeated parts."""

_MIN_REPEATED_CHARS = 80
_MIN_ROW_CHARS = 40
_MAX_REPEATED_CHARS = 20_000
_MAX_DEPTH = 25
_WIDE_ROW_CHARS = 1_000
_LONG_MEMBER_CHARS = 200
_MIN_LINKS = 4
_MIN_LINES = 12
_LONG_LINE_CHARS = 1_000
_SHALLOW_PARTS = 80
_SHALLOW_CHARS = 80
_PROBED_ROWS = 60
_PROBED_PARTS = 400
_FEW_VALUES = 12
_MAX_QUOTED = 24
_MAX_QUOTED_OBJECTS = 60
_MAX_QUOTED_CHARS = 4_000
_string = json_rows.string


@dataclass(slots=True)
class Writer:
    """One document being written, and what was left out of it so far.

    `is_spaced` says that the source has a blank behind its colons: objects that report trouble are spelled like that.
    """

    level: Level
    words: frozenset[str] = frozenset()
    references: frozenset[str] = frozenset()
    folds: bool = True
    is_spaced: bool = False
    rows_left: int = 0
    rows_total: int = 0
    values_left: int = 0
    chars_left: int = 0
    links_left: int = 0
    quoted: int = 0
    where: dict[str, str] = field(default_factory=dict)
    flat: int = 0
    limits: Limits | None = field(init=False)

    def __post_init__(self) -> None:
        self.limits = LIMITS.get(self.level)

    def left_out(self) -> str:
        """Return in words what was not written, "" when everything was."""
        parts = []
        if self.rows_left:
            parts.append(f"{self.rows_left:,} of {self.rows_total:,} objects of long lists (or parts of them)")
        if self.values_left:
            parts.append(f"{self.values_left:,} values of long lists")
        if self.chars_left:
            parts.append(f"{self.chars_left:,} characters of long strings")
        if self.links_left:
            parts.append(f"{self.links_left:,} links that only add to the url beside them")
        return ", ".join(parts)

    def write(self, value: Any, path: str = "", depth: int = 0) -> str:
        """Return a value as compact JSON, with words where that is shorter."""
        if isinstance(value, str):
            return self._text(value, path)
        if not isinstance(value, (dict, list)) or not value:
            return json_text.compact(value)
        if depth > _MAX_DEPTH:
            return json_text.compact(value)
        if self.is_spaced and isinstance(value, dict) and self._is_quoted(value):
            return json_text.spaced(value)
        if not self.folds:
            return self._container(value, path, depth)
        plain = json_text.compact(value)
        if len(plain) < _MIN_REPEATED_CHARS:
            return plain
        if plain in self.where:
            return f"<same as {self.where[plain]}>"
        quoted, lost = self.quoted, self.rows_left + self.values_left + self.chars_left
        written = self._container(value, path, depth)
        if (
            not self.flat
            and len(plain) < _MAX_REPEATED_CHARS
            and path
            and lost == self.rows_left + self.values_left + self.chars_left
        ):
            self.where[plain] = path
        return written if len(written) < len(plain) or quoted != self.quoted else plain

    def _is_quoted(self, value: dict[str, Any]) -> bool:
        """Return whether a small object says itself that something is wrong: it keeps its spelling."""
        if (
            self.flat
            or self.quoted >= _MAX_QUOTED_OBJECTS
            or any(isinstance(part, list) and len(part) > 3 for part in value.values())
        ):
            return False
        texts = [part for part in value.values() if isinstance(part, str) and " " in part]
        if not trouble.reporting(texts) or len(json_text.compact(value)) > _MAX_QUOTED_CHARS:
            return False
        self.quoted += 1
        return True

    def _container(self, value: Any, path: str, depth: int) -> str:
        if isinstance(value, dict):
            return self._keyed(value) or self._object(value, path, depth)
        return self._list(value, path, depth)

    def _text(self, value: str, path: str) -> str:
        if len(value) >= _MIN_REPEATED_CHARS and self.folds and path and not value.startswith(json_text.NUMBER):
            known = f'"{value}'  # no list or object begins like that
            if known in self.where:
                return f"<same as {self.where[known]}>"
            if not self.flat:
                self.where[known] = path
        return self._cut(value, self.limits.string_chars) if self.limits else _string(value)

    def _cut(self, value: str, most: int) -> str:
        if len(value) <= most or (len(value) <= 2 * most and trouble.reports(value)):
            return _string(value)
        if value.count("\n") >= _MIN_LINES:
            return _string(self._cut_lines(value.split("\n"), most))
        head, tail = most * 2 // 3, most // 4
        gone = len(value) - head - tail
        self.chars_left += gone
        return _string(f"{value[:head]}… [{gone:,} characters left out] …{value[-tail:]}")

    def _cut_lines(self, lines: list[str], most: int) -> str:
        """Keep the beginning, the end and the lines that report trouble."""
        kept = set(trouble.reporting(lines)[:_MAX_QUOTED])
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
                self.chars_left += sum(map(len, gone)) + len(gone)
                out.append(f"[{len(gone):,} lines left out]")
            out += [_short(line) for line in lines[index : index + 1]]
            before = index
        return "\n".join(out)

    def _object(self, value: dict[str, Any], path: str, depth: int) -> str:
        base = _link_base(value) if self.folds else ""
        dropped = 0
        members = []
        for name, part in value.items():
            if base and isinstance(part, str) and part != base and part.startswith(base):
                if self.limits:
                    dropped += 1
                    continue
                part = f"…{part[len(base) :]}"
            members.append(f"{_string(name)}:{self.write(part, _joined(path, name), depth + 1)}")
        if dropped:
            self.links_left += dropped
            members.append(f'"…":"{dropped} links below url"')
        return "{" + self._members(members) + "}"

    def _members(self, members: Sequence[str]) -> str:
        if self.flat or sum(map(len, members)) < 2 * _LONG_MEMBER_CHARS:
            return ",".join(members)
        out = [members[0]]
        for before, member in zip(members, members[1:], strict=False):
            is_long = len(before) > _LONG_MEMBER_CHARS or len(member) > _LONG_MEMBER_CHARS
            out.append(",\n" if is_long else ",")
            out.append(member)
        return "".join(out)

    def _keyed(self, value: dict[str, Any]) -> str:
        """Return an object whose members are all alike as rows that begin with their key."""
        if self.flat or len(value) < 5 or not all(isinstance(part, dict) and part for part in value.values()):
            return ""
        rows = [{"(key)": name, **part} for name, part in value.items()]
        table = self._table(rows)
        return "{" + table + "}" if table else ""

    def _list(self, value: list[Any], path: str, depth: int) -> str:
        if not any(isinstance(part, (dict, list)) for part in value):
            return self._values(value, path)
        if not self.flat and len(value) >= json_rows.MIN_ROWS and all(isinstance(part, dict) for part in value):
            table = self._table(value)
            if table:
                return "[" + table + "]"
        return self._lists(value, path) or self._parts(value, path, depth)

    def _lists(self, value: list[Any], path: str) -> str:
        """Return lists of alike objects as lists of rows, one a line, "" where they are too unlike or too large for that."""
        if self.flat or not all(isinstance(part, list) and part for part in value):
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
        self.flat += 1
        written = iter([layout.row(index, self._cell) for index in range(len(rows))])
        head = layout.head(self._cell)
        self.flat -= 1
        seen: dict[str, str] = {}
        lines = [
            ",".join(self._row_or_place(next(written), f"{path}[{n}][{k}]", seen) for k in range(len(part)))
            for n, part in enumerate(value)
        ]
        return f"[\n{len(value):,} lists of rows as {head}\n" + "\n".join(f"[{line}]" for line in lines) + "\n]"

    def _row_or_place(self, row: str, place: str, seen: dict[str, str]) -> str:
        """Return a row, or where it stands already."""
        first = seen.setdefault(row, place)
        return row if first == place or not self.folds or len(row) < _MIN_ROW_CHARS else f"<same as {first}>"

    def _parts(self, value: list[Any], path: str, depth: int) -> str:
        """Return a list of unlike or large things, one after another."""
        chosen = self._chosen_parts(value)
        self.rows_total += len(value)
        if len(chosen) == len(value):
            parts = [self.write(part, f"{path}[{index}]", depth + 1) for index, part in enumerate(value)]
            return "[" + self._members(parts) + "]"
        self.rows_left += len(value) - len(chosen)
        head = f"[{len(value):,} items, {len(chosen):,} of them whole"
        if len(value) > _SHALLOW_PARTS or self.level == "deep":
            parts = [self.write(value[index], f"{path}[{index}]", depth + 1) for index in chosen]
            return f"{head}, the others left out:\n" + ",\n".join(parts) + "]"
        whole = frozenset(chosen)
        parts = [
            self.write(part, f"{path}[{index}]", depth + 1) if index in whole else _shallow(part)
            for index, part in enumerate(value)
        ]
        return f"{head}, of the others what is short:\n" + ",\n".join(parts) + "]"

    def _chosen_parts(self, value: list[Any]) -> Sequence[int]:
        if self.limits is None or len(value) <= self.limits.rows // 2:
            return range(len(value))
        step = max(1, len(value) // _PROBED_PARTS)
        probe = [len(json_text.compact(part)) for part in value[::step]]
        mean = sum(probe) / len(probe)
        if mean * len(value) <= 2 * self.limits.table_chars:
            return range(len(value))
        keep = max(self.limits.rows // 3, min(self.limits.rows, int(2 * self.limits.table_chars / mean)))
        columns = json_rows.scalar_columns(value)
        chosen = set(
            json_pick.pick(columns, len(value), keep, words=self.words, references=self.references)
            if columns
            else json_pick.spread(len(value), keep)
        )
        if len(value) <= _PROBED_PARTS:
            chosen.update(trouble.reporting([json_text.compact(part) for part in value])[:_MAX_QUOTED])
        return sorted(chosen)

    def _values(self, value: list[Any], path: str) -> str:
        """Return a list of plain values, a long one by the values that stand out."""
        whole = json_text.compact(value)
        if self.limits is None or len(value) <= _FEW_VALUES or len(whole) <= self.limits.list_chars:
            return self._whole_values(value, path, whole)
        column = json_rows.column("", value)
        keep = max(12, self.limits.list_chars * len(value) // (2 * len(whole)))
        chosen = json_pick.pick([column], len(value), keep, words=self.words, references=frozenset())
        self.values_left += len(value) - len(chosen)
        words = json_pick.told(column)
        shown = ",".join(self._cell(value[index]) for index in chosen)
        return f"[{len(value):,} values{' ' + words if words else ''}; {len(chosen):,} of them shown: {shown}]"

    def _whole_values(self, value: list[Any], path: str, whole: str) -> str:
        """Return all values of a list, those that are long and were there before by reference."""
        if len(whole) < _MIN_REPEATED_CHARS or not any(
            isinstance(part, str) and len(part) >= _MIN_REPEATED_CHARS for part in value
        ):
            return whole
        parts = [
            self._text(part, f"{path}[{index}]" if path else "") if isinstance(part, str) else json_text.compact(part)
            for index, part in enumerate(value)
        ]
        return "[" + ",".join(parts) + "]"

    def _table(self, rows: Sequence[dict[str, Any]]) -> str:
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
        self.quoted += len(quoted)
        self.rows_total += len(rows)
        self.rows_left += len(rows) - len(chosen)
        self.flat += 1
        lines = [
            json_text.spaced(rows[index]) if index in quoted else layout.row(index, self._cell) for index in chosen
        ]
        head = layout.head(self._cell)
        self.flat -= 1
        if len(chosen) == len(rows):
            return f"\n{len(rows):,} rows as {head}\n" + "\n".join(lines) + "\n"
        summary = self._summary(layout) + self._others(layout.inline, rows, chosen)
        return f"\n{len(rows):,} rows, {len(chosen):,} of them shown, as {head}\n{summary}" + "\n".join(lines) + "\n"

    def _mean_chars(self, layout: json_rows.Layout, count: int) -> float:
        """Return how long a row is, by rows evenly spread over the table."""
        before = (self.values_left, self.chars_left, self.rows_left, self.rows_total, self.links_left)
        self.flat += 1
        lengths = [len(layout.row(index, self._cell)) for index in range(0, count, max(1, count // _PROBED_ROWS))]
        self.flat -= 1
        self.values_left, self.chars_left, self.rows_left, self.rows_total, self.links_left = before
        return sum(lengths) / len(lengths)

    def _troubled(self, rows: Sequence[dict[str, Any]]) -> frozenset[int]:
        """Return the rows that keep their spelling, because they report trouble in words."""
        if not self.is_spaced or len(rows) > _PROBED_PARTS:
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

    def _cell(self, value: Any) -> str:
        if isinstance(value, str):
            return self._cut(value, self.limits.cell_chars) if self.limits else _string(value)
        if isinstance(value, (dict, list)) and value and self.limits:
            plain = json_text.compact(value)
            return plain if len(plain) <= self.limits.cell_chars else self._container(value, "", 1)
        return json_text.compact(value)


def _short(line: str) -> str:
    return line if len(line) <= _LONG_LINE_CHARS else f"{line[:_LONG_LINE_CHARS]}…"


def _shallow(part: Any) -> str:
    """Return the short plain fields of an object, and that there was more."""
    if not isinstance(part, dict):
        return "…"
    short = [
        f"{_string(name)}:{text}"
        for name, value in part.items()
        if not isinstance(value, (dict, list)) and len(text := json_text.compact(value)) <= _SHALLOW_CHARS
    ]
    return "{" + ",".join([*short[:8], "…"]) + "}"


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _link_base(value: dict[str, Any]) -> str:
    """Return the url of an object when several other links only add to it."""
    base = value.get("url")
    if not isinstance(base, str) or len(base) < 16 or not base.startswith("http"):
        return ""
    below = sum(isinstance(part, str) and part.startswith(base) and part != base for part in value.values())
    return base if below >= _MIN_LINKS else ""


def references(value: Any, depth: int = 3) -> frozenset[str]:
    """Return the short texts that a document's own head uses: they may name rows further down."""
    found: set[str] = set()
    todo = [(value, depth)]
    while todo:
        part, left = todo.pop()
        if isinstance(part, dict) and left:
            todo.extend((child, left - 1) for child in list(part.values())[:60])
        elif isinstance(part, str) and 2 < len(part) <= 80:
            found.add(part)
    return frozenset(found)
