"""Which part of an original was asked for, coarsely: that is all that is remembered of a question."""

from __future__ import annotations

import json
import re
from enum import IntFlag


class Part(IntFlag):
    """Parts of a text. A range of lines is in its beginning, middle or end third by the line in its middle."""

    WHOLE = 1
    HEAD = 2
    MIDDLE = 4
    TAIL = 8
    ERRORS = 16
    SEARCH = 32


_ERRORS = re.compile(r"error|fail|exception|traceback|panic|fatal|warn|assert|denied|refused|abort", re.IGNORECASE)
_STARTS = ("offset", "start_line", "line_start", "start")
_ENDS = ("end_line", "line_end", "end")
_RANGE = re.compile(r"\bsed\s+-n\s+['\"]?(\d+),(\d+)p|\b(head|tail|grep|rg|awk)\b")


def of(*, query: str, start_line: int | None, end_line: int | None, total_lines: int) -> Part:
    """The part that a fetch of our own asks for."""
    if query:
        return Part.ERRORS if _ERRORS.search(query) else Part.SEARCH
    if start_line is None and end_line is None:
        return Part.WHOLE
    return _third(start_line or 1, end_line or total_lines, total_lines)


def of_read(arguments: str, total_lines: int) -> Part:
    """The part that an agent's own tool reads of an original's file, as far as its arguments say."""
    try:
        given = json.loads(arguments)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        return Part.WHOLE
    start, end = _number(given, _STARTS), _number(given, _ENDS)
    shown = given.get("view_range")
    if isinstance(shown, list) and len(shown) == 2 and all(type(line) is int for line in shown):
        start, end = shown
    if start is not None or end is not None or isinstance(given.get("limit"), int):
        first = start or 1
        limit = given.get("limit")
        last = end if end is not None and end > 0 else first + limit if isinstance(limit, int) else total_lines
        return _third(first, last, total_lines)
    return _of_command(given, total_lines)


def _of_command(given: dict[str, object], total_lines: int) -> Part:
    command = next((value for key in ("command", "cmd") if isinstance(value := given.get(key), (str, list))), "")
    line = " ".join(map(str, command)) if isinstance(command, list) else str(command)
    found = _RANGE.search(line)
    if found is None:
        return Part.WHOLE
    if found[1]:
        return _third(int(found[1]), int(found[2]), total_lines)
    if found[3] in ("head", "tail"):
        return Part.HEAD if found[3] == "head" else Part.TAIL
    return Part.ERRORS if _ERRORS.search(line) else Part.SEARCH


def _number(given: dict[str, object], names: tuple[str, ...]) -> int | None:
    return next((value for name in names if type(value := given.get(name)) is int), None)


def _third(start: int, end: int, total_lines: int) -> Part:
    total = max(1, total_lines)
    first, last = min(max(1, start), total), min(max(start, end, 1), total)
    if first == 1 and last == total:
        return Part.WHOLE
    place = (first + last) / 2 / total
    return Part.HEAD if place <= 1 / 3 else Part.MIDDLE if place <= 2 / 3 else Part.TAIL
