"""How bad a line is where its format says so by a number or a letter: no word of it need speak of trouble."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

PLAIN, WEAK, STRONG = 0, 1, 2
"""What a line reports: nothing, a warning, an error."""

_HEAD_CHARS = 60
# Behind the process and the thread, or before the name of the part that speaks; before the day.
_LETTER = re.compile(r"\d+ +\d+ ([EFW]) \w|(?<!\w)([EFW])/\w")
_DAY = re.compile(r"([EFW])(?<![\w.-].)\d{4} \d\d:")
# What the first digit behind these says; the rest of the number does not matter.
_STATUS = re.compile(r'HTTP/\d(?:\.\d)?" ([45])\d\d(?!\d)')
_LEVEL = re.compile(r'"level":\s?([456])0\b')
_PRIORITY = re.compile(r"(?m)^<(\d{1,3})>")
_MARKS = {"4": WEAK, "5": STRONG, "6": STRONG}
_FIRST_FINE = 5
_FIRST_WARNING = 4


def lettered(line: str) -> int:
    """Return what the level of a line says that is written as one letter.

    >>> lettered("E0318 10:47:13.542846       1 server.go:117] \\"Declined\\""), lettered("03-17 16:13:38 1702 2395 W Art: slow")
    (2, 1)
    """
    found = None
    if " E " in line or " W " in line or " F " in line or line[1:2] == "/":
        found = _LETTER.search(line, 0, _HEAD_CHARS)
    if found is None and "] " in line:
        found = _DAY.search(line, 0, _HEAD_CHARS)
    return PLAIN if found is None else WEAK if "W" in found.groups() else STRONG


def numbered(text: str, lines: Sequence[str]) -> dict[int, int]:
    r"""Return the lines with a number that stands for a warning or an error: the status of an answer, the level of a JSON
    record, the priority of a syslog message.

    >>> numbered(text := '"GET / HTTP/1.1" 200 7\n"GET /a HTTP/1.1" 502 9', text.split("\n"))
    {1: 2}
    """
    found: dict[int, int] = {}
    places = [(one.start(), _MARKS[one[1]]) for pattern in (_STATUS, _LEVEL) for one in pattern.finditer(text)]
    if text.startswith("<"):
        priorities = ((one.start(), int(one[1]) % 8) for one in _PRIORITY.finditer(text))
        places += [
            (at, WEAK if severity == _FIRST_WARNING else STRONG)
            for at, severity in priorities
            if severity < _FIRST_FINE
        ]
    if places:
        starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
        for at, mark in places:
            index = bisect_right(starts, at) - 1
            found[index] = max(mark, found.get(index, mark))
    return found
