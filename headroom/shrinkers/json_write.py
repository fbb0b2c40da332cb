"""Writes a JSON value shorter: alike objects as rows, repeated parts by reference, long lists by what stands out."""

from __future__ import annotations

import json.encoder
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from headroom.shrinkers import drawn, json_rows, json_text, sample, trouble
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
    "deep": Limits(table_chars=1200, rows=8, list_chars=600, string_chars=300, cell_chars=160),
}

FOLD_CHARS = 1_000_000
"""Longer texts are not searched for repeated parts."""

_MIN_REPEATED_CHARS = 80
_MAX_REPEATED_CHARS = 20_000
_MAX_DEPTH = 25
_WIDE_ROW_CHARS = 1_000
_LONG_MEMBER_CHARS = 200
_MIN_LINKS = 4
_MAX_QUOTED = 24
_MAX_QUOTED_OBJECTS = 60
_MAX_QUOTED_CHARS = 4_000
_string = json.encoder.encode_basestring


@dataclass(slots=True)
class Writer:
    """One document being written, and what was left out of it so far.

    `is_spaced` says that the source has a blank behind its colons: objects that report trouble are spelled like that.
    """

    level: Level
    wanted: str = ""
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

    @property
    def limits(self) -> Limits | None:
        return LIMITS.get(self.level)

    def left_out(self) -> str:
        """Return in words what was not written, "" when everything was."""
        parts = []
        if self.rows_left:
            parts.append(f"{self.rows_left:,} of {self.rows_total:,} objects of long lists")
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
            return self._keyed(value, path, depth) or self._object(value, path, depth)
        return self._list(value, path, depth)

    def _text(self, value: str, path: str) -> str:
        if len(value) >= _MIN_REPEATED_CHARS and self.folds and path and not value.startswith(json_text.NUMBER):
            if value in self.where:
                return f"<same as {self.where[value]}>"
            if not self.flat:
                self.where[value] = path
        return self._cut(value, self.limits.string_chars) if self.limits else _string(value)

    def _cut(self, value: str, most: int) -> str:
        if len(value) <= most or trouble.reports(value) and len(value) <= 2 * most:
            return _string(value)
        head, tail = most * 2 // 3, most // 4
        gone = len(value) - head - tail
        self.chars_left += gone
        return _string(f"{value[:head]}… [{gone:,} characters left out] …{value[-tail:]}")

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

    def _keyed(self, value: dict[str, Any], path: str, depth: int) -> str:
        """Return an object whose members are all alike as rows that begin with their key."""
        if self.flat or len(value) < 5 or not all(isinstance(part, dict) and part for part in value.values()):
            return ""
        rows = [{"(key)": name, **part} for name, part in value.items()]
        table = self._table(rows, path, depth)
        return "{" + table + "}" if table else ""

    def _list(self, value: list[Any], path: str, depth: int) -> str:
        if not any(isinstance(part, (dict, list)) for part in value):
            return self._values(value, path)
        if not self.flat and len(value) >= json_rows.MIN_ROWS and all(isinstance(part, dict) for part in value):
            table = self._table(value, path, depth)
            if table:
                return "[" + table + "]"
        return self._parts(value, path, depth)

    def _parts(self, value: list[Any], path: str, depth: int) -> str:
        """Return a list of unlike or large things, one after another."""
        chosen: Iterable[int] = range(len(value))
        plains = [json_text.compact(part) for part in value] if self.limits else []
        if self.limits and sum(map(len, plains)) > 2 * self.limits.table_chars and len(value) > self.limits.rows // 2:
            mean = sum(map(len, plains)) / len(value)
            keep = max(self.limits.rows // 3, min(self.limits.rows, int(2 * self.limits.table_chars / mean)))
            picked = sample.pick(plains, _scalar_columns(value), keep, wanted=self.wanted)
            chosen = sorted({*picked, *trouble.reporting(plains)[:_MAX_QUOTED]})
        parts = [self.write(value[index], f"{path}[{index}]", depth + 1) for index in chosen]
        self.rows_total += len(value)
        if len(parts) == len(value):
            return "[" + self._members(parts) + "]"
        self.rows_left += len(value) - len(parts)
        return f"[{len(value):,} items, {len(parts):,} of them shown:\n" + ",\n".join(parts) + "]"

    def _values(self, value: list[Any], path: str) -> str:
        plain = [json_text.compact(part) for part in value]
        size = sum(map(len, plain)) + len(plain)
        if not self.limits or size <= self.limits.list_chars or len(plain) <= 12:
            if len(plain) < 20 and size > 400:
                plain = [self._text(part, "") if isinstance(part, str) else self.write(part) for part in value]
            return "[" + ",".join(plain) + "]"
        bare = [part.strip('"') for part in plain]
        keep = max(12, self.limits.list_chars * len(plain) // (2 * size))
        chosen = sample.pick(bare, [bare], keep, wanted=self.wanted)
        self.values_left += len(plain) - len(chosen)
        told = drawn.describe(bare)
        return (
            f"[{len(plain):,} values{' ' + told if told else ''}; {len(chosen):,} of them shown: "
            + ",".join(plain[index] for index in chosen)
            + "]"
        )

    def _table(self, rows: Sequence[dict[str, Any]], path: str, depth: int) -> str:
        """Return objects as rows, "" where they are too unlike or too large for that."""
        self.flat += 1
        kept = (self.rows_left, self.values_left, self.chars_left)
        columns = json_rows.columns(rows, self._cell)
        self.flat -= 1
        if columns is None or _mean_chars(columns, len(rows)) > _WIDE_ROW_CHARS:
            self.rows_left, self.values_left, self.chars_left = kept
            return ""
        layout = json_rows.arrange(columns)
        lines = [layout.row(index) for index in range(len(rows))]
        quoted = trouble.reporting(lines)[:_MAX_QUOTED] if self.is_spaced else []
        chosen = self._chosen(rows, layout, columns, lines)
        if quoted:
            chosen = sorted({*chosen, *quoted})
        self.quoted += len(quoted)
        for index in quoted:
            lines[index] = json_text.spaced(rows[index])
        self.rows_total += len(rows)
        self.rows_left += len(rows) - len(chosen)
        count = (
            f"{len(rows):,} rows" if len(chosen) == len(rows) else f"{len(rows):,} rows, {len(chosen):,} of them shown,"
        )
        head = f"\n{count} as {layout.head()}\n"
        if len(chosen) < len(rows):
            head += self._summary(layout)
        return head + "\n".join(lines[index] for index in chosen) + "\n"

    def _summary(self, layout: json_rows.Layout) -> str:
        told = []
        for column in [*layout.inline, *(column for column, _ in layout.usual)]:
            words = drawn.describe([(cell or "").strip('"') for cell in column.cells])
            if words:
                told.append(f"{column.name} {words}")
        return f"Over all rows: {'; '.join(told[:12])}\n" if told else ""

    def _chosen(
        self, rows: Sequence[Any], layout: json_rows.Layout, columns: Sequence[json_rows.Column], lines: Sequence[str]
    ) -> Sequence[int]:
        if self.limits is None or sum(map(len, lines)) <= self.limits.table_chars:
            return range(len(rows))
        mean = sum(map(len, lines)) / len(lines)
        keep = max(self.limits.rows // 2, min(self.limits.rows, int(self.limits.table_chars / mean)))
        varying = [column for column in columns if column not in layout.constant]
        cells = [[(cell or "").strip('"') for cell in column.cells] for column in varying]
        chosen = set(sample.pick(lines, cells, keep, wanted=self.wanted))
        if self.references:
            for column in cells:
                if len(set(column)) * 2 > len(column):
                    named = [index for index, cell in enumerate(column) if cell in self.references]
                    chosen.update(named[:8])
        return sorted(chosen)

    def _cell(self, value: Any) -> str:
        if isinstance(value, str):
            return self._cut(value, self.limits.cell_chars) if self.limits else _string(value)
        if isinstance(value, (dict, list)) and value and self.limits:
            plain = json_text.compact(value)
            return plain if len(plain) <= self.limits.cell_chars else self._container(value, "", 1)
        return json_text.compact(value)


def _mean_chars(columns: Sequence[json_rows.Column], count: int) -> float:
    return sum(sum(map(len, filter(None, column.cells))) for column in columns) / max(1, count)


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _link_base(value: dict[str, Any]) -> str:
    """Return the url of an object when several other links only add to it."""
    base = value.get("url")
    if not isinstance(base, str) or len(base) < 16 or not base.startswith("http"):
        return ""
    below = sum(isinstance(part, str) and part.startswith(base) and part != base for part in value.values())
    return base if below >= _MIN_LINKS else ""


def _scalar_columns(value: Sequence[Any]) -> list[list[str]]:
    """Return the plain fields of objects as columns of text."""
    names = dict.fromkeys(
        name
        for part in value
        if isinstance(part, dict)
        for name, cell in part.items()
        if not isinstance(cell, (dict, list))
    )
    return [[str(part.get(name, "")) if isinstance(part, dict) else "" for part in value] for name in list(names)[:30]]


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
