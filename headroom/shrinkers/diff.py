"""Unified diffs: fewer context lines, one heading per file, lock files summarised, every changed line kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from headroom.shrinkers import diff_parts, named, repeats
from headroom.shrinkers.diff_parts import File, Hunk
from headroom.values import Form, Level, Source

# In an old diff a longer run of changed lines keeps its beginning and end.
_DEEP_RUN_LINES = 14
_DEEP_HEAD_LINES = 8
_DEEP_TAIL_LINES = 3
_MAX_LOCK_LINES = 40


def forms(source: Source) -> Iterable[Form]:
    """Yield shorter spellings of a diff: all lines, then trimmed context, then (level deep) only ends of long runs."""
    parts = diff_parts.parse(source.text)
    if not any(isinstance(part, File) for part in parts):
        return
    yield Form(_told(parts, _Tally(), level="lossless"), "diff_headings")
    if source.policy.level == "lossless":
        return
    rows = source.text.split("\n") if source.policy.keep_words else []
    tally = _Tally(rows[row] for row in named.rows(rows, source.policy.keep_words))
    text = _told(parts, tally, level=source.policy.level)
    if tally.left_out:
        yield Form(text, f"diff_{source.policy.level}", tally.left_out)


def lines(file: File, *, level: Level) -> list[str]:
    """Return one file's part of a diff in the short spelling, for diffs inside other output."""
    return [line for _, line in _rows(file, _Tally(), level=level)]


class _Tally:
    """Counts what was left out, for the marker; knows which lines must stay."""

    def __init__(self, kept: Iterable[str] = ()) -> None:
        self.kept = frozenset(kept)
        self.context = self.all_context = self.lock = self.changed = 0

    @property
    def left_out(self) -> str:
        said = []
        if self.context:
            said.append(f"{self.context:,} of {self.all_context:,} unchanged context lines")
        if self.lock:
            said.append(f"{self.lock:,} changed lines of lock or generated files")
        if self.changed:
            said.append(f"{self.changed:,} changed lines inside long runs")
        return " and ".join(said)


def _told(parts: list[str | File], tally: _Tally, *, level: Level) -> str:
    rows: list[tuple[str, str]] = []
    for part in parts:
        rows.extend([("", part)] if isinstance(part, str) else _rows(part, tally, level=level))
    return "\n".join(_folded(rows))


def _rows(file: File, tally: _Tally, *, level: Level) -> Iterator[tuple[str, str]]:
    """Yield the lines of one file, each with its sign ("" for headings)."""
    for line in file.heading():
        yield "", line
    if level != "lossless" and file.is_generated():
        for line in _summary(file, tally):
            yield "", line
        return
    for hunk in file.hunks:
        for smaller in [hunk] if level == "lossless" else _trimmed(hunk, tally):
            yield "", smaller.head
            for line in _ends(smaller.lines, tally, level):
                yield line[:1], line


def _summary(file: File, tally: _Tally) -> list[str]:
    """Return a lock file's versions that changed, and how much more did."""
    lines = [line for hunk in file.hunks for line in hunk.lines]
    kept = [line for line in lines if diff_parts.is_version(line)][:_MAX_LOCK_LINES]
    changed = sum(1 for line in lines if line[:1] in ("+", "-"))
    missing = changed - sum(1 for line in kept if line[0] != " ")
    if missing <= 0:
        return [line for hunk in file.hunks for line in (hunk.head, *hunk.lines)]
    tally.lock += missing
    return [*kept, f"[{missing:,} of {changed:,} changed lines of this file are not shown]"]


def _trimmed(hunk: Hunk, tally: _Tally) -> list[Hunk]:
    """Return the hunk as smaller hunks with one context line around changes, their headers counted anew."""
    tally.all_context += sum(1 for line in hunk.lines if line[:1] in (" ", ""))
    if not hunk.is_whole:
        return [hunk]
    keep = [is_kept or line in tally.kept for is_kept, line in zip(_kept(hunk.lines), hunk.lines, strict=True)]
    if all(keep):
        return [hunk]
    tally.context += keep.count(False)
    return diff_parts.split(hunk, keep)


def _kept(lines: list[str]) -> list[bool]:
    """Tell which lines stay: changes, and next to them one line that says something (no lone braces or blanks)."""
    keep = [line[:1] in ("+", "-", "\\") for line in lines]
    for at, line in enumerate(lines):
        if line[:1] not in ("+", "-") or not any(map(str.isalnum, line)):
            continue
        for near in (at - 1, at + 1):
            if 0 <= near < len(lines) and lines[near][:1] in (" ", "") and any(map(str.isalnum, lines[near])):
                keep[near] = True
    return keep


def _ends(lines: list[str], tally: _Tally, level: Level) -> list[str]:
    if level != "deep":
        return lines
    out: list[str] = []
    at = 0
    while at < len(lines):
        end = at
        while end < len(lines) and lines[end][:1] == lines[at][:1]:
            end += 1
        run = lines[at:end]
        is_foldable = run[0][:1] in ("+", "-") and tally.kept.isdisjoint(run)
        if len(run) > _DEEP_RUN_LINES and is_foldable:
            hidden = len(run) - _DEEP_HEAD_LINES - _DEEP_TAIL_LINES
            tally.changed += hidden
            run = [*run[:_DEEP_HEAD_LINES], f"[{run[0][0]}{hidden} more lines]", *run[-_DEEP_TAIL_LINES:]]
        out.extend(run)
        at = end
    return out


def _folded(rows: list[tuple[str, str]]) -> list[str]:
    """Return the lines, with runs that moved or repeat further up told by their first line and a count."""
    texts = [line[1:] if side else line for side, line in rows]
    sides = [side if side in ("+", "-") else "" for side, _ in rows]
    out: list[str] = []
    done = 0
    for copy in repeats.copies(texts, sides, min_lines=5, min_chars=160):
        anchor = _anchor(texts, copy)
        if anchor is None:
            continue
        out.extend(line for _, line in rows[done : anchor + 1])
        done = copy.start + copy.length
        side = sides[copy.start]
        before = "removed" if sides[copy.source] == "-" else "added"
        out.append(f"[{side}{done - anchor - 1} lines: the same as after this line where it was {before} above]")
    out.extend(line for _, line in rows[done:])
    return out


def _anchor(texts: list[str], copy: repeats.Copy) -> int | None:
    """Return the first of the copied lines that a reader can find again; None when too few would follow it."""
    for at in range(copy.start, copy.start + copy.length - 3):
        if sum(map(str.isalnum, texts[at])) >= 8:
            return at
    return None
