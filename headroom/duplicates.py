"""The same output again in one conversation: a word about the earlier copy, and what is different now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from headroom.shrinkers import numbered
from headroom.values import Form

# Shorter stretches cost about what naming them does.
_MIN_RUN_LINES = 3
_MIN_RUN_CHARS = 80
# Below this share of repeated characters a text is shown for what it is.
_MIN_SHARE = 0.2
# From this share on it is the same text with changes, below it has parts of the other one.
_SAME_SHARE = 0.5
# A line that occurs very often (a brace, a blank) is tried at so many places of the earlier copy.
_MAX_PLACES = 8
_MAX_CHARS = 4_000_000


@dataclass(frozen=True, slots=True)
class Visible:
    """An earlier result that the model still sees, word for word: `where` says which ("in the Read of a.py", "last time")."""

    where: str
    text: str


@dataclass(frozen=True, slots=True)
class Repeat:
    """A text written by reference to `earlier[source]`, which must stay visible in full as long as `form` is sent."""

    form: Form
    source: int


@dataclass(frozen=True, slots=True)
class _Run:
    """`count` lines that stand at `new` in the text and at `old` in the earlier copy, 0-based."""

    new: int
    old: int
    count: int


@dataclass(frozen=True, slots=True)
class _Copy:
    """A text as lines without the numbers that a tool wrote before them, so that a shift changes nothing."""

    lines: list[str]
    bare: list[str]
    run: numbered.Numbering | None

    def number(self, line: int) -> int | None:
        """Return the number written before a line, None when there is none."""
        is_inside = self.run is not None and self.run.start <= line < self.run.end
        return self.run.number(line) if self.run and is_inside else None


def refer(text: str, earlier: Sequence[Visible]) -> Repeat | None:
    """Return a shorter way to say `text` to somebody who sees the earlier results, None when little of it repeats.

    Of equally good copies the latest is named. Lines that are new stay word for word and in their place.
    """
    if len(text) > _MAX_CHARS:
        return None
    for source in range(len(earlier) - 1, -1, -1):
        if earlier[source].text == text:
            return _whole(text, earlier[source], source)
    copy = _copy(text)
    found = _closest(copy, earlier)
    if found is None:
        return None
    closest, old = found
    runs = list(_runs(copy, old))
    repeated = sum(len(line) for run in runs for line in copy.lines[run.new : run.new + run.count])
    if repeated < _MIN_SHARE * len(text):
        return None
    where = earlier[closest].where
    is_same = repeated >= _SAME_SHARE * len(text)
    head = f"[As {where}, with changes]" if is_same else f"[Unchanged lines are as {where}]"
    body = "\n".join([head, *_written(copy, old, runs)])
    same = sum(run.count for run in runs)
    left_out = f"{same:,} of {len(copy.lines):,} lines, which stand {where} above"
    return Repeat(Form(body, "near_duplicate", left_out), closest) if len(body) < len(text) else None


def _whole(text: str, copy: Visible, source: int) -> Repeat | None:
    count = text.count("\n") + 1
    body = f"[Exactly as {copy.where}]"
    if len(body) >= len(text):
        return None
    return Repeat(Form(body, "duplicate", f"{count:,} lines, which stand {copy.where} above"), source)


def _copy(text: str) -> _Copy:
    lines = text.split("\n")
    run = numbered.find(lines, is_loose=True)
    bare = [*lines[: run.start], *numbered.bare(lines, run), *lines[run.end :]] if run else lines
    return _Copy(lines, bare, run)


def _closest(copy: _Copy, earlier: Sequence[Visible]) -> tuple[int, _Copy] | None:
    """Return the earlier result that has most of the text's lines, by characters, the latest of the best, as lines."""
    wanted = Counter(line for line in copy.bare if line.strip())
    best: tuple[int, _Copy] | None = None
    best_chars = 0
    for source, visible in enumerate(earlier):
        if len(visible.text) > _MAX_CHARS:
            continue
        for old in _spellings(_copy(visible.text), copy):
            shared = Counter(old.bare) & wanted
            chars = sum(len(line) * count for line, count in shared.items())
            if chars and chars >= best_chars:
                best, best_chars = (source, old), chars
    return best


