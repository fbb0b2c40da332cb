"""Findings with the source around them, as rustc and ruff draw it: of those that come often, the line that is meant."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from headroom.shrinkers import terminal
from headroom.values import Form, Source

WHOLE = 2
"""So many findings of one sort keep all their source."""

MIN_FINDINGS = 6
_PLACE = re.compile(r"\s*--> \S.*:\d+:\d+$")
_DRAWN = re.compile(r"\s*(?:\d+ )?\s*\|(?: .*)?$|\.\.\.$")
_NUMBERED = re.compile(r"\s*\d+ +\|")
_POINTER = re.compile(r"\s*\|[ |_/]*[\^~-]+[ \^~|_-]*$")
_OWN = re.compile(r"`[^`]*`|'[^']*'|\"[^\"]*\"|\d+")
_ERROR = re.compile(r"(?i)error\b|fatal|panic")


def forms(source: Source) -> Iterable[Form]:
    """Yield the findings with less source around those whose sort was seen before; errors keep all of it."""
    if source.policy.level == "lossless" or source.text.count("-->") < MIN_FINDINGS:
        return
    lines = terminal.clean(source.text).split("\n")
    places = [at for at, line in enumerate(lines) if at and _PLACE.match(line[:400])]
    if len(places) < MIN_FINDINGS:
        return
    seen: Counter[str] = Counter()
    out: list[str] = []
    done = gone = 0
    for at in places:
        sort = _OWN.sub("", lines[at - 1])
        seen[sort] += 1
        end = at + 1
        while end < len(lines) and _DRAWN.match(lines[end][:400]):
            end += 1
        out += lines[done : at + 1]
        drawn = lines[at + 1 : end]
        meant = drawn if seen[sort] <= WHOLE or _ERROR.match(lines[at - 1]) else _meant(drawn)
        out += meant
        gone += len(drawn) - len(meant)
        done = end
    if gone:
        out += lines[done:]
        yield Form("\n".join(out), "finding_frames", f"{gone:,} lines of source around findings of a sort shown before")


def _meant(drawn: Sequence[str]) -> list[str]:
    """Return the lines that something points at, and what is said there; all of them when nothing points."""
    kept: list[str] = []
    source = ""
    for line in drawn:
        if _NUMBERED.match(line[:40]):
            source = line
        elif "^" in line or "~" in line or " -" in line:
            kept += [source] if source else []
            kept += [] if _POINTER.fullmatch(line[:4_000]) else [line]
            source = ""
    return kept or list(drawn)
