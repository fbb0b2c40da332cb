"""Where a source file's long comments stand: licence headers, documentation blocks, docstrings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_LICENCE = re.compile(r"(?i)\b(?:licen[cs]ed?|copyright|SPDX-License-Identifier|warranty|redistribut)")
_HEAD_ROWS = 40
# Rust and C# mark documentation, Java and JavaScript open it so, Go and C put it at the margin.
_DOCUMENTATION = re.compile(r"\s*(?:///|//!|/\*\*|[rRuUbB]{0,2}(?:\"\"\"|\'\'\'))|//|/\*")
_LETTERS = re.compile(r"\w")
_DOCSTRING = re.compile(r"\s*[rRuUbB]{0,2}(\"\"\"|''')")
_DEFINITION = re.compile(r"\s*(?:(?:async )?def \w+\(|class \w+[(:])")


@dataclass(frozen=True, slots=True)
class Comment:
    """Rows `start` to `end` (exclusive) hold nothing but one comment."""

    start: int
    end: int
    is_licence: bool = False
    is_documentation: bool = False  # written for readers of the interface, not beside a statement
    is_opened: bool = False  # its first row only begins it
    is_closed: bool = False  # its last row only ends it

    def rest(self, kept_rows: int) -> range:
        """Return the rows behind the first `kept_rows` with text."""
        return range(self.start + kept_rows + self.is_opened, self.end - self.is_closed)


def find(lines: Sequence[str], *, line_mark: str, has_docstrings: bool) -> Iterator[Comment]:
    """Yield comments of two rows and more; `line_mark` is `#` or `//` (and then `/* */` counts, too)."""
    row = 0
    unclosed: set[str] = set()
    while row < len(lines):
        end, is_alone = row, True
        if lines[row].lstrip().startswith(line_mark):
            end = _end_of_run(lines, row, line_mark)
        else:
            opened = _opened(lines, row, line_mark, has_docstrings=has_docstrings)
            if opened and opened[0] not in unclosed:
                end, is_alone = _closing(lines, row, *opened)
                unclosed.update(opened[:1] if end == row else ())
        if end > row + 1 and is_alone and not (has_docstrings and any(map(_DEFINITION.match, lines[row:end]))):
            yield _comment(lines, row, end)
        row = max(end, row + 1)


def _comment(lines: Sequence[str], start: int, end: int) -> Comment:
    return Comment(
        start,
        end,
        is_licence=start < _HEAD_ROWS and bool(_LICENCE.search("\n".join(lines[start:end]))),
        is_documentation=bool(_DOCUMENTATION.match(lines[start])),
        is_opened=not _LETTERS.search(lines[start]),
        is_closed=not _LETTERS.search(lines[end - 1]),
    )


def _end_of_run(lines: Sequence[str], row: int, line_mark: str) -> int:
    while row < len(lines) and lines[row].lstrip().startswith(line_mark):
        row += 1
    return row


def _opened(lines: Sequence[str], row: int, line_mark: str, *, has_docstrings: bool) -> tuple[str, int] | None:
    """Return what would close the comment that a row begins, and where its text starts."""
    line = lines[row]
    if line_mark == "//" and line.lstrip().startswith("/*"):
        return "*/", line.index("/*") + 2
    quote = _DOCSTRING.match(line) if has_docstrings else None
    return (quote[1], quote.end()) if quote and _begins_a_body(lines, row) else None


def _begins_a_body(lines: Sequence[str], row: int) -> bool:
    """Return whether a docstring may begin at a row: at the top, or right below a line that opens a body.

    Of a file that is shown from its middle on, the first quotes may be the end of a docstring, with code behind them.
    """
    for place in range(row - 1, -1, -1):
        above = lines[place]
        if above.strip() and not above.lstrip().startswith("#"):
            return above.partition("  #")[0].rstrip().endswith(":")
    return not lines[row][:1].isspace()


def _closing(lines: Sequence[str], row: int, mark: str, start: int) -> tuple[int, bool]:
    """Return the row after the one that has `mark`, and whether nothing follows it there; `row` when none has it."""
    for end in range(row, len(lines)):
        at = lines[end].find(mark, start)
        if at >= 0:
            return end + 1, not lines[end][at + len(mark) :].strip()
        start = 0
    return row, False
