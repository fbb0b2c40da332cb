"""Which lines answer a question: BM25 over lines, reading the text once per word asked for."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence

_MAX_TERMS = 16
# A line's score leaks into its neighbours, so that words spread over a record or a paragraph find each other.
_NEIGHBOUR_SHARE = 0.3
_WHOLE_WORD_BONUS = 1.5
_PHRASE_BONUS = 4.0
_K1, _B = 1.2, 0.5

_WORDS = re.compile(r"\w+")
# Scripts written without spaces: a run of them is searched by pairs of characters.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]{3,}")
_STOP_WORDS = frozenset(
    _WORDS.findall(
        "a an and any are as at be by did do does find for from get give has have how i in is it list me of on or show "
        "tell than that the then there this to was we were what when where which who why with you"
    )
)


def scores(lines: Sequence[str], query: str) -> dict[int, float]:
    """Return the score of every line (0-based) that has a word of the query; such lines lift their neighbours."""
    lowered = "\n".join(lines).lower()
    starts = _starts(lowered)
    if len(starts) != len(lines):  # lowering never adds line breaks; splitting elsewhere may have
        return {}
    mean_chars = max(1.0, len(lowered) / len(lines))
    found: dict[int, float] = defaultdict(float)
    for term in terms(query):
        counts = _counts(lowered, starts, term)
        rarity = math.log(1 + (len(lines) - len(counts) + 0.5) / (len(counts) + 0.5))
        for number, count in counts.items():
            length = 1 - _B + _B * len(lines[number]) / mean_chars
            found[number] += rarity * count * (_K1 + 1) / (count + _K1 * length)
    phrase = " ".join(query.lower().split())
    if len(phrase) > 2:
        for number in _counts(lowered, starts, phrase):
            found[number] += _PHRASE_BONUS
    return _spread(found, len(lines))


def terms(query: str) -> list[str]:
    """Return the words worth searching for, in order, each once.

    >>> terms("Where is the connection pool closed? ConnectionPool")
    ['connection', 'pool', 'closed', 'connectionpool']
    """
    words: list[str] = []
    for word in _WORDS.findall(query.lower()):
        words.extend(_pairs(word) if _UNSPACED.fullmatch(word) else [word])
    wanted = [word for word in words if word not in _STOP_WORDS and (len(word) > 1 or word.isdigit())]
    return list(dict.fromkeys(wanted or words))[:_MAX_TERMS]


def _pairs(word: str) -> list[str]:
    return [word[at : at + 2] for at in range(len(word) - 1)]


def _starts(text: str) -> list[int]:
    starts, at = [0], text.find("\n")
    while at >= 0:
        starts.append(at + 1)
        at = text.find("\n", at + 1)
    return starts


def _counts(text: str, starts: list[int], term: str) -> dict[int, float]:
    """Return how often each line has the term; a whole word counts more than a part of one."""
    counts: dict[int, float] = defaultdict(float)
    at = text.find(term)
    while at >= 0:
        end = at + len(term)
        is_whole = not _joins(text, at - 1, at) and not _joins(text, end - 1, end)
        counts[bisect_right(starts, at) - 1] += _WHOLE_WORD_BONUS if is_whole else 1.0
        at = text.find(term, end)
    return counts


def _joins(text: str, left: int, right: int) -> bool:
    """Say whether the characters at two neighbouring places belong to one word."""
    return left >= 0 and right < len(text) and text[left].isalnum() and text[right].isalnum()


def _spread(found: dict[int, float], total: int) -> dict[int, float]:
    spread: dict[int, float] = defaultdict(float)
    for number, score in found.items():
        spread[number] += score
        for neighbour in (number - 1, number + 1):
            if 0 <= neighbour < total and neighbour in found:
                spread[neighbour] += score * _NEIGHBOUR_SHARE
    return dict(spread)
