"""Rows of a database as Python prints them, `[('Wien', 1608144), ('Graz', 240967)]`: a line each, what all share said once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from headroom.values import Form, Source

MAX_CHARS = 400_000
MIN_ROWS = 4
MIN_SHARE = 0.8
"""Of a column's values, so many must be spelled alike; the others are written as they are."""
STAR = "*"
SPLITS = (", ", " | ")
"""What may stand between values. One in quotes that has it keeps them."""
QUOTES = frozenset("'\"")

_TEXT = r"""b?(?:'(?:[^'\\\n]|\\.)*+'|"(?:[^"\\\n]|\\.)*+")"""
_VALUE = rf"(?:{_TEXT}|-?[\w.+-]++(?:\((?:{_TEXT}|[^()'\"\n])*+\))?)"
_ROW = re.compile(rf"\(({_VALUE}(?:, {_VALUE})*+)(,?)\)")
_VALUES = re.compile(_VALUE)
_LIKE = re.compile(r"(b?['\"]|[A-Za-z_][\w.]*\(b?['\"]?)(.*?\S)( *['\"]?\)?)")
_ODD = re.compile(r"b?['\"]|[A-Za-z_][\w.]*\(|(?:None|True|False)\Z")
"""How nothing begins that was freed of its quotes."""

Spelling = tuple[str, str]
"""What stands before and behind a value."""


def forms(source: Source) -> Iterable[Form]:
    """Yield one row a line, below how a row is spelled."""
    text = source.text.strip()
    if len(text) > MAX_CHARS or not text.startswith("[(") or not text.endswith(")]"):
        return
    rows = read(text)
    if rows is None:
        return
    columns = [_spelling(column) for column in zip(*rows, strict=True)]
    is_split = sum(not isinstance(how, str) for how in columns) > 1
    for split in SPLITS if is_split else ("",):
        lines = [_line(row, columns, split) for row in rows]
        if all(lines):
            break
    else:
        return
    like = ", ".join(how if isinstance(how, str) else STAR.join(how) for how in columns)
    end = "," if len(columns) == 1 else ""
    by = f", split by “{split.strip()}”" if split else ""
    head = f"[{len(rows):,} tuples like ({like}{end}), a line each; below is only what stands at the stars{by}]"
    yield Form("\n".join([head, *lines]), "tuples")


def read(text: str) -> list[list[str]] | None:
    """Return the values of each tuple as they are spelled, None unless a text is a list of alike ones.

    >>> read("[('Wien', 1.5), ('Graz', None), ('Linz', 2), ('Wels', 3)]")
    [["'Wien'", '1.5'], ["'Graz'", 'None'], ["'Linz'", '2'], ["'Wels'", '3']]
    """
    rows: list[list[str]] = []
    at = 1
    while found := _ROW.match(text, at):
        rows.append(_VALUES.findall(found[1]))
        if len(rows[-1]) != len(rows[0]) or (found[2] == ",") != (len(rows[0]) == 1):
            return None
        at = found.end()
        if not text.startswith(", ", at):
            break
        at += 2
    return rows if at == len(text) - 1 and len(rows) >= MIN_ROWS else None


def _spelling(column: Sequence[str]) -> Spelling | str:
    """Return what stands around nearly all values of a column, nothing where they differ in that, and a value that is the
    same everywhere."""
    if len(set(column)) == 1 and STAR not in column[0]:
        return column[0]
    counts = Counter(_around(value) for value in column)
    how, times = max(counts.items(), key=lambda pair: (pair[1], pair[0]))
    if times < MIN_SHARE * len(column):
        return "", ""
    # A value that is spelled in another way has to show that it is: a bare number could be a text of digits.
    return how if all(_around(value) == how or _ODD.match(value) for value in column) else ("", "")


def _around(value: str) -> Spelling:
    found = _LIKE.fullmatch(value)
    is_clear = found is not None and not _ODD.match(found[2]) and not found[2].startswith(" ")
    return (found[1], found[3]) if found is not None and is_clear else ("", "")


def _line(row: Sequence[str], columns: Sequence[Spelling | str], split: str) -> str:
    """Return what differs in a row, "" where it could not be told apart."""
    shown: list[str] = []
    for value, how in zip(row, columns, strict=True):
        if isinstance(how, str):
            continue
        before, behind = how
        inner = value[len(before) : len(value) - len(behind)] if before and _around(value) == how else value
        if split and split in inner:
            inner = value if QUOTES.intersection(value[:2]) else ""
        if not inner:
            return ""
        shown.append(inner)
    return split.join(shown)
