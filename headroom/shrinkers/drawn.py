"""Writes tables that were found in a text: even columns said once above the rows, long tables by their telling rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby

from headroom.shrinkers import others, sample, trouble
from headroom.shrinkers.grid import PROBED_ROWS, Item, Layout, Row, Sheet, arrange, weight
from headroom.values import Form, Level

TOKENS_SHOWN: dict[Level, int] = {"balanced": 4000, "deep": 700}
"""A table that costs no more than this is shown whole."""

ROWS_SHOWN: dict[Level, int] = {"balanced": 60, "deep": 12}
MOSTLY_NAMES, NAMES_WORTH = 0.5, 3
"""Where names are more than half of what the rows say, saying these alone saves little: so many times as much is shown."""

WORTH_HIDING = 1.5
"""Where two rows of three are shown anyhow, a second look for the others costs more than they do."""

# What begins with a character, and not with a look behind, is found much faster.
_PADDING = re.compile(r"  (?<=[^\s:|→>-]  ) ++(?=\S)(?!\\_|[├└│])")
_BEFORE_COLON = re.compile(r"(?:\t(?<=\S\t)[ \t]*+| (?<=\S ) ++)(?=[:=] )")
_AFTER_KEY = re.compile(r"(?m)^(\s*[A-Za-z][\w ()#%-]{0,60}[:=])(?: {2,}|\t[ \t]*)(?=\S)")
# The blanks behind a line number or a path are the indentation of code: an edit must be able to quote them.
_NUMBERED = re.compile(r"\s*+(?:\S{1,200}?[:-])?\d{1,7}(?:[:|→\t]|-(?!\S)| {2,}\S)")
_LEADER = re.compile(r"(?m)(?<=[^\s.:])(?: ?\.){5,}(?: ?:(?: |$)| )")
_LONGEST_LINE = 4000


@dataclass(frozen=True, slots=True)
class Shown:
    """The places of a table's rows that are shown, and what is said of the names of the others: above all rows, or of a table
    in several parts, such as a listing of several folders, behind the last row of each."""

    places: frozenset[int]
    others: list[str]
    parts: Mapping[int, str]


def forms(items: Sequence[Item], level: Level, *, wanted: str = "") -> Iterable[Form]:
    """Yield the text with its tables written shorter; first with every row, then with the rows that matter most."""
    sheets = {id(item[0]): item[0] for item in items if not isinstance(item, str)}
    if not sheets:
        return
    reported = trouble.reporting([item if isinstance(item, str) else item[1].line for item in items])
    quoted = trouble.quoted(reported, len(items))
    layouts = {key: arrange(sheet) for key, sheet in sheets.items()}
    loose = squeezed([item for item in items if isinstance(item, str)])
    yield Form(_written(items, loose, layouts, {}, quoted), "table_columns")
    if level == "lossless":
        return
    found = [items[position] for position in reported]
    troubled = frozenset(id(item[1]) for item in found if not isinstance(item, str))
    parts = _parts(items)
    shown = {
        key: picked
        for key, sheet in sheets.items()
        if (picked := _picked(sheet, parts[key], layouts[key], level, wanted, troubled)) is not None
    }
    total = sum(len(sheet.rows) for sheet in sheets.values())
    hidden = sum(len(sheets[key].rows) - len(one.places) for key, one in shown.items())
    if hidden:
        yield Form(_written(items, loose, layouts, shown, quoted), "table_rows", f"{hidden:,} of {total:,} rows")


def squeeze(line: str) -> str:
    """Return a line without the blanks that only draw columns.

    >>> squeeze("Name:        web-1      ")
    'Name: web-1'
    >>> squeeze("12:        return x")
    '12:        return x'
    """
    return squeezed([line])[0]


def squeezed(lines: Sequence[str]) -> list[str]:
    """Return lines without the blanks that only draw columns: `squeeze` for many lines at once."""
    found = [line.rstrip() for line in lines]
    drawn = [
        place
        for place, line in enumerate(found)
        if ("  " in line or "\t" in line or ".." in line or " . " in line)
        and len(line) <= _LONGEST_LINE
        and "\n" not in line
        and not _NUMBERED.match(line)
    ]
    text = "\n".join([found[place] for place in drawn])
    if "....." in text or ". . ." in text:
        text = _LEADER.sub(": ", text)
    if any(mark in text for mark in (" :", "\t:", " =", "\t=")):
        text = _BEFORE_COLON.sub("", text)
    if any(mark in text for mark in (":  ", ":\t", "=  ", "=\t")):
        text = _AFTER_KEY.sub(r"\1 ", text)
    if "   " in text:
        text = _PADDING.sub("  ", text)
    for place, line in zip(drawn, text.split("\n"), strict=False):
        found[place] = line.rstrip()
    return found


def _parts(items: Sequence[Item]) -> dict[int, list[range]]:
    """Return the rows of each sheet that stand together, as those of one folder in a listing of several."""
    parts: dict[int, list[range]] = {}
    counts: Counter[int] = Counter()
    for is_line, together in groupby(items, key=lambda item: isinstance(item, str) or id(item[0])):
        if is_line is not True:
            start = counts[is_line]
            counts[is_line] += sum(1 for _ in together)
            parts.setdefault(is_line, []).append(range(start, counts[is_line]))
    return parts


def _picked(
    sheet: Sheet, parts: Sequence[range], layout: Layout, level: Level, wanted: str, troubled: Collection[int]
) -> Shown | None:
    """Return the rows that matter most of a long sheet, None of a short one; `troubled` are ids of rows with trouble."""
    rows = sheet.rows
    fitting = [row for row in rows if len(row.cells) == len(sheet.names)]
    if len(rows) <= ROWS_SHOWN[level] or not fitting:
        return None
    probe = fitting[:: max(1, len(fitting) // PROBED_ROWS)]
    mean = max(1.0, sum(weight(layout.write(row)) + 1 for row in probe) / len(probe))
    if mean * len(rows) <= TOKENS_SHOWN[level]:
        return None
    width = len(sheet.names)
    cells = [row.cells if len(row.cells) == width else _unfit(sheet, row) for row in rows]
    columns = [[row[index] for row in cells] for index in range(width)]
    budget = TOKENS_SHOWN[level]
    if level == "balanced" and others.share(columns, sum(map(len, chain.from_iterable(cells)))) > MOSTLY_NAMES:
        budget *= NAMES_WORTH
    keep = max(ROWS_SHOWN[level], int(budget / mean))
    if len(rows) <= keep * WORTH_HIDING:
        return None
    reported = [index for index, row in enumerate(rows) if id(row) in troubled]
    picked = sample.pick([row.line for row in rows], columns, keep, wanted=wanted, reported=reported)
    named = zip(sheet.names, columns, strict=True)
    row_chars = sum(len(row.line) for row in rows)
    if len(parts) > 1 and sheet.is_named:
        return Shown(frozenset(picked), [], others.by_part(level, columns[-1], parts, picked, row_chars))
    told = others.names(level, named, picked, len(rows), row_chars)
    if not told and sheet.is_named:
        told = others.beginnings(level, sheet.names[-1], columns[-1], picked, row_chars)
    return Shown(frozenset(picked), told, {})


def _unfit(sheet: Sheet, row: Row) -> tuple[str, ...]:
    """Return what can be told of a row that does not fit: its first word, where columns are words."""
    first = "" if sheet.is_named else row.line.split(maxsplit=1)[0]
    return (first, *[""] * (len(sheet.names) - 1))


def _written(
    items: Sequence[Item],
    loose: Sequence[str],
    layouts: dict[int, Layout],
    shown: dict[int, Shown],
    quoted: frozenset[int],
) -> str:
    """Return the items in their order; `loose` are those that are no rows, without padding."""
    headers = {item[0].header for item in items if not isinstance(item, str) and item[0].header}
    counts: Counter[int] = Counter()
    lines: list[str] = []
    above: dict[int, Row] = {}
    tightened = iter(loose)
    for position, item in enumerate(items):
        if isinstance(item, str):
            tight = next(tightened)
            if item not in headers and not (not item.strip() and (not lines or not lines[-1])):
                lines.append(item.rstrip() if position in quoted else tight)
            continue
        sheet, row = item
        key, layout = id(sheet), layouts[id(sheet)]
        if not counts[key]:
            lines += _head(sheet, layout, shown.get(key))
        if key not in shown or counts[key] in shown[key].places:
            if position in quoted or len(row.cells) != len(sheet.names):
                lines.append(row.line.rstrip())
                above.pop(key, None)
            else:
                lines.append(layout.write(row, above.get(key)))
                above[key] = row
        if key in shown and counts[key] in shown[key].parts:
            lines.append(shown[key].parts[counts[key]])
        counts[key] += 1
    return "\n".join(lines)


def _head(sheet: Sheet, layout: Layout, shown: Shown | None) -> list[str]:
    if shown is None:
        return layout.head()
    said = [
        f"{len(sheet.rows):,} rows, {len(shown.places):,} of them shown in their order: both ends, extremes, rare values, an even spread of the rest."
    ]
    said += summary(layout.names, [row.cells for row in sheet.rows if len(row.cells) == len(sheet.names)])
    return said + shown.others + layout.head()


def summary(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return what all rows hold together: the range of number columns, the counts of columns with few values."""
    said = []
    for index, name in enumerate(names):
        column = [row[index] for row in rows]
        told = describe(column)
        if told:
            said.append(f"{name} {told}")
    return ["Over all rows: " + "; ".join(said[:24])] if said else []


def describe(column: Sequence[str]) -> str:
    """Return one column in words, "" when there is nothing short to say.

    >>> describe(["3", "1", "2"]), describe(["up", "up", "down"])
    ('from 1 to 3, median 2', '2 up, 1 down')
    """
    filled = [cell for cell in column if cell]
    values = Counter(filled)
    if len(values) < 2:
        return ""
    numbers: dict[str, float] = {}
    for value in values:
        number = sample.as_number(value)
        if number is None:
            break
        numbers[value] = number
    if len(numbers) == len(values):
        ordered = sorted(filled, key=lambda cell: (numbers[cell], cell))
        return f"from {ordered[0]} to {ordered[-1]}, median {ordered[len(ordered) // 2]}"
    if len(values) <= 12 and len(values) * 3 <= len(filled) + 3:
        return ", ".join(
            f"{times:,} {value}" for value, times in sorted(values.items(), key=lambda pair: (-pair[1], pair[0]))
        )
    return ""
