"""Answer a question about a kept original: the lines that match, a range of lines, or a table of contents."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypedDict

from headroom import contents, patterns, ranking, tokens
from headroom.shrinkers import numbered

# Longer lines are searched and shown in pieces, cut where a record or a sentence ends.
_LONG_LINE_CHARS = 1_000
_PIECE_CHARS = 400
_CONTEXT_LINES = 2
_MAX_MATCHES = 40
# Weaker hits share a common word with the question and little else.
_WEAK_SHARE = 0.35
_MAX_RECORD_LINES = 24
_MAX_ENCLOSING = 4
_ENCLOSING_REACH_LINES = 400
_MOST_CHARS_PER_TOKEN = 20
"""Only runs of blanks or dashes come to more; longer texts need not be counted to be too long."""

_LOOKS_LIKE_PATTERN = re.compile(r"\.[*+]|\\[dDwWsSbB.(\[{|]|\[[^\]]+\][*+?{]|^\^|\$$|\w\|\w|\)[*+?]|\w[+*]$|\(\?:")
_CLOSES = re.compile(r"\s*[\]})]+[,;]?\s*")


class Match(TypedDict):
    """One line that answers: `line` is 1-based."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Part of an original: `content` to read, `matches` best first (none for ranges), `total_lines` of the original."""

    content: str
    matches: tuple[Match, ...]
    total_lines: int


@dataclass(frozen=True, slots=True)
class _Piece:
    """A line, or a stretch of a very long one; `number` is the 1-based line it stands in."""

    number: int
    text: str


def answer(
    text: str, *, query: str = "", start_line: int | None = None, end_line: int | None = None, max_tokens: int = 4000
) -> Excerpt:
    """Return the part of `text` that was asked for, in about `max_tokens` at most.

    Words are ranked, something like a regular expression is matched; lines are 1-based and inclusive, and limit the
    search when both are given. With neither, a short text comes back whole and a long one as a table of contents.
    """
    lines = text.removesuffix("\n").split("\n")
    moved = _numbers_before(lines) if (start_line, end_line) != (None, None) else 0
    first = max(1, start_line - moved if start_line else 1)
    last = min(len(lines), end_line - moved if end_line is not None else len(lines))
    if first > last and (start_line, end_line) != (None, None):
        return Excerpt(f"no such lines: the original has {len(lines):,}", (), len(lines))
    if query.strip():
        return _found(lines, query.strip(), first, last, max_tokens)
    if (start_line, end_line) != (None, None):
        return Excerpt(_range(lines, first, last, max_tokens), (), len(lines))
    if _fits(text, max_tokens):
        return Excerpt(text, (), len(lines))
    return Excerpt(_outline(lines, max_tokens), (), len(lines))


def _numbers_before(lines: Sequence[str]) -> int:
    """Return by how much the line numbers in a file that was read from its middle are ahead of its own lines.

    Whoever asks for lines saw the numbers that the tool wrote.
    """
    run = numbered.find(lines)
    return run.first - run.start - 1 if run and (run.end - run.start) * 2 > len(lines) else 0


def _cost(text: str) -> int:
    return tokens.count(text) + 1


def _fits(text: str, max_tokens: int) -> bool:
    return len(text) <= _MOST_CHARS_PER_TOKEN * max_tokens and _cost(text) <= max_tokens


def _range(lines: Sequence[str], first: int, last: int, max_tokens: int) -> str:
    shown: list[str] = []
    left = max_tokens
    for number in range(first, last + 1):
        line = lines[number - 1]
        left -= _cost(line)
        if left < 0 and shown:
            return "\n".join(shown) + f"\n[lines {number:,} to {last:,} are not shown; ask again from line {number}]"
        if left < 0:
            return line[:max_tokens] + f"\n[line {number:,} has {len(line):,} characters; search it with a query]"
        shown.append(line)
    return "\n".join(shown)


def _outline(lines: Sequence[str], max_tokens: int) -> str:
    head = f"{len(lines):,} lines. Ask with a query, or with start_line and end_line. Contents by line:"
    left = max_tokens - _cost(head)
    shown = [head]
    for section in contents.sections(lines):
        left -= _cost(str(section))
        if left < 0:
            break
        shown.append(str(section))
    return "\n".join(shown)


def _found(lines: Sequence[str], query: str, first: int, last: int, max_tokens: int) -> Excerpt:
    pieces = list(_pieces(lines, first, last))
    ranked, is_as_asked = _ranked(pieces, query)
    if not ranked:
        where = f"lines {first:,} to {last:,} of" if (first, last) != (1, len(lines)) else "the"
        return Excerpt(f"nothing in {where} {len(lines):,} lines matches {query[:200]!r}", (), len(lines))
    shown: set[int] = set()
    matches: list[Match] = []
    left = max_tokens - 40  # for the heading
    for at in ranked[:_MAX_MATCHES]:
        around = _around(pieces, at) - shown
        cost = sum(_cost(pieces[place].text) + 4 for place in around)
        if cost > left:
            around = {at} - shown
            cost = sum(_cost(pieces[place].text) + 4 for place in around)
        if cost > left:
            break
        left -= cost
        shown |= around
        matches.append(Match(line=pieces[at].number, text=pieces[at].text))
    is_cut = len(pieces) > last - first + 1
    share = (
        f"{len(ranked):,} of {len(pieces):,} pieces of lines" if is_cut else f"{len(ranked):,} of {len(lines):,} lines"
    )
    head = f"{share} match" if is_as_asked else f"no line matches the pattern; {share} have words of it"
    if len(matches) < len(ranked):
        head += f"; the best {len(matches):,} are shown"
    return Excerpt(f"{head}, in order:\n{_shown(pieces, shown)}", tuple(matches), len(lines))


