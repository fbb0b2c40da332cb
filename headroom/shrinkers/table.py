"""CSV and its relatives; tables drawn with blanks or bars are found by `command` inside any output."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from headroom import reading
from headroom.shrinkers import drawn, others, sample
from headroom.shrinkers.grid import MAX_COLUMNS, PROBED_ROWS, Row, Sheet, arrange, unique, weight
from headroom.values import Form, Level, Source

MIN_ROWS = 5
MAX_LINE_CHARS = 100_000
TOKENS_SHOWN: dict[Level, int] = {"balanced": 2000, "deep": 600}
ROWS_SHOWN: dict[Level, int] = {"balanced": 40, "deep": 14}
LIFTED_SHARE = 0.8
"""Rows are only written without their even columns where that brings the text below this share: else it is worth more that
each can be found as it was spelled."""
_LOGGED = re.compile(r"\d\d:\d\d:\d\d,\d{3}\b")
_TIME_WORDS = 3
_STAMPED = re.compile(r".{0,20}?\b\d{1,2}:\d{1,2}:\d{1,2}\b")
WORTH_SHARE = 0.75
"""A sample that is longer than this share of the table saves too little for what it hides."""
WIDE_ROW_TOKENS = 25
"""Rows of prose cost more and tell more than rows of numbers: a table of them is shown whole up to twice the size."""


@dataclass(frozen=True, slots=True)
class Delimited:
    """A CSV text that was read: its first line, its delimiter, and one row per record with the lines it came from."""

    header: str
    names: tuple[str, ...]
    delimiter: str
    rows: tuple[Row, ...]


def forms(source: Source) -> Iterable[Form]:
    """Yield the table with its even columns said once, and for long ones the rows that tell the most."""
    level, wanted = source.policy.level, source.wanted
    table = read(source.text)
    if table is None:
        return
    columns = _columns(table)
    if not reading.is_quotable(source):
        yield from _lifted(table)
    if level != "lossless":
        yield from _sampled(table, columns, level, wanted)


def read(text: str) -> Delimited | None:
    """Return a text as rows when it is delimited by commas, semicolons, tabs or bars; None when it is not."""
    lines = text.rstrip("\n").split("\n")
    if len(lines) <= MIN_ROWS or _LOGGED.search(lines[0]) or max(map(len, lines)) > MAX_LINE_CHARS or "\0" in text:
        return None
    delimiter = _delimiter(lines)
    if delimiter is None or _is_logged(lines[0], delimiter):
        return None
    try:
        records = _records(lines, delimiter, is_quoted='"' in text)
        first, header = next(records)
        names = tuple(cell.strip().strip("\ufeff") for cell in first)
        width = len(names)
        if not 2 <= width <= MAX_COLUMNS or any(len(name) > 80 for name in names):
            return None
        body = [Row(tuple(cells) if len(cells) == width else (), line) for cells, line in records if cells]
    except csv.Error:
        return None
    if len(body) < MIN_ROWS or sum(1 for row in body if row.cells) * 10 < len(body) * 8:
        return None
    return Delimited(header, unique(names), delimiter, tuple(body))


def _records(lines: Sequence[str], delimiter: str, *, is_quoted: bool) -> Iterator[tuple[list[str], str]]:
    """Yield the cells of each record, and its lines as they came: only a quote takes a cell over the end of its line."""
    if not is_quoted:
        yield from zip(csv.reader(lines, delimiter=delimiter), lines, strict=True)
        return
    reader = csv.reader((line.rstrip("\r") + "\n" for line in lines), delimiter=delimiter)
    start = 0
    for cells in reader:
        yield cells, "\n".join(lines[start : reader.line_num])
        start = reader.line_num


def _is_logged(line: str, delimiter: str) -> bool:
    """Return whether a line is a message behind a time, which a delimiter only happens to stand in."""
    if not _STAMPED.match(line):
        return False
    return delimiter == "|" or len(line.split(delimiter, 1)[0].split()) > _TIME_WORDS


def _delimiter(lines: Sequence[str]) -> str | None:
    """Return the delimiter that cuts the first line and most of the next ones into equally many cells, two or more."""
    probe = [line for line in lines[:60] if line.strip()]
    for delimiter in ("\t", ",", ";", "|"):
        if not probe or (delimiter not in probe[0] and '"' not in probe[0]):
            continue
        counts = _cell_counts(probe, delimiter)
        prose = (
            delimiter in ",;" and sum(f"{delimiter} " in line for line in probe) * 2 > len(probe) and counts[:1] < [4]
        )
        if counts and counts[0] >= 2 and counts.count(counts[0]) * 10 >= len(counts) * 7 and not prose:
            return delimiter
    return None


def _cell_counts(lines: Sequence[str], delimiter: str) -> list[int]:
    try:
        return [len(cells) for cells in csv.reader((line.rstrip("\r") + "\n" for line in lines), delimiter=delimiter)]
    except csv.Error:
        return []


def _columns(table: Delimited) -> list[list[str]]:
    blank = ("",) * len(table.names)
    cells = [row.cells or blank for row in table.rows]
    return [[row[index] for row in cells] for index in range(len(table.names))]


def _lifted(table: Delimited) -> Iterable[Form]:
    """Yield every row, without the columns that are even or that follow from another one."""
    sheet = Sheet(table.names, table.header, rows=list(table.rows))
    layout = arrange(sheet)
    if layout.is_plain:
        return
    quoted = [Row(tuple(_quoted(cell, table.delimiter) for cell in row.cells), row.line) for row in table.rows]
    layout = arrange(Sheet(table.names, table.header, rows=quoted), separator=table.delimiter)
    lines = [row.line if not row.cells else layout.write(row) for row in quoted]
    lifted = "\n".join([*layout.head(), *lines])
    if len(lifted) <= LIFTED_SHARE * sum(len(row.line) + 1 for row in table.rows):
        yield Form(lifted, "csv_columns")


def _quoted(cell: str, delimiter: str) -> str:
    if delimiter in cell or '"' in cell or "\n" in cell:
        return '"' + cell.replace('"', '""') + '"'
    return cell


def _sampled(table: Delimited, columns: Sequence[Sequence[str]], level: Level, wanted: str) -> Iterable[Form]:
    """Yield the rows that tell the most, word for word, under what all rows hold together."""
    rows = table.rows
    if len(rows) <= ROWS_SHOWN[level]:
        return
    probe = rows[:: max(1, len(rows) // PROBED_ROWS)]
    mean = max(1.0, sum(weight(row.line) + 1 for row in probe) / len(probe))
    budget = TOKENS_SHOWN[level] * (2 if mean > WIDE_ROW_TOKENS else 1)
    if (
        level == "balanced"
        and others.share(columns, sum(len(cell) for column in columns for cell in column)) > drawn.MOSTLY_NAMES
    ):
        budget *= drawn.NAMES_WORTH
    keep = max(ROWS_SHOWN[level], int(budget / mean))
    if len(rows) <= keep * drawn.WORTH_HIDING:
        return
    picked = sample.pick([row.line for row in rows], columns, keep, wanted=wanted)
    if len(picked) * 10 > len(rows) * 9:
        return
    said = f"{len(rows):,} rows, {len(picked):,} of them shown in their order: both ends, extremes, rare values, an even spread of the rest."
    fitting = [row.cells for row in rows if row.cells]
    lines = [table.header, said, *drawn.summary(table.names, fitting), *(rows[index].line for index in picked)]
    named = zip(table.names, columns, strict=True)
    lines += others.names(level, named, picked, len(rows), sum(len(row.line) for row in rows))
    if len("\n".join(lines)) > WORTH_SHARE * sum(len(row.line) + 1 for row in rows):
        return
    yield Form("\n".join(lines), "csv_rows", f"{len(rows) - len(picked):,} of {len(rows):,} rows")
