"""Which lines report trouble: they are kept exactly as they came, whatever happens to their neighbours."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

QUOTED = 16
"""Trouble in more lines than this, and in more than a tenth of them, is the normal state: only the first are quoted."""

_LONGEST_LINE = 4000
# Asking for plain strings first is ten times faster than the expression, and most lines are fine.
_STEMS = (
    "err", "fail", "fatal", "panic", "crash", "backoff", "kill", "evict", "denied", "refused", "unhealthy", "unreachable", "una",
    "cannot", "critical", "invalid", "degraded", "corrupt", "conflict", "exception", "traceback", "ready", "not found",
    "missing", "expired", "disconnected", "down", "warn", "timeout", "timed", "time-out", "time out", "pending",
)  # fmt: skip
_MOST_BEFORE_STEM = len("not-")
_WORDS = re.compile(
    r"(?:error|fail|fatal|panic|crash|backoff|oomkill|evict|denied|refused|unhealthy|unreachable|not[ -]?ready|unavailable|not found"
    r"|traceback|exception|degraded|disconnected|err-?disabled?)(?!\w*\.[a-z])"
    r"|\b(?:unable|cannot|critical|invalid|corrupt(?:ed)?|conflicts?|missing|expired|down|err|warn(?:ing)?s?|time(?:d[ -]?|[ -])?out|killed|pending)\b"
)
# What begins with a character, and not with a boundary, is found much faster.
_ZERO_COUNTS = (
    r"0(?<!\w.)(?:\.0+)?%? (?:[a-z]+ ){0,2}(?:errors?|fail(?:ed|ures?)?|drops?)\b",
    r"[ef](?<!\w.)(?:(?<=e)rrors?|(?<=f)ail(?:ed|ures?)?)[ :=]+0\b",
)
_ZERO_COUNT = re.compile("|".join(_ZERO_COUNTS))
_HAS_ZERO_COUNT = tuple(re.compile(one) for one in _ZERO_COUNTS)


def reports(line: str) -> bool:
    """Return whether one line speaks of an error, a failure or a state that is not fine.

    >>> reports("eth0 is down"), reports("0 input errors, 0 CRC"), reports("errors.py")
    (True, False, False)
    """
    line = line[:_LONGEST_LINE].lower()
    return any(stem in line for stem in _STEMS) and _says_so(line)


def positions(lines: Sequence[str]) -> frozenset[int]:
    """Return the indices of the lines that report trouble; where trouble is nothing unusual, only the first ones."""
    return quoted(reporting(lines), len(lines))


def quoted(found: Sequence[int], count: int) -> frozenset[int]:
    """Return those of the lines found among `count` that are kept as they came: all, or the first ones."""
    return frozenset(found if len(found) <= max(QUOTED, count // 10) else found[:QUOTED])


def reporting(lines: Sequence[str]) -> list[int]:
    """Return the indices of all lines that report trouble: what `reports` says, for many lines at once."""
    text, starts = _lowered(lines)
    first: dict[int, int] = {}
    for stem in _STEMS:
        at = text.find(stem)
        while at >= 0:
            index = bisect_right(starts, at) - 1
            first[index] = min(at, first.get(index, at))
            at = text.find(stem, starts[index + 1])
    return [
        index
        for index, at in sorted(first.items())
        if _says_so(text[starts[index] : starts[index + 1] - 1], at - starts[index])
    ]


def _lowered(lines: Sequence[str]) -> tuple[str, list[int]]:
    """Return the beginnings of all lines in lower case, and where each begins; at once where that is the same."""
    text = "\n".join(lines)
    if not text.isascii() or max(map(len, lines), default=0) > _LONGEST_LINE:
        lines = [line[:_LONGEST_LINE].lower() for line in lines]
        text = "\n".join(lines)
    else:
        text = text.lower()
    return text, list(accumulate([len(line) + 1 for line in lines], initial=0))


def _says_so(lowered: str, stem_at: int = 0) -> bool:
    """Return whether a line has a word for trouble, and not only as a count of none; its first stem says where to begin."""
    if not _WORDS.search(lowered, max(0, stem_at - _MOST_BEFORE_STEM)):
        return False
    if not any(one.search(lowered) for one in _HAS_ZERO_COUNT):
        return True
    return _WORDS.search(_ZERO_COUNT.sub("", lowered)) is not None
