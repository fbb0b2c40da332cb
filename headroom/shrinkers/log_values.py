"""What the lines of one template hold: values that are rare or far off keep their lines, the usual ones are counted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

MAX_LINES = 20_000
"""Of templates with more lines an even sample is looked at."""

_FEW = 12
_TOLD = 8
_MIN_LINES = 20
_RARE_LINES = 2
_FAR_LINES = 2
_MAX_ODD = 8
_PROBED = 12
_MIN_TOP_SHARE = 0.2
_TOP = 3
_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,9})?(?=[a-zA-Z%]{0,3}[\],;)]?$)")
_CLOCK = re.compile(r"[\[(]?[\d:.,/TZ+-]+[\])]?|[A-Z][a-z]{2}")
_TIME_WORDS = 3
_EDGES = "[](),;:\"'"
_NAME_CHARS = 40


def odd(lines: Sequence[str]) -> list[int]:
    """Return the lines of a template that a reader would look for: rare values where few occur, numbers far off."""
    if len(lines) < _MIN_LINES:
        return []
    found: dict[int, None] = {}
    step = -(-len(lines) // MAX_LINES)
    for at, places, values in _columns(lines[::step]):
        counts = Counter(values)
        if len(counts) == 1 or at < _TIME_WORDS and all(map(_CLOCK.fullmatch, list(counts)[:_PROBED])):
            continue
        picked = _rare(values, counts) if len(counts) <= _FEW else _far(values)
        found |= dict.fromkeys(places[index] * step for index in picked)
    return list(found)[:_MAX_ODD]


def told(hidden: Sequence[str]) -> str:
    """Return in words which values the hidden lines of a template hold and how often, where a few make up most."""
    said = []
    step = -(-len(hidden) // MAX_LINES)
    for at, _, values in _columns(hidden[::step]):
        counts = Counter([value.strip(_EDGES)[:_NAME_CHARS] for value in values])
        if len(counts) == 1 or at < _TIME_WORDS and all(map(_CLOCK.fullmatch, list(counts)[:_PROBED])):
            continue
        ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        shown = (
            ordered
            if len(ordered) <= _TOLD
            else [one for one in ordered[:_TOP] if one[1] >= _MIN_TOP_SHARE * len(values)]
        )
        if not shown or (len(ordered) > _TOLD and _NUMBER.match(ordered[0][0])):
            continue
        words = ", ".join(f"{step * times:,}× {value}" for value, times in shown)
        more = len(ordered) - len(shown)
        said.append(f"{words} and {more:,} other values" if more else words)
    about = "about " if step > 1 else ""
    return f": {about}{'; '.join(said[:4])}" if said else ""


def _columns(lines: Sequence[str]) -> Iterator[tuple[int, list[int], tuple[str, ...]]]:
    """Yield the words of lines by position, with the places of the lines: of those that have the usual number of words."""
    split = [line.split() for line in lines]
    width = Counter(map(len, split)).most_common(1)[0][0]
    places = [place for place, words in enumerate(split) if len(words) == width]
    for at, values in enumerate(zip(*[split[place] for place in places], strict=True)):
        yield at, places, values


def _rare(values: Sequence[str], counts: Counter[str]) -> list[int]:
    expected = len(values) / len(counts)
    rare = {value for value, times in counts.items() if times * 10 <= expected}
    return [index for index, value in enumerate(values) if value in rare][:_RARE_LINES] if rare else []


def _far(values: Sequence[str]) -> list[int]:
    """Return the lines whose number lies far above all others."""
    if not all(map(_NUMBER.match, values[:_PROBED])):
        return []
    numbers = [float(found[0]) if (found := _NUMBER.match(value)) else 0.0 for value in values]
    ordered = sorted(numbers)
    quarter, three = ordered[len(ordered) // 4], ordered[len(ordered) * 3 // 4]
    most = three + 6 * (three - quarter)
    if three == quarter or ordered[-1] <= most:
        return []
    return sorted(range(len(numbers)), key=lambda index: (-numbers[index], index))[:_FAR_LINES]
