"""What the lines of one template hold: values that are rare or far off keep their lines, the usual ones are counted."""

from __future__ import annotations

import os
import re
import string
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

MAX_LINES = 20_000
"""Of templates with more lines an even sample is looked at."""

_FEW = 12
_TOLD = 8
_MOST_TOLD = 40
_LINES_TOLD = 8
"""For so many lines of a template another name may be told."""
_MIN_LINES = 20
_RARE_LINES = 2
_FAR_LINES = 2
_MAX_ODD = 8
_MAX_FIELDS = 4
_PROBED = 12
_MIN_TOP_SHARE = 0.2
_COUNTED_SHARE = 0.85
_TOP = 3
_PORT = re.compile(r":\d+\W*$")
# An address stands for somebody, and where a log begins with one it counts who asked how often.
_CLOCK = re.compile(r"(?!(?:\d{1,3}\.){3}\d{1,3}\b)[\[(]?[\d:.,/TZ+-]+[\])]?|[A-Z][a-z]{2}")
_TIME = re.compile(r"[\[(]?\d\d:\d\d:\d\d[\d.,Z+]*[\])]?")
_TIME_WORDS = 3
_EDGES = "[](),;:\"'"
_OWNER_LINE_CHARS = 2_000
_MOST_OWNERS = 2
# What has a letter and a digit, a path, a host, an address, or a long number; dates, clocks, processes and counts of seconds since 1970 are none.
_OWNER = re.compile(
    r"(?!\d{2,4}[-/]\d\d[-/]|\d{4}\.\d\d\.\d\d(?!\.)|\d\d?:\d\d|1\d{9}\b|\w+\[\d+$)(?:(?=.*(?:[\d/]|\w\.\w))(?=.*[A-Za-z])[\w.:=/@-]{4,60}|\d{5,20}|[\d.]{7,15}(?::\d+)?)"
)
_UNITS = string.ascii_letters + "%" + _EDGES
_NAME_CHARS = 40
_PLAIN_DIGITS = 20
"""Most numbers are no longer than that and nothing but digits: they are read at once."""


@dataclass(frozen=True, slots=True)
class Study:
    """`odd` are the lines that a reader would look for; `told` says which values `count` lines hold and how often. The words
    at the places `untold` differ, and nothing is said of them."""

    odd: list[int]
    told: str
    count: int
    untold: list[int]


