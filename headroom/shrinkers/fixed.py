"""Tables drawn with spaces, as `ps`, `df`, `ls -l` and `kubectl get` print them: find them in a text, cut their cells."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from headroom.shrinkers import barred
from headroom.shrinkers.grid import MAX_COLUMNS, Item, Row, Sheet, Sheets, unique

MIN_ROWS = 3
MIN_UNNAMED_ROWS = 8
PROBED_ROWS = 400
MAX_UNNAMED_WORDS = 12
"""Lines with more words are sentences or log lines: their words are no columns."""
MAX_WIDTH_CHARS = 4000
_LONG_LISTING = re.compile(
    r"^([-dlbcpsDw][-rwxsStTl]{9}[.+@]?) +(\d+) +(\S+) +(\S+) +(\d+,? *\d*|[\d.]+[KMGTPB]?) +"
    r"((?:[A-Z][a-z]{2} +\d{1,2}|\d{1,2} +[A-Z][a-z]{2}) +(?:\d{4}|\d\d?:\d\d)"
    r"|\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d(?:\.\d+ [-+]\d{4})?)?) (.+)$"
)
_LONG_NAMES = ("mode", "links", "owner", "group", "size", "changed", "name")
_LOGGED = re.compile(r"\s*[{\[<]|.{0,60}?\d\d:\d\d:\d\d")
_RULE = re.compile(r"^[\s\-=+|_─━═]+$")
_NUMERIC = re.compile(r"[-+]?[\d.,:%/]+[A-Za-z%]{0,3}")


def read(text: str) -> list[Item]:
    """Return the text as lines and, where a table was found, as rows with the sheet that they belong to."""
    sheets: Sheets = {}
    items: list[Item] = []
    paragraph: list[str] = []
    for line in [*text.split("\n"), ""]:
        if line.strip():
            paragraph.append(line)
            continue
        items += _paragraph(paragraph, sheets)
        items.append(line)
        paragraph = []
    items.pop()
    return items


def is_table(text: str) -> bool:
    """Return whether at least half of the lines are rows under a header: a listing, whatever its cells look like."""
    items = read(text)
    return sum(1 for item in items if not isinstance(item, str) and item[0].is_named) * 2 >= len(items)


def _paragraph(lines: list[str], sheets: Sheets) -> list[Item]:
    if any(len(line) <= MAX_WIDTH_CHARS and _LONG_LISTING.match(line) for line in lines):
        return _long_listing(lines, sheets)
    if any(barred.is_rule(line) for line in lines[:40]):
        barred_items = barred.read(lines, sheets)
        if not all(isinstance(item, str) for item in barred_items):
            return barred_items
    items: list[Item] = []
    start, tries = 0, 0
    while start < len(lines):
        end, found = _table(lines, start, sheets) if tries < 8 else (start, [])
        if found:
            items += found
            start, tries = end, 0
        else:
            items.append(lines[start])
            start, tries = start + 1, tries + 1
    if all(isinstance(item, str) for item in items):
        return _unnamed(lines, sheets)
    return items


def _long_listing(lines: list[str], sheets: Sheets) -> list[Item]:
    sheet = sheets.setdefault(_LONG_NAMES, Sheet(_LONG_NAMES))
    items: list[Item] = []
    for line in lines:
        found = _LONG_LISTING.match(line) if len(line) <= MAX_WIDTH_CHARS else None
        if found is None:
            items.append(line)
            continue
        cells = found.groups()
        items += sheet.take([Row((*(" ".join(cell.split()) for cell in cells[:-1]), cells[-1]), line)])
    return items


def _table(lines: list[str], start: int, sheets: Sheets) -> tuple[int, list[Item]]:
    """Return where the table that begins at `start` ends, and its items; none when the line heads no table."""
    header = lines[start].expandtabs(8).rstrip()
    words = [found.span() for found in re.finditer(r"\S+", header)]
    if not 3 <= len(words) <= MAX_COLUMNS or len(header) > MAX_WIDTH_CHARS:
        return start, []
    known = sheets.get(tuple(header.split()))
    body_at = start + 1
    ruled = body_at < len(lines) and bool(_RULE.match(lines[body_at]))
    body_at += ruled
    if len(lines) - body_at < (1 if known else MIN_ROWS):
        return start, []
    if len(_gaps(words, [line.expandtabs(8).rstrip() for line in lines[body_at : body_at + MIN_UNNAMED_ROWS]])) < 2:
        return start, []
    body = [line.expandtabs(8).rstrip() for line in lines[body_at:]]
    gaps = _gaps(words, body[:MIN_UNNAMED_ROWS])
    body = body[: _fitting(gaps, body, header.split())]
    gaps = _without_split_names(header, _gaps(words, body), body)
    names = _cut(header, gaps)
    columns = list(zip(*(_cut(line, gaps) for line in body[:200]), strict=True))
    if len(names) < 3 or not (known or (len(body) >= MIN_ROWS and _is_header(names, columns))):
        return start, []
    sheet = sheets.get(names) or Sheet(unique(names), lines[start])
    sheets[names] = sheets[tuple(header.split())] = sheet
    end = body_at + len(body)
    rows = [_row(line, source, gaps) for line, source in zip(body, lines[body_at:end], strict=True)]
    return end, [lines[start], *sheet.take(rows)]


def _gaps(words: Sequence[tuple[int, int]], body: Sequence[str]) -> list[int]:
    """Return the positions between the words of a header that are blank in nearly every row."""
    body = body[:: max(1, len(body) // PROBED_ROWS)]
    allowed = len(body) // 30
    width = words[-1][0]
    columns = list(zip(*(line[:width].ljust(width) for line in body), strict=True))
    blank = [column.count(" ") for column in columns] if columns else [0] * width
    gaps = []
    for (_, left), (right, _) in zip(words, words[1:], strict=False):
        most, at = max((blank[at], at) for at in range(left, right))
        if len(body) - most <= allowed:
            gaps.append(at)
    return gaps


def _without_split_names(header: str, gaps: Sequence[int], body: Sequence[str]) -> list[int]:
    """Return the gaps without those inside a name of two words, `NOMINATED NODE`, over a column with nothing on one side."""
    kept: list[int] = []
    for position, at in enumerate(gaps):
        end = gaps[position + 1] if position + 1 < len(gaps) else None
        start = kept[-1] if kept else 0
        is_single = header[at - 1 : at].strip() and header[at + 1 : at + 2].strip()
        if is_single and (
            not any(line[at:end].strip() for line in body) or not any(line[start:at].strip() for line in body)
        ):
            continue
        kept.append(at)
    return kept


def _fitting(gaps: Sequence[int], body: Sequence[str], names: Sequence[str]) -> int:
    """Return how many rows belong to the table: it ends at another header, and where three rows do not fit."""
    strangers = 0
    for index, line in enumerate(body):
        if len(set(names).intersection(line.split())) >= 3:
            return index
        crossed = sum(1 for at in gaps if line[at : at + 1].strip())
        strangers = strangers + 1 if crossed * 3 > len(gaps) or (crossed and len(gaps) == 2) else 0
        if strangers == 3:
            return index - 2
    return len(body) - strangers


def _cut(line: str, gaps: Sequence[int]) -> tuple[str, ...]:
    edges = [0, *gaps]
    cells = [" ".join(line[start:end].split()) for start, end in zip(edges, gaps, strict=False)]
    return (*cells, line[edges[-1] :].strip())


def _row(line: str, source: str, gaps: Sequence[int]) -> Row:
    return Row((), source) if any(line[at : at + 1].strip() for at in gaps) else Row(_cut(line, gaps), source)


def _is_header(names: tuple[str, ...], columns: Sequence[Sequence[str]]) -> bool:
    """A header names things: no bare numbers, no sentence; and capitals or a column of numbers set it apart."""
    if sum(1 for name in names if _NUMERIC.fullmatch(name)) * 4 > len(names) or len(set(names)) * 2 <= len(names):
        return False
    if any(not name or len(name) > 40 for name in names[1:]) or any(name[-1:] in ":=,;" for name in names):
        return False
    if sum(1 for name, column in zip(names, columns, strict=True) if name and name in column) * 8 > len(names):
        return False
    if sum(1 for name in names if name.isupper() or name[:1] == "%") * 5 >= len(names) * 3:
        return True
    filled = [[cell for cell in column if cell] for column in columns]
    if any(cells and sum(map(_is_number, cells)) * 5 >= len(cells) * 4 for cells in filled):
        return True
    return not any(map(_has_digit, names)) and any(len(set(cells)) * 2 <= len(cells) >= 6 for cells in filled)


def _is_number(cell: str) -> bool:
    return bool(_NUMERIC.fullmatch(cell))


def _has_digit(cell: str) -> bool:
    return any(letter.isdigit() for letter in cell)


def _unnamed(lines: list[str], sheets: Sheets) -> list[Item]:
    """Return rows of lines without a header that have the same number of words, most of them in two columns or more."""
    if len(lines) < MIN_UNNAMED_ROWS:
        return [*lines]
    counts = Counter(len(line.split()) for line in lines if len(line) <= MAX_WIDTH_CHARS)
    count, times = max(counts.items(), key=lambda pair: (pair[1], -pair[0]), default=(0, 0))
    if sum(1 for line in lines if _LOGGED.match(line)) * 3 > len(lines):
        return [*lines]
    if not 2 <= count <= MAX_UNNAMED_WORDS or times * 10 < len(lines) * 8:
        return [*lines]
    names = tuple(f"word {index}" for index in range(1, count + 1))
    sheet = sheets.setdefault(names, Sheet(names, is_named=False))
    words = [cells if len(cells := tuple(line.split())) == count else () for line in lines]
    alike = _alike([cells for cells in words if cells])
    items: list[Item] = []
    for line, cells in zip(lines, words, strict=True):
        differing = sum(1 for index, value in alike if cells and cells[index] != value)
        items += sheet.take([Row(cells, line)]) if cells and differing * 2 <= len(alike) else [line]
    return items


def _alike(rows: Sequence[tuple[str, ...]]) -> list[tuple[int, str]]:
    """Return the word positions where most lines have the same word, with that word."""
    found = []
    for index, column in enumerate(zip(*rows, strict=True)):
        value, times = max(Counter(column).items(), key=lambda pair: (pair[1], pair[0]))
        if times * 10 >= len(rows) * 6:
            found.append((index, value))
    return found
