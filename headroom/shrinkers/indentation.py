"""Where functions begin and end by their indentation alone: for programs that do not parse, or are too long to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_MAX_SIGNATURE_ROWS = 20
_MODIFIERS = (
    r"(?:(?:export|default|public|private|protected|internal|static|async|abstract|final|override|virtual|inline|"
    r"unsafe|extern|const|pub(?:\([\w: ]{1,20}\))?)\s+)*"
)
_DEFINES = re.compile(
    rf"\s*{_MODIFIERS}(?:(?:def|func|function|fn|sub)\b\W*(?P<name>\w*)"
    r"|(?!(?:if|for|while|switch|catch|return|else|do|try|with|foreach|using|lock|new|throw|await)\b)"
    r"[\w<>\[\],.*&:?~ ]{0,200}?\b(?P<method>\w+)\s?\([^;]{0,300}(?:\{|\)|,|\()$"
    r"|(?:const|let|var)\s+(?P<value>\w+)[^;]{0,200}=>\s*\{$"
    r"|\w+\((?P<case>[\"'`][^\n]{0,200})=>\s*\{$)"
)
_OPENS = re.compile(r".*(?:\{|:|\bthen|\bdo)\s*(?:(?://|#|/\*).*)?$")


@dataclass(frozen=True, slots=True)
class Definition:
    """A function or method: rows are 0-based, `end` and `body_end` exclusive, the body without its braces."""

    names: frozenset[str]
    start: int
    end: int
    body_start: int
    body_end: int


def definitions(lines: Sequence[str], rows: range) -> Iterator[Definition]:
    """Yield what looks like a function within `rows`: a signature, then rows that stand deeper."""
    widths = {row: _width(lines[row]) for row in rows if lines[row].strip()}
    for row in rows:
        found = _DEFINES.match(lines[row][:600]) if row in widths else None
        if not found:
            continue
        start = _body_start(lines, widths, row)
        end = _body_end(widths, start, rows.stop, widths[row])
        if end > start:
            names = re.findall(r"\w+", next((name for name in found.groups() if name), ""))
            yield Definition(frozenset(names[:4]), row, min(end + 1, rows.stop), start, end)


def _width(line: str) -> int:
    return len(line) - len(line.lstrip())


def _body_start(lines: Sequence[str], widths: dict[int, int], row: int) -> int:
    """Return the row behind a signature, which may go on over several rows and end in a brace of its own."""
    for at in range(row, min(row + _MAX_SIGNATURE_ROWS, len(lines))):
        if _OPENS.match(lines[at][:1_000]):
            return at + 1
        if at > row and (at not in widths or (widths[at] <= widths[row] and lines[at].lstrip()[:1] not in "){")):
            break
    return row + 1


def _body_end(widths: dict[int, int], start: int, stop: int, width: int) -> int:
    end = start
    for row in range(start, stop):
        if row in widths:
            if widths[row] <= width:
                break
            end = row + 1
    return end
