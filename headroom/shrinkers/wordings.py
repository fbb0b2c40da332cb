"""Which of many lines that report the same trouble speak of somebody else: of another host, user, block or file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

MAX_LINES = 2_000
"""Of all templates together an even sample of so many lines is looked at."""

MAX_CHARS = 400
"""Of a line: whom it speaks of stands in front of what was said to him."""

# A day, a clock, a process: what every line has of its own, whatever it says.
_WHEN = re.compile(
    r"\d(?<![\w.].)\d{0,7}(?:[-/.:]\d\d?){2}(?!\d*\.\d)[\d.,:TZ+-]*|\d{6} \d{6}(?= )|1(?<!\w.)\d{9}(?!\d)"
    r"|[A-Z][a-z]{2} [ \d]\d (?=\d\d:)|\[\d+\]"
)
# Counts, durations and ports tell nobody apart; addresses and long numbers do.
_COUNT = re.compile(r"\d(?<![\w.-].)(?!(?<=\d)\d{0,2}\.(?:\d{1,3}\.){2}\d{1,3}(?![\d.]))\d{0,4}(?:[.,]\d+)?(?!\w|\.\d)")
NAMES: tuple[re.Pattern[str], ...] = (_WHEN, _COUNT)
"""What to leave out of lines that should speak of somebody else."""
NUMBERS: tuple[re.Pattern[str], ...] = (_WHEN,)
"""What to leave out of lines that should differ in anything, if only in a count."""


def others(
    lines: Sequence[str],
    troubles: Sequence[Sequence[int]],
    kept: Sequence[int],
    room_chars: int,
    *,
    passing: Sequence[re.Pattern[str]] = NAMES,
) -> Iterable[int]:
    """Return the places of lines that say something else than the others of their template, and are not kept anyhow.

    `troubles` are the places of the lines of each template, `passing` what may differ and means nothing. All that is
    returned may take `room_chars`: templates with few wordings are shown with all of them, of others an even part.
    """
    if not troubles:
        return
    most = MAX_LINES // len(troubles) + 1
    found = (firsts(lines, places[:: -(-len(places) // most)], passing) for places in troubles)
    wanted = sorted(([place for place in some if not kept[place]] for some in found), key=len)
    for left, places in zip(range(len(wanted), 0, -1), wanted, strict=True):
        chars = left * sum(len(lines[place]) for place in places)
        count = len(places) if chars <= room_chars else room_chars * len(places) // chars
        for at in range(count):
            place = places[at * len(places) // count]
            room_chars = max(0, room_chars - len(lines[place]))
            yield place


def firsts(lines: Sequence[str], places: Sequence[int], passing: Sequence[re.Pattern[str]] = NAMES) -> list[int]:
    """Return the first place of every wording among the lines at these places.

    >>> firsts(["09:00:01 no route to db-1", "09:00:02 no route to db-1", "09:00:03 no route to db-2"], range(3))
    [0, 2]
    """
    text = "\n".join([lines[place][:MAX_CHARS] for place in places])
    for pattern in passing:
        text = pattern.sub("", text)
    return sorted(dict(zip(reversed(text.split("\n")), reversed(places), strict=True)).values())