def study(lines: Sequence[str]) -> Study:
    """Return what stands out among the lines of one template, and what is usual there."""
    odd: dict[int, None] = {}
    told: list[str] = []
    untold: list[int] = []
    count = 0
    step = -(-len(lines) // MAX_LINES)
    for at, places, values in _columns(lines[::step]):
        count = step * len(values)
        if values.count(values[0]) == len(values):
            continue
        if (at < _TIME_WORDS or ":" in values[0]) and _is_clock(values, _CLOCK if at < _TIME_WORDS else _TIME):
            continue
        distinct = dict.fromkeys(values)
        if len(distinct) >= _COUNTED_SHARE * len(values) and _PORT.search(values[0]):
            values = tuple([value.rpartition(":")[0] or value for value in values])
            distinct = dict.fromkeys(values)
        is_few = len(distinct) <= _FEW
        # Where nearly every line has its own value, none is worth counting.
        counts = Counter(values) if is_few or len(distinct) < _COUNTED_SHARE * len(values) else None
        if len(lines) >= _MIN_LINES:
            picked = _rare(values, counts) if is_few and counts else _far(values)
            odd |= dict.fromkeys(places[index] * step for index in picked)
        words = _words(counts, len(values), step) if counts and len(told) < _MAX_FIELDS else ""
        told += [words] if words and words not in told else []
        untold += [] if words else [at]
    return Study(list(odd)[:_MAX_ODD], "; ".join(told), min(count, len(lines)), untold)


def owners(lines: Sequence[str], untold: Sequence[int]) -> list[list[str]]:
    """Return whom lines speak of, at the first two of the places `untold` that say so: names, addresses, ports and long
    numbers, each once. Times, processes and counts are none.

    >>> owners([f"09:00:0{n} no route from rack-{n}-a after {n} tries" for n in range(3)], [0, 4, 6])
    [['rack-0-a', 'rack-1-a', 'rack-2-a']]
    """
    split = [line[:_OWNER_LINE_CHARS].split() for line in lines]
    found: list[list[str]] = []
    for at in untold:
        values = dict.fromkeys(_bare(words[at]) for words in split if len(words) > at)
        if all(_OWNER.fullmatch(value) for value in islice(values, _PROBED)):
            names = [value for value in values if _OWNER.fullmatch(value)]
            found += [names] if names not in found else []
        if len(found) == _MOST_OWNERS:
            break
    return found


def _bare(word: str) -> str:
    """Return a word without what stands around it; a number in brackets is a process and stays in them."""
    bare = word.strip(_EDGES)
    return word if word[0] == "[" and bare.isdecimal() else bare


def _is_clock(values: Sequence[str], clock: re.Pattern[str]) -> bool:
    """Return whether the first different values are all times."""
    seen: set[str] = set()
    for value in values:
        if len(seen) == _PROBED:
            break
        if value not in seen and not clock.fullmatch(value):
            return False
        seen.add(value)
    return True


def _columns(lines: Sequence[str]) -> Iterator[tuple[int, list[int], tuple[str, ...]]]:
    """Yield the words of lines by position, with the places of the lines: of those that have the usual number of words."""
    split = [line.split() for line in lines]
    widths = list(map(len, split))
    width = Counter(widths).most_common(1)[0][0]
    places = [place for place, words in enumerate(widths) if words == width]
    for at, values in enumerate(zip(*[split[place] for place in places], strict=True)):
        yield at, places, values


def _words(counts: Counter[str], count: int, step: int) -> str:
    """Return the few values that make up most of a field in words, "" where there are none."""
    is_number = _number(next(iter(counts))) is not None
    most = _TOLD if is_number else max(_TOLD, min(_MOST_TOLD, count // _LINES_TOLD))
    if len(counts) > most and (is_number or max(counts.values()) < _MIN_TOP_SHARE * count):
        return ""
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    shown = ordered if len(ordered) <= most else [one for one in ordered[:_TOP] if one[1] >= _MIN_TOP_SHARE * count]
    about = "about " if step > 1 else ""
    names = _names([value.strip(_EDGES) for value, _ in shown])
    said = ", ".join(f"{about}{step * times:,}× {name}" for name, (_, times) in zip(names, shown, strict=True))
    more = len(ordered) - len(shown)
    return f"{said} and {more:,} other values" if more else said


def _names(values: Sequence[str]) -> list[str]:
    """Return values as they are told, long ones cut: from where they differ on, when they begin alike."""
    shared = os.path.commonprefix([min(values), max(values)]) if values else ""
    if len(values) < 2 or len(shared) < _NAME_CHARS // 2:
        return [value[:_NAME_CHARS] for value in values]
    start = max(map(shared.rfind, _EDGES + "/ "), default=-1) + 1
    return [f"…{value[start:][:_NAME_CHARS]}" for value in values]


def _rare(values: Sequence[str], counts: Counter[str]) -> list[int]:
    expected = len(values) / len(counts)
    rare = {value for value, times in counts.items() if times * 10 <= expected}
    return [index for index, value in enumerate(values) if value in rare][:_RARE_LINES] if rare else []


def _far(values: Sequence[str]) -> list[int]:
    """Return the lines whose number lies far above all others; where each has its name in front, as in `ms=12`, without that."""
    name, sign, _ = values[0].partition("=")
    if sign:
        values = [value.removeprefix(name + sign) for value in values]
    if any(_number(value) is None for value in values[:_PROBED]):
        return []
    numbers = [
        float(value) if value.isdecimal() and len(value) < _PLAIN_DIGITS else _number(value) or 0.0 for value in values
    ]
    ordered = sorted(numbers)
    quarter, three = ordered[len(ordered) // 4], ordered[len(ordered) * 3 // 4]
    most = three + 6 * (three - quarter)
    if three == quarter or ordered[-1] <= most:
        return []
    return sorted(range(len(numbers)), key=lambda index: (-numbers[index], index))[:_FAR_LINES]


def _number(value: str) -> float | None:
    """Return the number that a word is, its unit left away; None when it is none.

    >>> _number("48ms,"), _number("10.0.0.1"), _number("0x1f"), _number("ready")
    (48.0, None, None, None)
    """
    digits = value.strip(_UNITS)
    if not digits or len(value) > 24 or not value.strip(_EDGES)[:1].isdecimal() or "_" in digits:
        return None
    try:
        return float(digits)
    except ValueError:
        return None
