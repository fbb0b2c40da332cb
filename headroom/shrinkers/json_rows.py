"""Objects that are alike as rows: columns, what is the same in all rows, what is nearly always the same."""

from __future__ import annotations

import json.encoder
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from headroom.shrinkers import json_text

MIN_ROWS = 3
MAX_COLUMNS = 120
ABSENT = "-"
"""What a row shows where its object does not have the field."""


class _Missing:
    """Stands for the value of a field that an object does not have."""


MISSING = _Missing()

_MIN_FILL = 0.45
_USUAL_SHARE = 0.75
_INLINE_FILL = 0.5
_COMPARED_ROWS = 2_000
_MIN_DERIVED_ROWS = 4
_MIN_DERIVED_CHARS = 16
_MIN_BASE_CHARS = 4
_SCALARS: frozenset[type] = frozenset([str, int, float, bool, type(None), _Missing])
string = json.encoder.encode_basestring

Encode = Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Column:
    """One field of all objects, MISSING where an object does not have it."""

    name: str
    values: list[Any]
    types: frozenset[type]

    @property
    def label(self) -> str:
        return string(self.name)

    @property
    def is_scalar(self) -> bool:
        return self.types <= _SCALARS

    def counts(self) -> Counter[Hashable]:
        """Return how often each value occurs; of values that are no scalars, their text, and nothing when they are many."""
        if self.is_scalar and len(self.types - {_Missing, type(None)}) <= 1:
            return Counter(self.values)
        if len(self.values) > _COMPARED_ROWS:
            return Counter()
        return Counter(value if value is MISSING else json_text.compact(value) for value in self.values)


@dataclass(frozen=True, slots=True)
class Derived:
    """A field that is another one with the same text before and behind it in all rows, as links are."""

    column: Column
    base: Column
    before: str
    behind: str

    def rule(self) -> str:
        """Return in words how to read the field."""
        before = f"{string(self.before)} + " if self.before else ""
        behind = f" + {string(self.behind)}" if self.behind else ""
        return f"{self.column.label} is {before}{self.base.label}{behind}"


@dataclass(frozen=True, slots=True)
class Layout:
    """How rows are written: `constant` and `usual` once above them, `inline` in every row, `sparse` where present."""

    inline: tuple[Column, ...]
    constant: tuple[Column, ...]
    usual: tuple[tuple[Column, Any], ...]
    twins: tuple[tuple[Column, Column], ...]
    sparse: tuple[Column, ...]
    derived: tuple[Derived, ...] = ()

    def row(self, index: int, encode: Encode, *, in_full: bool = False) -> str:
        """Return one object: its cells, then an object of what is not as usual; an unusual one in full, links and all."""
        cells = [_cell(column.values[index], encode) for column in self.inline]
        odd = [
            f"{column.label}:{_cell(column.values[index], encode)}"
            for column, usual in self.usual
            if not _is_same(column.values[index], usual)
        ]
        if in_full or odd:
            odd += [f"{one.column.label}:{encode(one.column.values[index])}" for one in self.derived]
        odd += [
            f"{column.label}:{encode(column.values[index])}"
            for column in self.sparse
            if column.values[index] is not MISSING
        ]
        if odd:
            cells.append("{" + ",".join(odd) + "}")
        return "[" + ",".join(cells) + "]"

    def head(self, encode: Encode) -> str:
        """Return in words what stands above the rows."""
        parts = ["[" + ",".join(column.label for column in self.inline) + "]"]
        if self.constant:
            same = ",".join(f"{column.label}:{encode(column.values[0])}" for column in self.constant)
            parts.append("the same in all: {" + same + "}")
        if self.usual:
            usual = ",".join(f"{column.label}:{encode(value)}" for column, value in self.usual)
            parts.append("unless a row ends in its own: {" + usual + "}")
        if self.twins:
            parts.append(", ".join(f"{column.label} equals {twin.label}" for column, twin in self.twins))
        if self.derived:
            parts.append(", ".join(one.rule() for one in self.derived))
        if any(_Missing in column.types for column in (*self.inline, *(column for column, _ in self.usual))):
            parts.append(f"{ABSENT} where a field is absent")
        return "; ".join(parts)


def _cell(value: Any, encode: Encode) -> str:
    return ABSENT if value is MISSING else encode(value)


def _is_same(value: Any, usual: Any) -> bool:
    return type(value) is type(usual) and bool(value == usual)


def columns(rows: Sequence[dict[str, Any]]) -> list[Column] | None:
    """Return the fields of objects that are alike, nested objects as dotted names; None when they are too unlike."""
    names = list(dict.fromkeys(chain.from_iterable(rows)))
    found = _columns(rows, names, "", 0 if not any("." in name for name in names) else 3)
    return found if found is not None and len(found) <= MAX_COLUMNS else None


