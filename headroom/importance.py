"""How much a conversation still needs each of its tool results: what goes first when there is no room for all."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from headroom import ranking, walk
from headroom.shrinkers import trouble
from headroom.walk import Text

RECENCY_WEIGHT = 0.35
QUESTION_WEIGHT = 0.25
TROUBLE_WEIGHT = 0.15
REFERENCE_WEIGHT = 0.25

_MAX_CHARS = 200_000
"""So much of a long result is looked at."""
_SEVERAL = 12
"""So many later mentions of what stands in a result make it as needed as it can be."""
# Words of prose say little about where they come from: names, paths and numbers do.
_NAME = re.compile(r"[A-Za-z_][\w.-]*[/_.\d:-][\w./:-]*\w|\b[a-z]+[A-Z]\w+|\b\d{3,}\b|\b[A-Z][A-Z_\d]{3,}\b")


def scores(texts: Sequence[Text], messages: Sequence[Any]) -> list[float]:
    """Return a number from 0 to 1 for each text: how new it is, whether the live question or anything said later speaks
    of what stands in it, and whether it reports trouble."""
    asked = ranking.terms(walk.question(messages))
    later = _names_said_after(texts, messages)
    last = max(1, len(messages) - 1)
    return [
        RECENCY_WEIGHT * text.message / last
        + QUESTION_WEIGHT * _share_of(asked, text.text)
        + TROUBLE_WEIGHT * _has_trouble(text.text)
        + REFERENCE_WEIGHT * _mentions(text.text, later[text.number])
        for text in texts
    ]


def _names_said_after(texts: Sequence[Text], messages: Sequence[Any]) -> dict[int, frozenset[str]]:
    """Return for each text the names that users and models used in the messages after it."""
    found: dict[int, frozenset[str]] = {}
    names: frozenset[str] = frozenset()
    place = len(messages)
    for text in reversed(texts):
        while place > text.message + 1:
            place -= 1
            names |= frozenset(_NAME.findall(walk.said(messages[place])[:_MAX_CHARS]))
        found[text.number] = names
    return found


def _share_of(terms: Sequence[str], text: str) -> float:
    if not terms:
        return 0.0
    lowered = text[:_MAX_CHARS].lower()
    return sum(term in lowered for term in terms) / len(terms)


def _has_trouble(text: str) -> bool:
    return bool(trouble.reporting(text[:_MAX_CHARS].split("\n")))


def _mentions(text: str, names: frozenset[str]) -> float:
    if not names:
        return 0.0
    count = len(names.intersection(_NAME.findall(text[:_MAX_CHARS])))
    return min(1.0, math.log1p(count) / math.log1p(_SEVERAL))
