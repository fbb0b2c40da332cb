"""Lines that the model wrote itself in the call: what an editor shows of an edit, what a test runner repeats of a script."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from headroom.values import Form, Source

MAX_CHARS = 1_000_000
MIN_LINES = 3
MIN_CHARS = 80
"""Shorter stretches cost about what naming them does."""
_MAX_PLACES = 8
_MAX_DEPTH = 3
_LEAD = re.compile(r" *(\d{1,7})(?:→|\t|:|\|)|\+|>(?: |$)")
_SIGNED = {"+": "added ", ">": "typed "}
"""What a diff writes before added lines, and a shell before the further lines of a command."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of the result without what the tool wrote before it: a number, 0 for none, or a sign."""

    number: int
    text: str
    sign: str = ""


@dataclass(frozen=True, slots=True)
class _Stretch:
    """`count` rows of the result, from `row` on, that stand in the argument `name` from its line `line` on, 0-based."""

    row: int
    name: str
    line: int
    count: int


def forms(source: Source) -> Iterable[Form]:
    """Yield the result with what the call says word for word told by its name there: nothing is lost, the call stays."""
    shown = referring(source.text, written(source.call.arguments))
    if shown is not None:
        yield Form(shown, "echo")


def referring(text: str, written: Mapping[str, Sequence[str]]) -> str | None:
    """Return a text with the stretches that were written before told by their names, `None` when there are none."""
    if not written or len(text) > MAX_CHARS:
        return None
    lines = text.split("\n")
    out: list[str] = []
    at = 0
    for stretch in _stretches([_row(line) for line in lines], written):
        out += [*lines[at : stretch.row], _named(lines, stretch, written[stretch.name])]
        at = stretch.row + stretch.count
    return "\n".join([*out, *lines[at:]]) if at else None


def written(arguments: str) -> dict[str, list[str]]:
    """Return the arguments of several lines in a call, by name."""
    if "\\n" not in arguments or len(arguments) > MAX_CHARS:
        return {}
    return dict(_written(_parsed(arguments)))


def _parsed(arguments: str) -> object:
    try:
        return json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        return None


def _written(given: object, name: str = "", depth: int = 0) -> Iterator[tuple[str, list[str]]]:
    if isinstance(given, str) and given.count("\n") >= MIN_LINES - 1:
        yield name, given.split("\n")
    elif isinstance(given, dict) and depth < _MAX_DEPTH:
        for key, value in given.items():
            yield from _written(value, f"{name} {key}".lstrip(), depth + 1)
    elif isinstance(given, list) and depth < _MAX_DEPTH:
        for place, value in enumerate(given, 1):
            yield from _written(value, f"{name} {place}", depth + 1)


def _row(line: str) -> _Row:
    found = _LEAD.match(line)
    if found is None:
        return _Row(0, line)
    return _Row(int(found[1] or 0), line[found.end() :], "" if found[1] else found[0][0])


def _stretches(rows: Sequence[_Row], written: Mapping[str, Sequence[str]]) -> Iterator[_Stretch]:
    places: dict[str, list[tuple[str, int]]] = {}
    for name, lines in written.items():
        for line, text in enumerate(lines):
            known = places.setdefault(text, [])
            if text.strip() and len(known) < _MAX_PLACES:  # runs of blank lines would be gone through again and again
                known.append((name, line))
    row = 0
    while row < len(rows):
        found = max(
            (
                _Stretch(row, name, line, _shared(rows, row, written[name], line))
                for name, line in places.get(rows[row].text, ())
            ),
            key=lambda stretch: stretch.count,
            default=None,
        )
        if (
            found
            and found.count >= MIN_LINES
            and sum(len(one.text) for one in rows[row : row + found.count]) >= MIN_CHARS
        ):
            yield found
            row += found.count
        else:
            row += 1


def _shared(rows: Sequence[_Row], row: int, lines: Sequence[str], line: int) -> int:
    """How many rows from one on stand in the argument from a line on, numbered one by one, added, or neither."""
    count = 0
    step = 1 if rows[row].number else 0
    while row + count < len(rows) and line + count < len(lines):
        one = rows[row + count]
        if one.text != lines[line + count] or one.number != rows[row].number + step * count:
            break
        if one.sign != rows[row].sign:
            break
        count += 1
    return count


def _named(lines: Sequence[str], stretch: _Stretch, written: Sequence[str]) -> str:
    begin = _row(lines[stretch.row])
    shown = f"{stretch.count} {_SIGNED.get(begin.sign, '')}lines"
    if begin.number:
        shown = f"lines {begin.number}-{begin.number + stretch.count - 1}"
    is_whole = stretch.line == 0 and not any(written[stretch.count :])
    part = "" if is_whole else f", lines {stretch.line + 1}-{stretch.line + stretch.count}"
    return f"[{shown} as in {stretch.name}{part}]"
