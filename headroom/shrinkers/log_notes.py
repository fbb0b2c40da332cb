"""What is said of the hidden lines of a log, behind the last line that is shown before them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate

from headroom.shrinkers import log_values


def owners(
    lines: Sequence[str],
    members: Mapping[int, Sequence[int]],
    kept: bytearray,
    studies: Mapping[int, log_values.Study],
    room_chars: int,
) -> dict[int, str]:
    """Return whom the hidden lines of each template speak of, as far as there is room: short lists first."""
    found = [
        (names, number)
        for number, one in studies.items()
        for names in log_values.owners([lines[index] for index in members[number] if not kept[index]], one.untold)
    ]
    said: dict[int, str] = {}
    for names, number in sorted(found, key=lambda pair: len(pair[0])):
        ends = accumulate(len(name) + len(", ") for name in names)
        shown = names[: sum(1 for end in ends if end <= room_chars)]
        if shown:
            more = len(names) - len(shown)
            words = ", ".join(shown) + (f" and {more:,} others" if more else "")
            said[number] = f"{said[number]}; {words}" if number in said else words
            room_chars -= len(words)
    return said


def behind(
    members: Mapping[int, Sequence[int]],
    kept: bytearray,
    studies: Mapping[int, log_values.Study],
    whom: Mapping[int, str],
) -> dict[int, str]:
    """Return what is said behind the last line before the first hidden one of its template."""
    notes: dict[int, str] = {}
    for number, places in members.items():
        hidden = [index for index in places if not kept[index]]
        if not hidden:
            continue
        shown = [index for index in places[: bisect_left(places, hidden[0])] if kept[index]]
        one = studies.get(number)
        words = f"; of {one.count:,}: {one.told}" if one is not None and one.told else ""
        named = f": {whom[number]}" if number in whom else ""
        notes[shown[-1]] = f" [{len(hidden):,} more like it{named}{words}]"
    return notes
