"""Tables drawn with spaces, as `ps`, `df`, `ls -l` and `kubectl get` print them: find them in a text, cut their cells."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from operator import itemgetter

from headroom.shrinkers import barred
from headroom.shrinkers.grid import MAX_COLUMNS, Item, Row, Sheet, Sheets, unique

MIN_ROWS = 3
MIN_UNNAMED_ROWS = 8
PROBED_ROWS = 400
PROBED_BODY = 200
MAX_UNNAMED_WORDS = 12
"""Lines with more words are sentences or log lines: their words are no columns."""
MAX_WIDTH_CHARS = 4000
_LONG_LISTING = re.compile(
    r"^([-dlbcpsDw][-rwxsStTl]{9}[.+@]?) +(\d+) +(\S+) +(\S+) +(\d+,? *\d*|[\d.]+[KMGTPB]?) +"
    r"((?:[A-Z][a-z]{2} +\d{1,2}|\d{1,2} +[A-Z][a-z]{2}) +(?:\d{4}|\d\d?:\d\d)"
    r"|\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d(?:\.\d+ [-+]\d{4})?)?) (.+)$"
)
_KINDS_OF_FILE = "-dlbcpsDw"
_LONG_NAMES = ("mode", "links", "owner", "group", "size", "changed", "name")
_CLOCK = re.compile(r"\d\d:\d\d:\d\d")
_CLOCK_CHARS = 68
_RULE = re.compile(r"^[\s\-=+|_─━═]+$")
_WORD = re.compile(r"\S+")
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
    if any(
        [line[:1] in _KINDS_OF_FILE and len(line) <= MAX_WIDTH_CHARS and _LONG_LISTING.match(line) for line in lines]
    ):
        return _long_listing(lines, sheets)
    if any(barred.is_rule(line) for line in lines[:40]):
        barred_items = barred.read(lines, sheets)
        if not all(isinstance(item, str) for item in barred_items):
            return barred_items
    items: list[Item] = []
    spread = [line.expandtabs(8).rstrip() for line in lines]
    start, tries = 0, 0
    while start < len(lines):
        end, found = _table(lines, spread, start, sheets) if tries < 8 else (start, [])
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


def _table(lines: list[str], spread: list[str], start: int, sheets: Sheets) -> tuple[int, list[Item]]:
    """Return where the table that begins at `start` ends, and its items; none when the line heads no table.

    `spread` are the lines with blanks for their tabs.
    """
    header = spread[start]
    words = [found.span() for found in _WORD.finditer(header)] if len(header) <= MAX_WIDTH_CHARS else []
    if not 3 <= len(words) <= MAX_COLUMNS:
        return start, []
    known = sheets.get(tuple(header.split()))
    body_at = start + 1
    ruled = body_at < len(lines) and bool(_RULE.match(lines[body_at]))
    body_at += ruled
    if len(lines) - body_at < (1 if known else MIN_ROWS):
        return start, []
    gaps = _clear_gaps(words, spread[body_at : body_at + MIN_UNNAMED_ROWS])
    if len(gaps) < 2:
        return start, []
    body = spread[body_at : body_at + _fitting(gaps, spread[body_at:], frozenset(header.split()))]
    gaps = _without_split_names(header, _gaps(words, body), body)
    names = _cut(header, gaps)
    cells = [_cut(line, gaps) for line in body[:PROBED_BODY]]
    columns = list(zip(*cells, strict=True))
    if len(names) < 3 or not (known or (len(body) >= MIN_ROWS and _is_header(names, columns))):
        return start, []
    sheet = sheets.get(names) or Sheet(unique(names), lines[start])
    sheets[names] = sheets[tuple(header.split())] = sheet
    end = body_at + len(body)
    cells += [_cut(line, gaps) for line in body[PROBED_BODY:]]
    indents = _indents(body, gaps[-1])
    rows = [
        Row(() if crossed else (*own[:-1], indent + own[-1]), source)
        for crossed, own, indent, source in zip(_crossed(body, gaps), cells, indents, lines[body_at:end], strict=True)
    ]
    return end, [lines[start], *sheet.take(rows)]


def _clear_gaps(words: Sequence[tuple[int, int]], body: Sequence[str]) -> list[int]:
    """Return the last position between each two words of a header that is blank in every row, where there is one."""
    places = [(at, number) for number, (left, right) in enumerate(pairwise(words)) for at in range(left[1], right[0])]
    for line in body:
        padded = line.ljust(words[-1][0])
        places = [place for place in places if padded[place[0]] == " "]
        if not places:
            break
    return list({number: at for at, number in places}.values())


def _gaps(words: Sequence[tuple[int, int]], body: Sequence[str]) -> list[int]:
    """Return the positions between the words of a header that are blank in nearly every row."""
    body = body[:: max(1, len(body) // PROBED_ROWS)]
    allowed = len(body) // 30
    width = words[-1][0]
    columns = list(zip(*[line[:width].ljust(width) for line in body], strict=True)) or [()] * width
    gaps = []
    for (_, left), (right, _) in zip(words, words[1:], strict=False):
        most, at = max([(columns[at].count(" "), at) for at in range(left, right)])
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


def _fitting(gaps: Sequence[int], body: Sequence[str], names: frozenset[str]) -> int:
    """Return how many rows belong to the table: it ends at another header, and where three rows do not fit."""
    strangers = 0
    for index, (line, crossed) in enumerate(zip(body, _crossed(body, gaps), strict=True)):
        if len(names.intersection(line.split())) >= 3:
            return index
        strangers = strangers + 1 if crossed * 3 > len(gaps) or (crossed and len(gaps) == 2) else 0
        if strangers == 3:
            return index - 2
    return len(body) - strangers


def _crossed(lines: Sequence[str], gaps: Sequence[int]) -> Iterator[int]:
    """Yield how many of the gaps, two or more, each line writes over."""
    at_gaps = itemgetter(*gaps)
    for line in lines:
        found = at_gaps(line.ljust(gaps[-1] + 1))
        yield 0 if found.count(" ") == len(gaps) else sum(not char.isspace() for char in found)


def _cut(line: str, gaps: Sequence[int]) -> tuple[str, ...]:
    edges = [0, *gaps]
    cells = [" ".join(line[start:end].split()) for start, end in zip(edges, gaps, strict=False)]
    return (*cells, line[edges[-1] :].strip())


def _indents(body: Sequence[str], edge: int) -> list[str]:
    """Return the blanks by which the last cells, behind `edge`, are set in where they draw a tree as in `ps f`; else none.

    A cell that a wide neighbour has pushed aside is not set in: there are no more blanks before it than before the others.
    """
    starts = [edge + len(line[edge:]) - len(line[edge:].lstrip()) for line in body]
    gaps = [start - len(line[:start].rstrip()) for start, line in zip(starts, body, strict=True)]
    filled = [place for place, line in enumerate(body) if line[edge : edge + 1] == " " and line[edge:].strip()]
    first = min([starts[place] for place in filled], default=0)
    least = min([gaps[place] for place in filled], default=0)
    depths = [min(start - first, gap - least) for start, gap in zip(starts, gaps, strict=True)]
    is_flush_right = len({len(body[place]) for place in filled}) * 4 < len(filled)
    if is_flush_right or len([times for times in Counter(depths[place] for place in filled).values() if times > 1]) < 2:
        return [""] * len(body)
    return [" " * max(0, depth) for depth in depths]


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
    words = [tuple(line.split()) if len(line) <= MAX_WIDTH_CHARS else () for line in lines]
    counts = Counter(map(len, words))
    counts.pop(0, None)
    count, times = max(counts.items(), key=lambda pair: (pair[1], -pair[0]), default=(0, 0))
    if not 2 <= count <= MAX_UNNAMED_WORDS or times * 10 < len(lines) * 8:
        return [*lines]
    if sum([_is_logged(line) for line in lines]) * 3 > len(lines):
        return [*lines]
    names = tuple(f"word {index}" for index in range(1, count + 1))
    sheet = sheets.setdefault(names, Sheet(names, is_named=False))
    alike = _alike([cells for cells in words if len(cells) == count])
    fits = [
        len(cells) == count and sum([cells[index] != value for index, value in alike]) * 2 <= len(alike)
        for cells in words
    ]
    rows = iter(sheet.take(Row(cells, line) for line, cells, fit in zip(lines, words, fits, strict=True) if fit))
    return [next(rows) if fit else line for line, fit in zip(lines, fits, strict=True)]


def _is_logged(line: str) -> bool:
    return line.lstrip()[:1] in ("{", "[", "<") or _CLOCK.search(line, 0, _CLOCK_CHARS) is not None


def _alike(rows: Sequence[tuple[str, ...]]) -> list[tuple[int, str]]:
    """Return the word positions where most lines have the same word, with that word."""
    found = []
    for index, column in enumerate(zip(*rows, strict=True)):
        value, times = max(Counter(column).items(), key=lambda pair: (pair[1], pair[0]))
        if times * 10 >= len(rows) * 6:
            found.append((index, value))
    return found