def _spellings(old: _Copy, copy: _Copy) -> Iterator[_Copy]:
    """Yield an earlier result as it may be compared: an excerpt is too short to tell that its lines are numbered."""
    yield old
    if old.run is not None and copy.run is None:
        yield replace(old, bare=old.lines)


def _runs(copy: _Copy, old: _Copy) -> Iterator[_Run]:
    """Yield the stretches that both have, in the order of the new text, each as long as it can be."""
    places: dict[str, list[int]] = {}
    for line, text in enumerate(old.bare):
        known = places.setdefault(text, [])
        if len(known) < _MAX_PLACES:
            known.append(line)
    at = behind = expected = 0
    while at < len(copy.bare):
        run = _longest(copy.bare, old.bare, at, [expected, *places.get(copy.bare[at], ())])
        run = _begun_earlier(copy.bare, old.bare, run, behind)
        chars = sum(len(line) for line in copy.lines[run.new : run.new + run.count])
        if run.count >= _MIN_RUN_LINES and chars >= _MIN_RUN_CHARS:
            yield run
            expected = run.old + run.count
            behind = run.new + run.count
        at = max(at + 1, run.new + run.count)


def _longest(new: Sequence[str], old: Sequence[str], at: int, starts: Sequence[int]) -> _Run:
    best = _Run(at, 0, 0)
    for start in starts:
        count = 0
        while at + count < len(new) and start + count < len(old) and new[at + count] == old[start + count]:
            count += 1
        if count > best.count:
            best = _Run(at, start, count)
    return best


def _begun_earlier(new: Sequence[str], old: Sequence[str], run: _Run, behind: int) -> _Run:
    """Take in the lines just before a stretch that both have, too: common ones do not lead to it by themselves."""
    count = 0
    while run.count and run.new - count > behind and run.old - count > 0 and count < _MAX_PLACES:
        if new[run.new - count - 1] != old[run.old - count - 1]:
            break
        count += 1
    return _Run(run.new - count, run.old - count, run.count + count)


def _written(copy: _Copy, old: _Copy, runs: Sequence[_Run]) -> Iterator[str]:
    at = 0
    what = "lines "  # said once
    for run in runs:
        yield from copy.lines[at : run.new]
        for part in _parts(run, old):
            place = _place(copy, old, part)
            yield f"[{what if place[0].isdigit() else ''}{place}]"
            what = "" if place[0].isdigit() else what
        at = run.new + run.count
    yield from copy.lines[at:]


def _end(run: _Run, old: _Copy) -> str:
    """Name lines above all or below all numbered ones by their count: no number of theirs could be told from a line's."""
    count = "line" if run.count == 1 else f"{run.count} lines"
    if run.old == 0:
        return f"first {count}"
    return f"last {count}" if run.old + run.count == len(old.lines) else ""


def _parts(run: _Run, old: _Copy) -> Iterator[_Run]:
    """Yield a stretch in parts that are numbered in the earlier copy, or not, as a whole."""
    end = run.old + run.count
    inner = [edge for edge in (old.run.start, old.run.end) if run.old < edge < end] if old.run else []
    for start, stop in pairwise([run.old, *inner, end]):
        yield _Run(run.new + start - run.old, start, stop - start)


def _place(copy: _Copy, old: _Copy, run: _Run) -> str:
    """Say where a stretch stands, by its lines in the earlier copy, as they are numbered there, and by their numbers now."""
    first, last = old.number(run.old), old.number(run.old + run.count - 1)
    if first is None or last is None:
        place = _end(run, old) if old.run is not None else ""
        return f"{place or f'{run.old + 1}-{run.old + run.count}'} unchanged"
    now = copy.number(run.new)
    moved = f", now {now}-{now + run.count - 1}" if now is not None and now != first else ""
    return f"{first}-{last} unchanged{moved}"
