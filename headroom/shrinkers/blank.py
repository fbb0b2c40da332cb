"""Long runs of blank lines, told in one line. Everything else may then count on lines to have something in them."""

from __future__ import annotations

import re
from itertools import groupby

LONG_RUN = 12
"""Shorter runs are somebody's layout."""

_MANY = re.compile(rf"\n[^\S\n]*+(?:\n[^\S\n]*+){{{LONG_RUN - 2}}}")


def collapse(text: str) -> str:
    r"""Replace every long run of blank lines by one that counts them.

    >>> collapse("a" + 20 * "\n" + "b")
    'a\n[19 blank lines]\nb'
    """
    if not _MANY.search(text):
        return text
    lines: list[str] = []
    for is_blank, run in groupby(text.split("\n"), key=_is_blank):
        found = list(run)
        lines += [f"[{len(found):,} blank lines]"] if is_blank and len(found) >= LONG_RUN else found
    return "\n".join(lines)


def _is_blank(line: str) -> bool:
    return not line or line.isspace()
