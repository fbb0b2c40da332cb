"""Passages that a text brings more than once, whatever the line breaks and spaces: shown where they come first."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

# Finding repeats looks at every word: a longer text is left alone.
MAX_CHARS = 1_000_000
_SEED_CHARS = 24
# A shorter repeat costs about what its mark does, and may be a phrase that the language repeats.
_MIN_CHARS = 80
_STEP = 64
_SHOWN_WORDS = 3
# How far a match is taken back to the end of a word, so that every attempt but a success is cheap.
_MAX_WORD_CHARS = 64

# Text runs together where a page was flattened: a word may begin behind a letter ("RoleContentUser").
# Two expressions, as one that begins with a set of characters is found much faster.
_BEFORE_START = re.compile(r"[^\w\s/.-](?=\w)")
_INNER_CAPITAL = re.compile(r"[A-Z](?<=[a-z][A-Z])")
_WORD = re.compile(r"[\w'-]+")
_RUN = re.compile(r"\S+")
_HEADING = re.compile(r"(?m)^[ \t]{0,3}#{1,6} .*$")


class Memory:
    """What was read so far: every text given to `shortened` may repeat any earlier one.

    `headings` says whether lines that begin with # are headings, which are shown each time.
    """

    def __init__(self, *, headings: bool = False) -> None:
        self._headings = headings
        self._dense = ""
        self._known: dict[str, int] = {}

    def shortened(self, text: str) -> str:
        """Return the text with a mark for each stretch that was read before.

        >>> said = "The pool is closed when the last of its connections has been returned to it, and not before. "
        >>> memory = Memory()
        >>> memory.shortened(said) == said, memory.shortened(f"So: {said}")
        (True, 'So: [as above: The pool is ...] ')
        """
        out: list[str] = []
        at = 0
        for start, end in self._repeats(text):
            words = " ".join(_WORD.findall(text[start : start + _MIN_CHARS])[:_SHOWN_WORDS])
            out += [text[at:start], f"[as above: {words[:40]} ...]"]
            at = end
        return "".join([*out, text[at:]])

    def _repeats(self, text: str) -> Iterator[tuple[int, int]]:
        base = len(self._dense)
        words = text.split()
        self._dense += "".join(words)
        dense, known = self._dense, self._known
        headings = [heading.start() for heading in _HEADING.finditer(text)] if self._headings else []
        spots = _Spots(text, base) if headings else None
        barriers = [spots.dense(heading) for heading in headings] if spots else []
        behind = 0
        for at in _starts(dense, base, words):
            if at < behind:
                continue
            seed = dense[at : at + _SEED_CHARS]
            earlier = known.setdefault(seed, at)
            if earlier == at or len(seed) < _SEED_CHARS:
                continue
            barrier = bisect_left(barriers, at)
            stop = barriers[barrier] if barrier < len(barriers) else len(dense)
            length = self._common(earlier, at, stop)
            if not length:
                continue
            spots = spots or _Spots(text, base)
            place = spots.place(at)
            end = _whole_words(text, place, spots.place(at + length - 1) + 1)
            if end - place >= _MIN_CHARS:
                yield place, end
                behind = spots.dense(end)

    def _common(self, earlier: int, at: int, stop: int) -> int:
        """Return how many characters before `stop` are the same from both places on, without an overlap."""
        dense = self._dense
        limit = min(at - earlier, stop - at)
        length = 0
        while length < limit and dense.startswith(dense[at + length : at + length + _STEP], earlier + length):
            length += _STEP
        length = min(length, limit)
        while length < limit and dense[earlier + length] == dense[at + length]:
            length += 1
        return length


def _starts(dense: str, base: int, words: Sequence[str]) -> Sequence[int]:
    """Return where words begin among the characters without blanks, in order: those behind a blank, and inner ones."""
    starts = list(accumulate(map(len, words), initial=base))[:-1]
    inner = [found.end() for found in _BEFORE_START.finditer(dense, base)]
    inner += [found.start() for found in _INNER_CAPITAL.finditer(dense, base)]
    return sorted({*starts, *inner}) if inner else starts


class _Spots:
    """Where the characters of a text that are no blanks stand among all that were read, which have none."""

    def __init__(self, text: str, base: int) -> None:
        spans = [found.span() for found in _RUN.finditer(text)]
        self.starts = [start for start, _ in spans]
        self.ends = [end for _, end in spans]
        self.dense_starts = list(accumulate((end - start for start, end in spans), initial=base))

    def dense(self, place: int) -> int:
        """Return how many characters without blanks stand before a place of the text, all that was read counted."""
        run = bisect_right(self.starts, place) - 1
        return (
            self.dense_starts[run] + min(place, self.ends[run]) - self.starts[run] if run >= 0 else self.dense_starts[0]
        )

    def place(self, dense: int) -> int:
        """Return where a character stands in the text."""
        run = bisect_right(self.dense_starts, dense) - 1
        return self.starts[run] + dense - self.dense_starts[run]


def _whole_words(text: str, start: int, end: int) -> int:
    """Return where the last whole word of a match ends."""
    lowest = max(start, end - _MAX_WORD_CHARS)
    while end > lowest and end < len(text) and not text[end].isspace() and _joins(text[end - 1], text[end]):
        end -= 1
    return start + len(text[start:end].rstrip())


def _joins(left: str, right: str) -> bool:
    return not (left in ".,;:!?)]}>\"'" or (left.islower() and right.isupper())) and not left.isspace()
