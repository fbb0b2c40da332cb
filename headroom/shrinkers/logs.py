"""Logs: one or two lines of every template with their count; what reports trouble, its context and rare lines whole."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress, islice
from operator import eq

from headroom.shrinkers import log_notes, log_values, named, severities, templates, trouble, wordings
from headroom.values import Form, Level, Source

MIN_LINES = 12


@dataclass(frozen=True, slots=True)
class Limits:
    """`routine`: a template with more lines than that is folded to its first `examples` lines and its last one.

    Of one that reports an error `troubles` lines stay, of a warning `warnings`, the first `surrounded` errors with `context`
    lines around. Beyond that those stay that speak of somebody else, which may take `other_share` of the log and no more than
    `other_chars`, or fill what is shown up to its `filled_share`, with no more than `filled_chars`; then, at most as many as
    the first, those that only differ in a number. `owner_chars` is for the names of whom the others speak.
    """

    routine: int
    examples: int
    context: int
    troubles: int
    warnings: int
    surrounded: int
    other_share: float
    other_chars: int
    filled_share: float
    filled_chars: int
    line_chars: int
    tells_values: bool
    owner_chars: int
    ends: int


LIMITS: dict[Level, Limits] = {
    "balanced": Limits(
        routine=5,
        examples=2,
        context=2,
        troubles=24,
        warnings=12,
        surrounded=6,
        other_share=0.06,
        other_chars=16_000,
        filled_share=0.22,
        filled_chars=48_000,
        line_chars=600,
        tells_values=True,
        owner_chars=12_000,
        ends=5,
    ),
    "deep": Limits(
        routine=3,
        examples=1,
        context=1,
        troubles=8,
        warnings=3,
        surrounded=3,
        other_share=0.02,
        other_chars=4_000,
        filled_share=0.0,
        filled_chars=0,
        line_chars=240,
        tells_values=False,
        owner_chars=0,
        ends=2,
    ),
}

_TIME = re.compile(r"\d\d(?::\d\d:\d\d|\d\d-\d\d-\d\d)")
_BEGINNING = re.compile(r"[IWEF]\d{4} |\[ *\d+\.\d+\]")
_LEVELS = ("TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "ERROR", "FATAL", "CRITICAL")
_LEVEL = re.compile(rf"\b(?:{'|'.join(_LEVELS)}|WARNING)\b")
_LEVEL_FIELD = re.compile(r"level\W{1,3}\w")
_EPOCH = re.compile(r"(?<!\d)1\d{9}(?!\d)")
_SECONDS_CHARS = 200
_SECONDS_SHARE = 0.9
_SENTENCE_WORDS = 3
_ASKED = re.compile(r"\blogs?\b|journalctl|dmesg")
_ERROR_WORDS = (
    "error", "exception", "fail", "fatal", "panic", "crash", "abort", "traceback", "unexpected", "critical", "severe", "denied",
    "refused", "killed", "timeout", "timedout", "time out", "timed out",
)  # fmt: skip
_ERROR = re.compile(r"\blevel\W{1,4}(?:err|crit)|^E\d{4} |\[(?:err|crit|alert|emerg)\]")
_TRACE = re.compile(
    r"^(?:[^\w\s]|\d|[TZ]|INFO|ERROR|WARNING|WARN)*\s*(?:at |File \"|#\d+ |Caused by|\.\.\. \d+ more|\w+Error: )"
)
_LONGEST_TRACE = 40
_TROUBLE_CHARS = 4_000
_SINGLE_CHARS = 400
_OWNER_SHARE = 0.15
_LEAST_OWNER_CHARS = 2_000


def forms(source: Source) -> Iterable[Form]:
    """Yield runs of one line once, with their count; then the log by templates."""
    lines = source.text.split("\n")
    if len(lines) < MIN_LINES:
        return
    runs = _runs(lines)
    if len(runs) < len(lines):
        yield Form("\n".join(runs), "log_runs")
    if source.policy.level == "lossless":
        return
    if not _is_log(lines, source.call.arguments):
        return
    limits = _limits(source.policy.level, len(lines))
    text, hidden = _folded(source.text, lines, limits, named.rows(lines, source.policy.keep_words))
    if hidden:
        yield Form(text, "log_templates", f"{hidden:,} of {len(lines):,} lines that look like one of those shown")


def _is_log(lines: Sequence[str], arguments: str) -> bool:
    """Return whether most lines carry a time or a level; fewer do where the call asked for a log, and seconds will do."""
    step = max(1, len(lines) // 300)
    probe = [line[:1000] for line in lines[::step] if line.strip()]
    is_asked = _ASKED.search(arguments) is not None
    enough = len(probe) // (10 if is_asked else 3) + 1
    timed = (line for line in probe if _is_timed(line) or (is_asked and _EPOCH.search(line)))
    return len(list(islice(timed, enough))) == enough or counts_seconds(probe)


def counts_seconds(lines: Sequence[str]) -> bool:
    """Return whether sentences have a count of seconds among their first words, always at one place, that never goes back.

    >>> counts_seconds([f"{at} node-7 {1145552216 + at} the link came up again" for at in range(12)])
    True
    """
    rows = [line[:_SECONDS_CHARS].split() for line in lines]
    if len(rows) < MIN_LINES:
        return False
    for at in [at for at, word in enumerate(rows[0]) if _EPOCH.fullmatch(word)]:
        times = [row[at] for row in rows if len(row) > at and _EPOCH.fullmatch(row[at])]
        if len(times) >= _SECONDS_SHARE * len(rows) and times == sorted(times) and times[0] < times[-1]:
            words = sum(1 for row in rows for word in row if word.isalpha())
            return words >= _SENTENCE_WORDS * len(rows)
    return False


def _is_timed(line: str) -> bool:
    """Return whether a line has a time or a level. Several expressions that each begin plainly are faster than one."""
    return (
        _TIME.search(line) is not None
        or _BEGINNING.match(line) is not None
        or _LEVEL_FIELD.search(line) is not None
        or (any(name in line for name in _LEVELS) and _LEVEL.search(line) is not None)
    )


def _limits(level: Level, count: int) -> Limits:
    """Return the limits for a log of so many lines: a short one, seen for the first time, keeps more examples."""
    limits = LIMITS[level]
    if level == "deep":
        return limits
    return replace(
        limits,
        routine=max(limits.routine, min(20, 16_000 // count)),
        examples=max(limits.examples, min(8, 6_000 // count)),
    )


def _runs(lines: Sequence[str]) -> list[str]:
    """Return the lines with immediate repetitions as a count."""
    kept: list[str] = []
    at = 0
    repeated = list(compress(range(1, len(lines)), map(eq, islice(lines, 1, None), lines)))
    for place, times in _stretches(repeated):
        kept += [*lines[at:place], *_again(lines[place], times)]
        at = place + times
    return [*kept, *lines[at:]]


def _stretches(places: Iterable[int]) -> list[tuple[int, int]]:
    """Return the first of each run of places that follow on each other, and how many they are.

    >>> _stretches([3, 4, 5, 9])
    [(3, 3), (9, 1)]
    """
    found: list[tuple[int, int]] = []
    for place in places:
        first, times = found[-1] if found else (place, 0)
        if found and place == first + times:
            found[-1] = (first, times + 1)
        else:
            found.append((place, 1))
    return found


def _again(line: str, times: int) -> list[str]:
    note = f"[the same line {times:,} more times]"
    return [line] * times if (len(line) + 1) * times <= len(note) else [note]


def _folded(text: str, lines: Sequence[str], limits: Limits, spoken_of: Iterable[int]) -> tuple[str, int]:
    numbers, marks = templates.find(text, lines, _marks, severities.numbered(text, lines))
    members: dict[int, list[int]] = defaultdict(list)
    for index, number in enumerate(numbers):
        members[number].append(index)
    studies = _studies(lines, members, marks, limits)
    kept = _kept(lines, members, marks, limits)
    for index in [*spoken_of, *(members[number][odd] for number, one in studies.items() for odd in one.odd)]:
        kept[index] = 1
    troubled = {number: one for number, one in studies.items() if marks[number]}
    owners = log_notes.owners(
        lines, members, kept, troubled, min(limits.owner_chars, max(_LEAST_OWNER_CHARS, int(_OWNER_SHARE * len(text))))
    )
    notes = log_notes.behind(members, kept, studies if limits.tells_values else {}, owners)
    out = [
        _cut(lines[index], limits.line_chars, _whole_chars(marks[numbers[index]], len(members[numbers[index]])))
        + notes.get(index, "")
        for index in compress(range(len(lines)), kept)
    ]
    return "\n".join(out), len(lines) - len(out)


def _studies(
    lines: Sequence[str], members: dict[int, list[int]], marks: Sequence[int], limits: Limits
) -> dict[int, log_values.Study]:
    """Return what stands out among the lines of every template that is not shown whole."""
    return {
        number: log_values.study([lines[index] for index in places])
        for number, places in members.items()
        if len(places) > _most(marks[number], limits)
    }


def _most(mark: int, limits: Limits) -> int:
    return (limits.routine, max(limits.routine, limits.warnings), limits.troubles)[mark]


def _marks(lines: list[str]) -> list[int]:
    """Say of each line whether it reports trouble, by a level, a letter or number for one, or a word for it."""
    found = list(map(severities.lettered, lines))
    for index, mark in severities.numbered("\n".join(lines), lines).items():
        found[index] = max(mark, found[index])
    for index in trouble.reporting(lines):
        found[index] = severities.STRONG if _is_error(lines[index][:4000]) else max(severities.WEAK, found[index])
    return found


def _is_error(line: str) -> bool:
    lowered = line.lower()
    return any(word in lowered for word in _ERROR_WORDS) or _ERROR.search(line) is not None


def _kept(lines: Sequence[str], members: dict[int, list[int]], marks: Sequence[int], limits: Limits) -> bytearray:
    """Return a mark per line: rare templates, the ends, the first lines and the last of routine ones, trouble."""
    kept = bytearray(len(lines))
    troubles: list[int] = []
    many: dict[int, list[list[int]]] = {severities.STRONG: [], severities.WEAK: []}
    for number, places in members.items():
        mark = marks[number]
        if len(places) <= _most(mark, limits):
            picked = places
        elif mark == severities.PLAIN:
            picked = [*places[: limits.examples], places[-1]]
        else:
            many[mark].append(places)
            picked = [*_different(lines, places, _most(mark, limits) - 1), places[-1]]
        for index in picked:
            kept[index] = 1
        if mark == severities.STRONG:
            troubles += picked[: limits.surrounded]
    for index in [*range(min(limits.ends, len(lines))), *range(max(0, len(lines) - limits.ends), len(lines))]:
        kept[index] = 1
    for index in troubles:
        start, stop = max(0, index - limits.context), min(len(lines), index + limits.context + 1)
        while stop < len(lines) and stop - index < _LONGEST_TRACE and _TRACE.match(lines[stop]):
            stop += 1
        kept[start:stop] = b"\x01" * (stop - start)
    _fill(kept, lines, many, limits)
    return kept


def _fill(kept: bytearray, lines: Sequence[str], many: Mapping[int, list[list[int]]], limits: Limits) -> None:
    """Mark what else is said by `many` lines that report the same trouble, while there is room: errors before warnings."""
    chars, kept_chars = sum(map(len, lines)), sum(map(len, compress(lines, kept)))
    least_chars = min(limits.other_chars, int(limits.other_share * chars))
    room_chars = max(least_chars, min(limits.filled_chars, int(limits.filled_share * chars) - kept_chars))
    troubles = [wordings.said(lines, alike) for alike in many.values()]
    for by_number, most_chars in ((False, room_chars), (True, min(least_chars, limits.filled_chars))):
        for alike in troubles:
            for index in wordings.others(lines, alike, kept, min(room_chars, most_chars), by_number=by_number):
                room_chars = max(0, room_chars - len(lines[index]))
                kept[index] = 1


def _different(lines: Sequence[str], places: Sequence[int], count: int) -> list[int]:
    """Return the first places of lines that differ, no more than `count`."""
    found: dict[str, int] = {}
    for place in places:
        found.setdefault(lines[place], place)
        if len(found) == count:
            break
    return list(found.values())


def _whole_chars(mark: int, count: int) -> int:
    """Return how long a line may be to be shown whole: longer where it reports trouble or is the only one of its sort."""
    return _TROUBLE_CHARS if mark else _SINGLE_CHARS if count == 1 else 0


def _cut(line: str, most: int, whole: int) -> str:
    if len(line) <= max(most, whole):
        return line
    head, tail = most * 2 // 3, most // 4
    return f"{line[:head]}… [{len(line) - head - tail:,} characters left out] …{line[-tail:]}"
