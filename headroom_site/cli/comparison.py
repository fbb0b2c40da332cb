"""A text before and after, line by line, for a terminal."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from itertools import groupby

CONTEXT_LINES = 2
SHOWN_RUN_LINES = 12
"""A longer run of lines that are only in the original is folded to its ends: what is gone needs no reading."""
MAX_PRODUCT = 20_000_000
"""Lines before times lines after, above which comparing them would take minutes."""
MAX_LINE_CHARS = 400
PICTURES = {code: 0x2400 + code for code in range(32) if code != 9} | {0x7F: 0x2421}
"""Control characters are shown as pictures: they must not steer the reader's terminal."""


def lines(before: str, after: str, *, is_whole: bool = False) -> Iterator[str]:
    """Yield the lines of a unified diff, long removed runs folded unless `is_whole`; of huge texts only what remains."""
    old, new = before.split("\n"), after.split("\n")
    if len(old) * len(new) > MAX_PRODUCT:
        yield f"({len(old):,} lines are too many to compare with {len(new):,}; this is what remains:)"
        yield from (_short(line) for line in new)
        return
    found = list(difflib.unified_diff(old, new, "before", "after", n=CONTEXT_LINES, lineterm=""))
    for mark, run in groupby(found[2:], key=lambda line: line[:1]):
        removed = list(run)
        if mark != "-" or is_whole or len(removed) <= SHOWN_RUN_LINES:
            yield from (_short(line) for line in removed)
            continue
        half = SHOWN_RUN_LINES // 2
        yield from (_short(line) for line in removed[:half])
        yield f"… {len(removed) - 2 * half:,} more lines that are only in the original"
        yield from (_short(line) for line in removed[-half:])


def _short(line: str) -> str:
    shown = line[:MAX_LINE_CHARS].translate(PICTURES)
    return shown if len(line) <= MAX_LINE_CHARS else f"{shown}… ({len(line):,} characters)"
