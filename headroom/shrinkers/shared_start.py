"""Lines that all begin with the same words, as with the day that a log is of: said once. Lines that report trouble stay
whole, as readers look for these literally."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from headroom import reading
from headroom.shrinkers import trouble
from headroom.values import Form, Source

HEAD = "[every line begins with “"
WHOLE = "| "
MIN_LINES = 4
MIN_CHARS = 8
_UP_TO_WORD = re.compile(r".*(?:\s|\dT(?=\d))")


def forms(source: Source) -> Iterable[Form]:
    """Yield the lines without the words that all of them begin with, below these. Files that were read keep theirs."""
    if reading.is_file(source.call) or source.text[:1] in ("{", "["):
        return
    lines = source.text.split("\n")
    ends = [next(filter(str.strip, order), "") for order in (lines, reversed(lines))]
    if len(os.path.commonprefix(ends).strip()) < MIN_CHARS:
        return
    filled = [line for line in lines if line.strip()]
    found = _UP_TO_WORD.match(os.path.commonprefix([min(filled), max(filled)])) if len(filled) >= MIN_LINES else None
    start = found[0] if found else ""
    if len(start.strip()) < MIN_CHARS or not all(line[len(start) :].strip() for line in filled):
        return
    rest = [line[len(start) :] if line.strip() else line for line in lines]
    reported = trouble.positions(lines)
    if reported and any(line.startswith(WHOLE) for line in rest):
        return
    for n in reported:
        rest[n] = WHOLE + lines[n]
    others = f", but is whole behind “{WHOLE.strip()}”" if reported else ""
    yield Form("\n".join([f"{HEAD}{start}”{others}]", *rest]), "shared_start")
