"""Which lines have a name that the conversation speaks of: they stay as they are, wherever they stand."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate

MAX_WORDS = 64
MIN_WORD_CHARS = 3
FEW_LINES = 6
FEW_SHARE = 0.125
"""A name in more lines than these tells none of them apart."""
KEPT_SHARE = 1 / 3
"""Of the characters: what everybody speaks of would keep everything."""


def rows(lines: Sequence[str], words: Iterable[str], max_chars: int | None = None) -> frozenset[int]:
    """Return the lines that have one of the names as a whole word, those of the rarest names first while there is room:
    `max_chars`, or a share of the text.

    >>> sorted(rows(["def load():", "    reload()", "    load()"], ("load",), max_chars=100))
    [0, 2]
    """
    asked = sorted({word for word in words if len(word) >= MIN_WORD_CHARS and "\n" not in word})[:MAX_WORDS]
    if not asked:
        return frozenset()
    starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
    text = "\n".join(lines)
    most = max(FEW_LINES, int(FEW_SHARE * len(lines)))
    found = [(len(places), word, places) for word in asked if (places := _places(text, starts, word, most))]
    room_chars = KEPT_SHARE * len(text) if max_chars is None else max_chars
    kept: set[int] = set()
    for _, _, places in sorted(found):
        new = places - kept
        room_chars -= sum(len(lines[row]) for row in new)
        if room_chars < 0:
            break
        kept |= new
    return frozenset(kept)


def _places(text: str, starts: list[int], word: str, most: int) -> set[int]:
    """Return the lines with a word, nothing when they are more than `most`."""
    found: set[int] = set()
    at = text.find(word)
    while at >= 0:
        row = bisect_right(starts, at) - 1
        end = at + len(word)
        if _is_edge(text[at - 1 : at], word[0]) and _is_edge(text[end : end + 1], word[-1]):
            found.add(row)
            end = starts[row + 1]
        if len(found) > most:
            return set()
        at = text.find(word, end)
    return found


def _is_edge(outside: str, inside: str) -> bool:
    """Say whether a word ends between two neighbouring characters."""
    return not (outside.isalnum() or outside == "_") or not (inside.isalnum() or inside == "_")