def _columns(rows: Sequence[dict[str, Any]], names: Iterable[str], prefix: str, depth: int) -> list[Column] | None:
    names = list(names)
    if not names or len(names) > MAX_COLUMNS or sum(map(len, rows)) < _MIN_FILL * len(names) * len(rows):
        return None
    found: list[Column] = []
    for name in names:
        values = [row.get(name, MISSING) for row in rows]
        types = frozenset(map(type, values))
        nested = _nested(values, f"{prefix}{name}.", depth) if types == {dict} else None
        found += nested if nested is not None else [Column(prefix + name, values, types)]
    return found


def _nested(values: list[Any], prefix: str, depth: int) -> list[Column] | None:
    names = dict.fromkeys(chain.from_iterable(values))
    if depth >= 3 or not all(values) or any("." in name for name in names):
        return None
    return _columns(values, names, prefix, depth + 1)


def column(name: str, values: list[Any]) -> Column:
    """Return a field with the types it holds."""
    return Column(name, values, frozenset(map(type, values)))


def scalar_columns(parts: Sequence[Any]) -> list[Column]:
    """Return the plain fields of unlike objects, for choosing between them."""
    objects = [part if isinstance(part, dict) else {} for part in parts]
    names = dict.fromkeys(
        name for part in objects for name, value in part.items() if not isinstance(value, (dict, list))
    )
    found = [column(name, [part.get(name, MISSING) for part in objects]) for name in list(names)[:30]]
    return [one for one in found if one.is_scalar]


def arrange(found: Sequence[Column]) -> Layout:
    """Return the layout that says what columns share once."""
    inline: list[Column] = []
    constant: list[Column] = []
    usual: list[tuple[Column, Any]] = []
    twins: list[tuple[Column, Column]] = []
    sparse: list[Column] = []
    for column in found:
        counts, total = column.counts(), len(column.values)
        absent = counts[MISSING] if counts else sum(value is MISSING for value in column.values)
        common, times = counts.most_common(1)[0] if counts else (MISSING, 0)
        twin = next((other for other in inline if other.types == column.types and other.values == column.values), None)
        if times == total and common is not MISSING:
            constant.append(column)
        elif twin is not None:
            twins.append((column, twin))
        elif absent > total * (1 - _INLINE_FILL):
            sparse.append(column)
        elif common is not MISSING and times >= total * _USUAL_SHARE:
            usual.append((column, _value_of(column, common)))
        else:
            inline.append(column)
    if not inline:
        inline, constant, usual = _with_one(constant, usual)
    derived = _derived(inline)
    gone = {id(one.column) for one in derived}
    inline = [column for column in inline if id(column) not in gone]
    return Layout(tuple(inline), tuple(constant), tuple(usual), tuple(twins), tuple(sparse), tuple(derived))


def _derived(inline: Sequence[Column]) -> list[Derived]:
    """Return the fields that follow from others which are still written."""
    found: list[Derived] = []
    gone: set[int] = set()
    for column in inline:
        if (
            column.types != {str}
            or len(column.values) < _MIN_DERIVED_ROWS
            or len(column.values[0]) < _MIN_DERIVED_CHARS
        ):
            continue
        bases = [base for base in inline if base is not column and id(base) not in gone]
        rules = [rule for base in bases if (rule := _rule(column, base)) is not None]
        if rules:
            found.append(max(rules, key=lambda rule: len(str(rule.base.values[0]))))
            gone.add(id(column))
    return found


def _rule(column: Column, base: Column) -> Derived | None:
    if base.types != {str} and base.types != {int}:
        return None
    first, inner = column.values[0], str(base.values[0])
    at = first.rfind(inner)
    if at < 0 or len(inner) == len(first) or len(inner) < _MIN_BASE_CHARS and len(set(base.values[:50])) < 4:
        return None
    before, behind = first[:at], first[at + len(inner) :]
    if first.startswith(json_text.NUMBER) or inner.startswith(json_text.NUMBER):
        return None
    pairs = zip(column.values, base.values, strict=True)
    return (
        Derived(column, base, before, behind)
        if all(one == f"{before}{other}{behind}" for one, other in pairs)
        else None
    )


def _value_of(column: Column, key: Hashable) -> Any:
    """Return the value that was counted under `key`: itself, or the one with that text."""
    if column.is_scalar and len(column.types - {_Missing, type(None)}) <= 1:
        return key
    return next(value for value in column.values if value is not MISSING and json_text.compact(value) == key)


def _with_one(
    constant: list[Column], usual: list[tuple[Column, Any]]
) -> tuple[list[Column], list[Column], list[tuple[Column, Any]]]:
    """Keep one column in the rows, so that every object is still there."""
    if usual:
        return [usual[0][0]], constant, usual[1:]
    return constant[:1], constant[1:], usual
