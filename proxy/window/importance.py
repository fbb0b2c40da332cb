"""Which units of a conversation it can do without first: a score for each, from what they say and what came of it.

Pure: the same conversation gives the same order. Learned figures come in as an argument.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

from headroom import ranking
from headroom.shrinkers import trouble
from proxy.window.units import Unit

Way = Literal["oldest", "position", "content"]
"""`oldest`: whatever is oldest goes first. `position`: the beginning and the end of a conversation count more than its
middle. `content`: that, and what the units say."""

RECENCY, LIKENESS, LEARNED, TROUBLE, REFERENCES, DENSITY = 0.25, 0.25, 0.1, 0.15, 0.15, 0.1
_BEGINNING_UNITS = 2
_READ_CHARS = 20_000
"""Of a very long unit its beginning is enough to judge it by."""
_NAMES = re.compile(r"[\w./-]*[./_-][\w./-]{3,}|[A-Z][a-z]+[A-Z]\w{3,}|\b[0-9a-f]{7,40}\b")
_MAX_NAMES = 400


def ascending(units: Sequence[Unit], question: str, way: Way, learned: Mapping[str, float]) -> list[Unit]:
    """The units, the least important first; what persons wrote comes last. `question` is what the model is asked right now;
    `learned` says of tools which share of what was left out of their results was asked for again."""
    if way == "oldest":
        return sorted(units, key=lambda unit: unit.start)
    if not units:
        return []
    positions = {unit.start: _position(n, len(units)) for n, unit in enumerate(units)}
    if way == "position":
        return sorted(units, key=lambda unit: (unit.is_persons, positions[unit.start], unit.start))
    texts = [unit.text[:_READ_CHARS] for unit in units]
    likeness = _likeness(texts, question)
    references = _references(texts)
    scores = {
        unit.start: RECENCY * positions[unit.start]
        + LIKENESS * likeness[n]
        + LEARNED * max((learned.get(tool, 0.0) for tool in unit.tools), default=0.0)
        + TROUBLE * _trouble(unit, texts[n])
        + REFERENCES * references[n]
        + DENSITY * _density(texts[n])
        for n, unit in enumerate(units)
    }
    return sorted(units, key=lambda unit: (unit.is_persons, scores[unit.start], unit.start))


def _position(place: int, total: int) -> float:
    """1 for the newest unit, near 0 for the oldest but for the first few: they say what all is about."""
    recency = (place + 1) / total
    return max(recency, 0.6) if place < _BEGINNING_UNITS else recency


def _likeness(texts: Sequence[str], question: str) -> list[float]:
    found = ranking.scores([" ".join(text.split()) for text in texts], question) if question.strip() else {}
    top = max(found.values(), default=0.0)
    return [found.get(n, 0.0) / top if top else 0.0 for n in range(len(texts))]


def _references(texts: Sequence[str]) -> list[float]:
    """For each unit, which share of the names in it turn up again later."""
    seen_later: Counter[str] = Counter()
    shares: list[float] = []
    for text in reversed(texts):
        names = set(_NAMES.findall(text)[:_MAX_NAMES])
        shares.append(sum(name in seen_later for name in names) / len(names) if names else 0.0)
        seen_later.update(names)
    return shares[::-1]


def _trouble(unit: Unit, text: str) -> float:
    if unit.has_error:
        return 1.0
    lines = text.split("\n")
    return min(1.0, 10 * len(trouble.positions(lines)) / len(lines)) if lines else 0.0


def _density(text: str) -> float:
    """How little of a text repeats itself: 0 for endless repetition, 1 for what cannot be compressed."""
    encoded = text.encode("utf-8", "surrogatepass")
    return min(1.0, len(zlib.compress(encoded, 1)) / len(encoded)) if encoded else 0.0