def _pieces(lines: Sequence[str], first: int, last: int) -> Iterable[_Piece]:
    for number in range(first, last + 1):
        line = lines[number - 1]
        if len(line) <= _LONG_LINE_CHARS:
            yield _Piece(number, line)
        else:
            yield from (_Piece(number, part) for part in _cut(line))


def _cut(line: str) -> Iterable[str]:
    """Cut a very long line behind the end of a record, a field or a word, whichever comes late enough."""
    at = 0
    while at < len(line):
        end = at + _PIECE_CHARS
        if end < len(line):
            half = at + _PIECE_CHARS // 2
            ends = (line.rfind(mark, half, end) + len(mark) for mark in ("},", "],", ". ", ", ", ",", ";", " "))
            end = next((place for place in ends if place > half), end)
        yield line[at:end]
        at = end


def _ranked(pieces: Sequence[_Piece], query: str) -> tuple[list[int], bool]:
    """Return the places of the matching pieces, best first, and whether they are what was asked for: a pattern that
    matches nothing is answered with its words."""
    is_pattern = False
    if _LOOKS_LIKE_PATTERN.search(query):
        places = _matching(pieces, query)
        if places:
            return places, True
        is_pattern = places is not None
    scores = ranking.scores([piece.text for piece in pieces], query)
    enough = max(scores.values(), default=0.0) * _WEAK_SHARE
    best = sorted((at for at, score in scores.items() if score >= enough), key=lambda at: (-scores[at], at))
    return best, not is_pattern


def _matching(pieces: Sequence[_Piece], pattern: str) -> list[int] | None:
    """Return the places that a pattern matches, `None` when it is none that we can match."""
    try:
        is_in: Callable[[str], bool] = patterns.matcher(pattern)
        return [at for at, piece in enumerate(pieces) if is_in(piece.text)]
    except patterns.Unsupported:
        return None


def _around(pieces: Sequence[_Piece], at: int) -> set[int]:
    """Return the places that make one hit readable: its record, or its neighbours and the lines it hangs under."""
    if len(pieces[at].text) > _PIECE_CHARS // 2:
        return {at}
    above = _enclosing(pieces, at)
    if above:
        end = _end_of_block(pieces, above[0])
        if end - above[0] < _MAX_RECORD_LINES:
            return set(range(above[0], end + 1)) | set(above)
    near = range(max(0, at - _CONTEXT_LINES), min(len(pieces), at + _CONTEXT_LINES + 1))
    return (
        {place for place in near if len(pieces[place].text) <= _PIECE_CHARS} | {at} | set(above) | _header(pieces, at)
    )


def _width(text: str) -> int:
    return len(text) - len(text.lstrip())


def _enclosing(pieces: Sequence[_Piece], at: int) -> list[int]:
    """Return the lines that open the blocks a line stands in, innermost first."""
    above: list[int] = []
    width = _width(pieces[at].text)
    for place in range(at - 1, max(-1, at - _ENCLOSING_REACH_LINES), -1):
        if width == 0 or len(above) == _MAX_ENCLOSING:
            break
        text = pieces[place].text
        if text.strip() and _width(text) < width and not _CLOSES.fullmatch(text):
            above.append(place)
            width = _width(text)
    return above


def _end_of_block(pieces: Sequence[_Piece], opening: int) -> int:
    width = _width(pieces[opening].text)
    for place in range(opening + 1, min(len(pieces), opening + _MAX_RECORD_LINES + 2)):
        text = pieces[place].text
        if text.strip() and _width(text) <= width:
            return place if _CLOSES.fullmatch(text) else place - 1
    return min(len(pieces) - 1, opening + _MAX_RECORD_LINES + 1)


def _header(pieces: Sequence[_Piece], at: int) -> set[int]:
    """Return the place of a table's heading when the hit is one of its rows."""
    head, row = pieces[0].text, pieces[at].text
    for mark in ("\t", "|", ",", ";"):
        if head.count(mark) >= 2 and head.count(mark) == row.count(mark):
            return {0}
    return set()


def _shown(pieces: Sequence[_Piece], places: set[int]) -> str:
    out: list[str] = []
    before = -1
    for place in sorted(places):
        if out and place != before + 1:
            out.append("...")
        out.append(f"{pieces[place].number}: {pieces[place].text}")
        before = place
    return "\n".join(out)
