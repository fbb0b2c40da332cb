"""Which of many lines that report the same trouble speak of somebody else: of another host, user, block or file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

MAX_LINES = 2_000
"""Of all templates together an even sample of so many lines is looked at."""

MAX_CHARS = 400
"""Of a line: whom it speaks of stands in front of what was said to him."""

# Times, counts, ports and process ids differ from line to line and tell nobody apart; addresses do.
_PASSING = re.compile(
    r"\[\d+\]|\d(?<![\w.-].)(?!(?:(?<=\d)\d{0,2}\.)(?:\d{1,3}\.){2}\d{1,3}(?![\d.]))[\d:.,/TZ+-]*(?!\w)"
)


def others(lines: Sequence[str], troubles: Sequence[Sequence[int]], room_chars: int) -> Iterable[int]:
    """Return the places of lines that speak of somebody else than the others of their template.

    `troubles` are the places of the lines of each template. All that is returned may take `room_chars`: templates with few
    wordings are shown with all of them, of others an even part.
    """
    if not troubles:
        return
    most = MAX_LINES // len(troubles) + 1
    wanted = sorted((firsts(lines, places[:: -(-len(places) // most)]) for places in troubles), key=len)
    for left, places in zip(range(len(wanted), 0, -1), wanted, strict=True):
        chars = left * sum(len(lines[place]) for place in places)
        count = len(places) if chars <= room_chars else room_chars * len(places) // chars
        for at in range(count):
            place = places[at * len(places) // count]
            room_chars = max(0, room_chars - len(lines[place]))
            yield place


def firsts(lines: Sequence[str], places: Sequence[int]) -> list[int]:
    """Return the first place of every wording among the lines at these places.

    >>> firsts(["09:00:01 no route to db-1", "09:00:02 no route to db-1", "09:00:03 no route to db-2"], range(3))
    [0, 2]
    """
    worded = _PASSING.sub("", "\n".join([lines[place][:MAX_CHARS] for place in places])).split("\n")
    return sorted(dict(zip(reversed(worded), reversed(places), strict=True)).values())
