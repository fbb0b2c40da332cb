"""Which of many lines that report the same trouble speak of somebody else: of another host, user, block or file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MAX_LINES = 2_000
"""Of all templates together an even sample of so many lines is looked at."""

MAX_CHARS = 400
"""Of a line: whom it speaks of stands in front of what was said to him."""

# A day, a clock, a process: what every line has of its own, whatever it says. Several expressions that each begin plainly
# are faster than one.
_WHEN = (
    re.compile(r"[A-Z][a-z]{2} [ \d]\d (?=\d\d:)"),
    re.compile(r"\[\d+\]"),
    re.compile(r"\d(?<![\w.].)(?:\d{0,7}(?:[-/.:]\d\d?){2}(?!\d*\.\d)[\d.,:TZ+-]*|\d{5} \d{6}(?= )|(?<=1)\d{9}(?!\d))"),
)
# Counts, durations and ports tell nobody apart; addresses and long numbers do.
_COUNT = re.compile(r"\d(?<![\w.-].)(?!(?<=\d)\d{0,2}\.(?:\d{1,3}\.){2}\d{1,3}(?![\d.]))\d{0,4}(?:[.,]\d+)?(?!\w|\.\d)")


@dataclass(frozen=True, slots=True)
class Said:
    """What the lines at `places` say, but for when: `numbers` with the counts in it, `names` without."""

    places: Sequence[int]
    numbers: list[str]
    names: list[str]

    def firsts(self, *, by_number: bool) -> list[int]:
        """Return the first place of every wording, of those that differ in a count only where `by_number`."""
        texts = self.numbers if by_number else self.names
        return sorted(dict(zip(reversed(texts), reversed(self.places), strict=True)).values())


def said(lines: Sequence[str], troubles: Sequence[Sequence[int]]) -> list[Said]:
    """Return what the lines of each template say, of many an even sample."""
    most = MAX_LINES // max(1, len(troubles)) + 1
    return [of(lines, places[:: -(-len(places) // most)]) for places in troubles]


def of(lines: Sequence[str], places: Sequence[int]) -> Said:
    """Return what the lines at these places say.

    >>> of(["09:00:01 no route to db-1", "09:00:02 no route to db-1", "09:00:03 no route to db-2"], range(3)).firsts(by_number=False)
    [0, 2]
    """
    text = "\n".join([lines[place][:MAX_CHARS] for place in places])
    for when in _WHEN:
        text = when.sub("", text)
    return Said(places, text.split("\n"), _COUNT.sub("", text).split("\n"))


def others(
    lines: Sequence[str], troubles: Sequence[Said], kept: Sequence[int], room_chars: int, *, by_number: bool
) -> Iterable[int]:
    """Return the places of lines that say something else than the others of their template, and are not kept anyhow: that
    speak of somebody else, or `by_number` of anything else, if only of another count.

    All that is returned may take `room_chars`: templates with few wordings are shown with all of them, of others an even
    part.
    """
    found = ([place for place in one.firsts(by_number=by_number) if not kept[place]] for one in troubles)
    wanted = sorted(found, key=len)
    for left, places in zip(range(len(wanted), 0, -1), wanted, strict=True):
        chars = left * sum(len(lines[place]) for place in places)
        count = len(places) if chars <= room_chars else room_chars * len(places) // chars
        for at in range(count):
            place = places[at * len(places) // count]
            room_chars = max(0, room_chars - len(lines[place]))
            yield place
