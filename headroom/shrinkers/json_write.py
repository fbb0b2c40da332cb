"""Writes a JSON value shorter: alike objects as rows, repeated parts by reference, long lists by what stands out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from headroom.shrinkers import json_pick, json_rows, json_text, trouble
from headroom.shrinkers.json_cut import cut
from headroom.shrinkers.json_tables import Tables
from headroom.shrinkers.json_tally import LIMITS, Limits, Tally
from headroom.values import Level

FOLD_CHARS = 1_000_000
"""Longer texts are not searched for repeated parts."""

_MIN_REPEATED_CHARS = 80
_MAX_REPEATED_CHARS = 20_000
_MAX_DEPTH = 25
_LONG_MEMBER_CHARS = 200
_MIN_LINKS = 4
_SHALLOW_PARTS = 80
_SHALLOW_CHARS = 80
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
    tally: Tally = field(default_factory=Tally)
    where: dict[str, str] = field(default_factory=dict)
    flat: int = 0
    limits: Limits | None = field(init=False)
    tables: Tables = field(init=False)

    def __post_init__(self) -> None:
        self.limits = LIMITS.get(self.level)
        self.tables = Tables(
            self.level, self.limits, self.words, self.references, self.is_spaced, self.tally, self._flat_cell
        )

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
        quoted, lost = self.tally.quoted, self.tally.lost
        written = self._container(value, path, depth)
        if not self.flat and len(plain) < _MAX_REPEATED_CHARS and path and lost == self.tally.lost:
            self.where[plain] = path
        return written if len(written) < len(plain) or quoted != self.tally.quoted else plain

    def _is_quoted(self, value: dict[str, Any]) -> bool:
        """Return whether a small object says itself that something is wrong: it keeps its spelling."""
        if (
            self.flat
            or self.tally.quoted >= _MAX_QUOTED_OBJECTS
            or any(isinstance(part, list) and len(part) > 3 for part in value.values())
        ):
            return False
        texts = [part for part in value.values() if isinstance(part, str) and " " in part]
        if not trouble.reporting(texts) or len(json_text.compact(value)) > _MAX_QUOTED_CHARS:
            return False
        self.tally.quoted += 1
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
        return cut(value, self.limits.string_chars, self.tally) if self.limits else _string(value)

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
            self.tally.links += dropped
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
        table = self.tables.of_objects(rows)
        return "{" + table + "}" if table else ""

    def _list(self, value: list[Any], path: str, depth: int) -> str:
        if not any(isinstance(part, (dict, list)) for part in value):
            return self._values(value, path)
        if not self.flat and len(value) >= json_rows.MIN_ROWS and all(isinstance(part, dict) for part in value):
            table = self.tables.of_objects(value)
            if table:
                return "[" + table + "]"
        lists = "" if self.flat else self.tables.of_lists(value, path, folds=self.folds)
        return lists or self._parts(value, path, depth)

    def _parts(self, value: list[Any], path: str, depth: int) -> str:
        """Return a list of unlike or large things, one after another."""
        chosen = self._chosen_parts(value)
        self.tally.rows_total += len(value)
        if len(chosen) == len(value):
            parts = [self.write(part, f"{path}[{index}]", depth + 1) for index, part in enumerate(value)]
            return "[" + self._members(parts) + "]"
        self.tally.rows += len(value) - len(chosen)
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
        self.tally.values += len(value) - len(chosen)
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

    def _flat_cell(self, value: Any) -> str:
        """Return a value as it stands in a row: on one line, without references."""
        self.flat += 1
        written = self._cell(value)
        self.flat -= 1
        return written

    def _cell(self, value: Any) -> str:
        if isinstance(value, str):
            return cut(value, self.limits.cell_chars, self.tally) if self.limits else _string(value)
        if isinstance(value, (dict, list)) and value and self.limits:
            plain = json_text.compact(value)
            return plain if len(plain) <= self.limits.cell_chars else self._container(value, "", 1)
        return json_text.compact(value)


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
