"""Documents with headings: every heading, the beginning of every paragraph, list, table and listing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from headroom.shrinkers import fold, named, numbered
from headroom.values import Form, Source

_MIN_HEADINGS = 3
_HEADING = re.compile(r"\s{0,3}#{1,6}\s")
_UNDERLINE = re.compile(r"([=~^*+\"'-])\1{2,}\s*$")
_FENCE = re.compile(r"\s*(```+|~~~+)")
_ITEM = re.compile(r"\s*(?:[-*+]|\d{1,3}[.)])\s")
_ORNAMENT = re.compile(
    r"\s*(?:\[?!\[|<(?:/|img|br|p|div|a|h\d|picture|source|td|tr|table|details|center)\b|<!--|\[[^\]]+\]: http)"
)
_SENTENCE_END = re.compile(r"[.!?:](?=\s)(?<!e\.g\.)(?<!i\.e\.)")

_KEPT_LISTING_ROWS = 3
_KEPT_TABLE_ROWS = 5
_KEPT_ITEMS = 5
_MIN_SENTENCE_CHARS = 60
# Paragraphs no longer than this stay whole: what a cut would save, its mark costs.
_SHORT_CHARS = 180


def is_one(text: str) -> bool:
    """Return whether a text is a document with headings."""
    return sum(1 for line in text[:50_000].split("\n") if _HEADING.match(line)) >= _MIN_HEADINGS


def forms(source: Source) -> Iterable[Form]:
    """Yield the document's outline: what it says first about everything."""
    lines = source.text.split("\n")
    run = numbered.find(lines)
    shown = numbered.bare(lines, run) if run else lines
    kept = list(shown)
    dropped: set[int] = set()
    spoken_of = named.rows(shown, source.policy.keep_words)
    for rows, kind in _blocks(shown):
        for row in _rest(shown, rows, kind):
            dropped.add(row)
        for part in _sentences(shown, rows, kind):
            if spoken_of.isdisjoint(part):
                _cut(kept, dropped, part)
    dropped.difference_update(spoken_of, [row for row in dropped if _HEADING.match(shown[row])])
    dropped.update(row for row in range(1, len(shown) - 1) if not shown[row].strip() and {row - 1, row + 1} <= dropped)
    text, _ = fold.folded(lines, kept, dropped, run)
    share = round(100 * (1 - len(text) / max(1, len(source.text))))
    if share > 0 and text.strip():
        yield Form(text, "document_outline", f"{share} % of the document, where it says ...; every heading is here")


def _blocks(lines: Sequence[str]) -> Iterator[tuple[range, str]]:
    """Yield stretches of rows of one kind: listing, table, list, ornament, paragraph; headings are none of them."""
    row = 0
    while row < len(lines):
        fence = _FENCE.match(lines[row])
        kind = "listing" if fence else _kind(lines, row)
        end = row + 1
        if fence:
            while end < len(lines) and lines[end].strip() != fence[1]:
                end += 1
            end += 1
        elif kind:
            while end < len(lines) and lines[end].strip() and _goes_on(lines, end, kind):
                end += 1
        if kind:
            yield range(row, min(end, len(lines))), kind
        row = end


def _kind(lines: Sequence[str], row: int) -> str:
    line = lines[row]
    below = lines[row + 1] if row + 1 < len(lines) else ""
    if not line.strip() or _HEADING.match(line) or _UNDERLINE.fullmatch(line) or _UNDERLINE.fullmatch(below):
        return ""
    if line.lstrip().startswith("|"):
        return "table"
    if _ITEM.match(line):
        return "list"
    return "ornament" if _ORNAMENT.match(line) else "paragraph"


def _goes_on(lines: Sequence[str], row: int, kind: str) -> bool:
    if _FENCE.match(lines[row]):
        return False
    follows = _kind(lines, row)
    return follows == kind or (kind == "list" and follows == "paragraph" and lines[row][:1].isspace())


def _rest(lines: Sequence[str], rows: range, kind: str) -> Iterable[int]:
    """Return the rows of a block that its outline goes without."""
    if kind == "ornament":
        return rows
    if kind == "table":
        return rows[_KEPT_TABLE_ROWS:]
    if kind == "listing":
        return rows[1 + _KEPT_LISTING_ROWS : -1]
    if kind == "list":
        items = [row for row in rows if _ITEM.match(lines[row])]
        return range(items[_KEPT_ITEMS], rows.stop) if len(items) > _KEPT_ITEMS + 1 else ()
    return ()


def _sentences(lines: Sequence[str], rows: range, kind: str) -> Iterator[range]:
    """Yield the rows of what is written in sentences: a paragraph, or each item of a list."""
    if kind == "paragraph":
        yield rows
    elif kind == "list":
        items = [row for row in rows if _ITEM.match(lines[row])]
        yield from (range(start, end) for start, end in zip(items, [*items[1:], rows.stop], strict=True))


def _cut(kept: list[str], dropped: set[int], rows: range) -> None:
    """End a long paragraph behind its first sentence."""
    if sum(len(kept[row]) for row in rows) <= _SHORT_CHARS:
        return
    before = 0
    for row in rows:
        end = next(
            (found.end() for found in _SENTENCE_END.finditer(kept[row]) if before + found.end() >= _MIN_SENTENCE_CHARS),
            0,
        )
        if end and rows.stop - row == 2:
            return  # one row would be left, and its mark would be as long
        if end:
            kept[row] = f"{kept[row][:end]} ..." if end < len(kept[row]) else kept[row]
            dropped.update(range(row + 1, rows.stop))
            return
        before += len(kept[row])
