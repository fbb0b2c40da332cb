"""Indented text as blocks: a line with everything that stands deeper below it."""

from __future__ import annotations

import re
from collections.abc import Sequence

MIN_REPEATED_LINES = 4
MIN_REPEATED_CHARS = 80
_NAME = re.compile(r"name: \S")
_BULLET = re.compile(r"^(\s*)((?:- )+)")


def depths(lines: Sequence[str]) -> list[int]:
    """Return how deep each line stands; a YAML list item stands where its first key does, a blank line at -1."""
    found = []
    for line in lines:
        text = line.lstrip()
        bullet = _BULLET.match(line) if text.startswith("- ") else None
        found.append(len(bullet[1]) + len(bullet[2]) - 1 if bullet else len(line) - len(text) if text else -1)
    return found


def ends(levels: Sequence[int]) -> list[int]:
    """Return for each line where its block ends: at the next line that does not stand deeper. Blank lines join it."""
    result = [0] * len(levels)
    stack: list[int] = []
    last_filled = -1
    for index, level in enumerate(levels):
        if level < 0:
            result[index] = index + 1
            continue
        while stack and levels[stack[-1]] >= level:
            result[stack.pop()] = last_filled + 1
        stack.append(index)
        last_filled = index
    for index in stack:
        result[index] = last_filled + 1
    return result


def fold_repeats(lines: Sequence[str]) -> tuple[list[str], int]:
    """Return the lines with each block that came before word for word replaced by a word on it, and how many lines that saved.

    A block is only folded when it begins with the same line as the earlier one, so its name still tells what it is.
    """
    levels = depths(lines)
    stops = ends(levels)
    seen: dict[str, int] = {}
    kept: list[str] = []
    saved = index = 0
    budget_chars = 20 * sum(len(line) for line in lines) + 10_000
    while index < len(lines):
        stop = stops[index]
        size = stop - index
        if size >= MIN_REPEATED_LINES and budget_chars > 0:
            block = "\n".join(lines[index:stop])
            budget_chars -= len(block)
            if len(block) >= MIN_REPEATED_CHARS:
                first = seen.setdefault(block, index)
                if first != index:
                    kept.append(
                        f"{lines[index].rstrip()}  (the {size - 1} lines below are the same as above at “{_context(lines, levels, first)}”)"
                    )
                    saved += size - 1
                    index = stop
                    continue
        kept.append(lines[index])
        index += 1
    return kept, saved


def _context(lines: Sequence[str], levels: Sequence[int], index: int) -> str:
    """Return the line above that a reader can find the block by: the name of its object, else what it stands under."""
    parent = name = ""
    ceiling = levels[index]
    for above in range(index - 1, max(-1, index - 200), -1):
        text = lines[above].strip()
        if text == "metadata:" and levels[above] <= ceiling and name:
            return name
        if _NAME.match(text) and levels[above] <= ceiling + 2:
            name = text[:80]
        if 0 <= levels[above] < ceiling:
            ceiling = levels[above]
            parent = parent or text[:80]
    return parent or lines[index].strip()[:80]
