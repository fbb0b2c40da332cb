"""Folding of lines that say nothing new: runs of foldable kinds, look-alikes and repeated passages become one note."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from headroom.shrinkers import line_kinds, repeats

_EDGES = ".,:;!?()[]{}<>'\""
# So many lines of one shape are a routine, and its first line stands for the others.
_MIN_ALIKE = 8
_MIN_PROGRESS = 3
_MIN_NOTE_CHARS = 60
_LONG_CHARS = 400
_KEPT_HEAD_CHARS = 160
_KEPT_TAIL_CHARS = 100
_QUOTE_CHARS = 48
_SINGULAR = {
    "similar lines": "similar line",
    line_kinds.PASSED: "line of passing tests",
    line_kinds.SOURCE: "source line",
}


def folded(lines: Sequence[str], found: Sequence[str]) -> tuple[list[str], int]:
    """Return the shorter lines and how many of the given lines they leave out.

    `found` holds the kind of each line, as `line_kinds.kinds` returns it. Every run of folded lines leaves one note
    with true counts; a repeated passage is named by its first line.
    """
    marks = _marks(lines, found)
    quotes = _mark_repeats(lines, marks)
    out: list[str] = []
    hidden = 0
    at = 0
    while at < len(lines):
        if not marks[at]:
            is_cuttable = found[at] in (line_kinds.OTHER, line_kinds.PROGRESS)
            out.append(_cut(lines[at]) if is_cuttable else lines[at])
            at += 1
            continue
        end = at + 1
        while end < len(lines) and (marks[end] or _is_rule(lines[end])) and end not in quotes:
            end += 1
        while end > at + 1 and not marks[end - 1]:
            end -= 1
        shown, count = _note(lines, marks, at, end, quotes)
        out.extend(shown)
        hidden += count
        at = end
    return _without_blank_runs(out), hidden


def _marks(lines: Sequence[str], found: Sequence[str]) -> list[str]:
    """Return for each line why it may be folded, "" for lines to show."""
    keys = [_shape(line, kind) for line, kind in zip(lines, found, strict=True)]
    counts = Counter(key for key in keys if key)
    marks: list[str] = []
    shown: set[str] = set()
    for line, kind, key in zip(lines, found, keys, strict=True):
        if kind in (line_kinds.KEEP, line_kinds.DETAIL):
            marks.append("")
        elif kind in (line_kinds.OTHER, line_kinds.PROGRESS):
            enough = _MIN_PROGRESS if kind == line_kinds.PROGRESS else _MIN_ALIKE
            is_routine = bool(key) and counts[key] >= enough and key in shown
            marks.append("similar lines" if is_routine else "")
            shown.add(key)
        else:
            marks.append(kind if line else "")
    return marks


def _shape(line: str, kind: str) -> str:
    """Return what look-alike lines share, "" where likeness means nothing."""
    if kind == line_kinds.PROGRESS:
        return line_kinds.progress_verb(line)
    if kind != line_kinds.OTHER or not line or len(line) > 2000:
        return ""
    shape = " ".join([word if word.strip(_EDGES).isalpha() else "*" for word in line.split()])
    return shape if sum(map(str.isalpha, shape)) >= 3 else ""


def _mark_repeats(lines: Sequence[str], marks: list[str]) -> dict[int, str]:
    """Mark passages that stand further up; return the note for each, by the index of its first line."""
    sides = ["" if mark else "x" for mark in marks]
    quotes: dict[int, str] = {}
    for copy in repeats.copies(lines, sides, min_lines=3, min_chars=100):
        passage = lines[copy.start : copy.start + copy.length]
        first = max(passage[:6], key=lambda line: min(sum(map(str.isalnum, line)), _QUOTE_CHARS))
        quote = first.strip()
        quote = quote if len(quote) <= _QUOTE_CHARS else quote[:_QUOTE_CHARS].rstrip() + "…"
        quotes[copy.start] = f'[{copy.length} lines as above: "{quote}"]'
        marks[copy.start : copy.start + copy.length] = ["repeated lines"] * copy.length
    return quotes


def _note(
    lines: Sequence[str], marks: Sequence[str], at: int, end: int, quotes: dict[int, str]
) -> tuple[list[str], int]:
    """Return what stands for the lines from `at` to `end`, and how many lines that leaves out."""
    if at in quotes:
        return [quotes[at]], end - at
    run = lines[at:end]
    if sum(map(len, run)) < _MIN_NOTE_CHARS:
        return list(run), 0
    counts = Counter(mark for mark in marks[at:end] if mark)
    names = (f"{count:,} {name if count > 1 else _SINGULAR.get(name, name)}" for name, count in counts.most_common())
    return [f"[{', '.join(names)}]"], end - at


def _is_rule(line: str) -> bool:
    """Tell whether a line is blank or a drawn rule, which goes with the lines around it."""
    return not any(map(str.isalnum, line[:200]))


def _cut(line: str) -> str:
    if len(line) <= _LONG_CHARS:
        return line
    hidden = len(line) - _KEPT_HEAD_CHARS - _KEPT_TAIL_CHARS
    return f"{line[:_KEPT_HEAD_CHARS]} … [{hidden:,} characters] … {line[-_KEPT_TAIL_CHARS:]}"


def _without_blank_runs(lines: list[str]) -> list[str]:
    return [line for at, line in enumerate(lines) if line.strip() or (at and lines[at - 1].strip())]
