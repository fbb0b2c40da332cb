"""A table of contents for a long text: its headings, else the sections that tools mark, else its outer blocks, else even
stretches of lines, each with the trouble that it reports."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from headroom.shrinkers import trouble

MAX_SECTIONS = 60
_STRETCHES = 24
_MAX_TITLE_CHARS = 100

_HEADING = re.compile(r" {0,3}(#{1,6}) +\S")
_FENCE = re.compile(r" {0,3}(```|~~~)")
# How tools begin a section, and how deep that lies: commits and their files, the parts of a test run and its failures.
_MARKS = (
    (re.compile(r"commit [0-9a-f]{7,40}\b|={3,} .+ ={3,}$|-{3,} .+ -{3,}$"), 0),
    (re.compile(r"diff --git \S|_{3,} .+ _{3,}$|--- (?:FAIL|SKIP): |={70}$"), 1),
)
_TITLE_LINES = 3
_ONLY_BRACKETS = re.compile(r"[\s\[\]{}(),;]*")


@dataclass(frozen=True, slots=True)
class Section:
    """One entry: `first` and `last` are 1-based line numbers, both included."""

    first: int
    last: int
    title: str

    def __str__(self) -> str:
        span = f"{self.first}" if self.first == self.last else f"{self.first}-{self.last}"
        return f"{span}: {self.title}"


def sections(lines: Sequence[str]) -> list[Section]:
    """Return at most MAX_SECTIONS entries that together cover the text from the first entry on."""
    starts = _headings(lines) or _marked(lines) or _blocks(lines)
    of_stretches = not starts
    starts = starts or _stretches(lines)
    ends = [*(start - 1 for start in starts[1:]), len(lines) - 1]
    return [
        Section(start + 1, end + 1, _title(lines, start, end) + (_troubles(lines, start, end) if of_stretches else ""))
        for start, end in zip(starts, ends, strict=True)
    ]


def _title(lines: Sequence[str], start: int, end: int) -> str:
    """Return the first line that says something; of what opens with a bracket or a commit's hash, the next few too."""
    said = [line for line in lines[start : end + 1] if not _ONLY_BRACKETS.fullmatch(line[:_MAX_TITLE_CHARS])]
    if not said:
        return lines[start][:_MAX_TITLE_CHARS].strip()
    if _MARKS[0][0].match(said[0]) and said[0].startswith("commit "):
        subject = next((line.strip() for line in said[1:12] if line.startswith("    ")), "")
        return f"{said[0][:19]} {subject}"[:_MAX_TITLE_CHARS].rstrip()
    if said[0] != lines[start]:
        return " ".join(line.strip() for line in said[:_TITLE_LINES])[:_MAX_TITLE_CHARS].rstrip()
    return said[0][:_MAX_TITLE_CHARS].rstrip()


def _troubles(lines: Sequence[str], start: int, end: int) -> str:
    found = trouble.reporting(lines[start : end + 1])
    count = f"{len(found):,} line{'s' if len(found) > 1 else ''}"
    return f" (trouble in {count}, first in {start + found[0] + 1})" if found else ""


def _marked(lines: Sequence[str]) -> list[int]:
    """Return where tools began a section, only the outer ones when there are too many."""
    found = [
        (number, level)
        for number, line in enumerate(lines)
        for pattern, level in _MARKS
        if line[:1] in "c=-_d" and pattern.match(line[:400])
    ]
    return _upper(found) if len(found) > 2 else []


def _headings(lines: Sequence[str]) -> list[int]:
    """Return where headings stand, only the upper levels of them when there are too many."""
    found: list[tuple[int, int]] = []
    fence = ""
    for number, line in enumerate(lines):
        opening = _FENCE.match(line)
        if opening and fence in ("", opening[1]):
            fence = "" if fence else opening[1]
        heading = None if fence else _HEADING.match(line)
        if heading:
            found.append((number, len(heading[1])))
    return _upper(found) if len(found) > 2 else []


def _blocks(lines: Sequence[str]) -> list[int]:
    """Return the lines that something deeper hangs under, outer levels first while there is room."""
    widths = [len(line) - len(line.lstrip()) if line.strip() else -1 for line in lines]
    found: list[tuple[int, int]] = []
    deeper = -1
    for number in range(len(lines) - 1, -1, -1):
        width = widths[number]
        if width >= 0:
            if width < deeper:
                found.append((number, width))
            deeper = width
    return _upper(found[::-1]) if len(found) > 2 else []


def _upper(found: list[tuple[int, int]]) -> list[int]:
    """Keep whole levels, from the top, as long as they fit; thin out the first when even that is too long."""
    kept: list[int] = []
    for level in sorted({level for _, level in found}):
        wider = [number for number, its_level in found if its_level <= level]
        if len(wider) > MAX_SECTIONS:
            break
        kept = wider
    if len(kept) > 2:
        return kept
    step = len(found) // MAX_SECTIONS + 1
    return [number for number, _ in found[::step]]


def _stretches(lines: Sequence[str]) -> list[int]:
    step = max(1, -(-len(lines) // _STRETCHES))
    return list(range(0, len(lines), step))
