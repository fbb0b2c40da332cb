"""What the rows are called that are not shown: a reader sees what there is, and can ask for it by name."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from headroom.values import Level

MIN_NAMES = 8
MAX_CHARS = 10_000
"""About 3,000 tokens."""
MAX_SHARE = 0.25
"""Of what all rows took: names that take more are not worth it, and only the sample is shown."""
_MAX_NAME_CHARS = 60
_MAX_MEAN_CHARS = 32
_MIN_DIFFERENT = 0.9
_MIN_LETTERS = 0.6


def names(
    level: Level, columns: Iterable[tuple[str, Sequence[Any]]], shown: Collection[int], count: int, row_chars: float
) -> list[str]:
    """Return a line with what names the rows that are not among the `shown` ones, none where it would cost too much.

    `columns` are pairs of a name and one value for each of `count` rows; `row_chars` is what all rows took before. Names are
    the first column of short words that hardly repeat; numbers, hashes and times are none.
    """
    kept = frozenset(shown)
    hidden = [index for index in range(count) if index not in kept]
    most = min(MAX_CHARS, MAX_SHARE * row_chars)
    if level != "balanced" or len(hidden) < MIN_NAMES or 3 * len(hidden) > most:
        return []
    for name, values in columns:
        called = [values[index] for index in hidden]
        if _are_names(called):
            said = f"{name} of the others: {', '.join(dict.fromkeys(called))}"
            if len(said) <= most:
                return [said]
    return []


def _are_names(called: Sequence[Any]) -> bool:
    if set(map(type, called)) != {str} or not min(map(len, called)) or max(map(len, called)) > _MAX_NAME_CHARS:
        return False
    text = "".join(called)
    if not text.isprintable() or len(text) > _MAX_MEAN_CHARS * len(called):
        return False
    if ", " in text and any(", " in one for one in called):
        return False
    if len(set(called)) < _MIN_DIFFERENT * len(called):
        return False
    return sum(map(str.isalpha, text)) >= _MIN_LETTERS * len(text)
