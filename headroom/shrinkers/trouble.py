"""Which lines report trouble: they are kept exactly as they came, whatever happens to their neighbours."""

from __future__ import annotations

import re
from collections.abc import Iterable

QUOTED = 16
"""Trouble in more lines than this, and in more than a tenth of them, is the normal state: only the first are quoted."""

_LONGEST_LINE = 4000
# Asking for plain strings first is ten times faster than the expression, and most lines are fine.
_STEMS = (
    "err", "fail", "fatal", "panic", "crash", "backoff", "oomkill", "evict", "denied", "refused", "unhealthy", "unreachable", "unable",
    "cannot", "critical", "invalid", "degraded", "corrupt", "conflict", "exception", "traceback", "ready", "unavailable", "not found",
    "missing", "expired", "disconnected", "down", "warn", "timeout", "timed", "time-out", "time out", "killed", "pending",
)  # fmt: skip
_WORDS = re.compile(
    r"error|fail|fatal|panic|crash|backoff|oomkill|evict|denied|refused|unhealthy|unreachable|not[ -]?ready|unavailable|not found"
    r"|traceback|exception|degraded|disconnected|err-?disabled?"
    r"|\b(?:unable|cannot|critical|invalid|corrupt(?:ed)?|conflicts?|missing|expired|down|err|warn(?:ing)?s?|time(?:d[ -]?|[ -])?out|killed|pending)\b"
)
_ZERO_COUNT = re.compile(
    r"\b0(?:\.0+)?%? (?:[a-z]+ ){0,2}(?:errors?|fail(?:ed|ures?)?|drops?)\b|\b(?:errors?|fail(?:ed|ures?)?)[ :=]+0\b",
)


def reports(line: str) -> bool:
    """Return whether one line speaks of an error, a failure or a state that is not fine.

    >>> reports("eth0 is down"), reports("0 input errors, 0 CRC"), reports("Status: Running")
    (True, False, False)
    """
    line = line[:_LONGEST_LINE].lower()
    if not any(stem in line for stem in _STEMS):
        return False
    return bool(_WORDS.search(line)) and bool(_WORDS.search(_ZERO_COUNT.sub("", line)))


def positions(lines: Iterable[str]) -> frozenset[int]:
    """Return the indices of the lines that report trouble; where trouble is nothing unusual, only the first ones."""
    count = 0
    found = []
    for index, line in enumerate(lines):
        count += 1
        if reports(line):
            found.append(index)
    return frozenset(found if len(found) <= max(QUOTED, count // 10) else found[:QUOTED])
