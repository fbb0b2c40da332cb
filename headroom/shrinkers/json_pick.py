"""Which objects of a long list to show: ends, extremes, what is rare against expectation, trouble, an even spread."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from headroom.shrinkers import json_text, trouble
from headroom.shrinkers.json_rows import MISSING, Column

ENDS = 3
_ABSENT = (type(None), type(MISSING))
_PER_COLUMN = 8
_PROBED = 2_000
_MIN_WORD_CHARS = 3
_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?")
_WORD = re.compile(r"[\w./:@-]{6,}")


class _Codes(NamedTuple):
    """All numbers that a field may hold, and the first of those that mean trouble."""

    every: frozenset[int]
    first_bad: int


_CODES = {
    "level": _Codes(frozenset(range(10, 61, 10)), 40),
    "status": _Codes(frozenset(range(100, 600)), 500),
    "statuscode": _Codes(frozenset(range(100, 600)), 500),
    "status_code": _Codes(frozenset(range(100, 600)), 500),
}


def pick(
    columns: Sequence[Column], count: int, keep: int, *, words: Collection[str], references: frozenset[str]
) -> list[int]:
    """Return the places of the objects to show, in order: about `keep`, more where more of them stand out.

    `words` are those of the call, `references` the texts that the document's own head uses: both name objects.
    """
    chosen = set(spread(count, 0))
    reported: set[int] = set()
    for column in columns:
        chosen.update(_standing_out(column, count))
        if str in column.types:
            reported.update(_reported(column.values))
        elif int in column.types:
            reported.update(_coded(column))
    chosen.update(named(columns, count, words=words, references=references))
    chosen.update(sorted(reported)[: max(keep, count // 3 if len(reported) * 3 <= count else 0)])
    return sorted(chosen.union(spread(count, keep - len(chosen))))


def asked(arguments: str, keep_words: Iterable[str]) -> frozenset[str]:
    """Return the words of a call that may name an object, and the names that the conversation speaks of."""
    words = {word for word in _WORD.findall(arguments[:4_000]) if any(map(str.isdigit, word))}
    return frozenset(words.union(word for word in keep_words if len(word) >= _MIN_WORD_CHARS))


def named(
    columns: Sequence[Column], count: int, *, words: Collection[str], references: frozenset[str]
) -> frozenset[int]:
    """Return the places of the objects that the call or the head of the document speaks of."""
    texts = [column for column in columns if str in column.types]
    return frozenset(index for column in texts for index in _named(column, count, words, references))


def spread(count: int, keep: int) -> list[int]:
    """Return both ends of a list and `keep` places evenly between them."""
    ends = {*range(min(ENDS, count)), *range(max(0, count - ENDS), count)}
    return sorted(ends.union(count * (2 * step + 1) // (2 * keep) for step in range(keep)))


def _standing_out(column: Column, count: int) -> list[int]:
    """Return the objects whose value in one field a reader would look for."""
    values = column.values
    found: list[int] = []
    absent: list[int] = []
    if not column.types.isdisjoint(_ABSENT):
        absent = [index for index, value in enumerate(values) if value is None or value is MISSING]
    if absent and len(absent) * 20 <= count:
        found += absent[:_PER_COLUMN]
    kinds = column.types - {type(None), type(MISSING)}
    if kinds and kinds <= {int, float}:
        return found + _extremes(values, [value for value in values if isinstance(value, (int, float))])
    if kinds == {str}:
        numbers = _numbers(values)
        return found + (_extremes(numbers, [one for one in numbers if one is not None]) if numbers else _rare(values))
    if kinds == {bool}:
        return found + _rare(values)
    if len(kinds) > 1:
        found += _odd_types(values)
    return found


def _numbers(values: Sequence[Any]) -> list[float | None]:
    """Return the numbers that texts spell, nothing when they are no numbers."""
    probe = [value for value in values[:: max(1, len(values) // 40)] if isinstance(value, str)]
    if not all(map(_NUMBER.fullmatch, probe)):
        return []
    return [float(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else None for value in values]


def _extremes(values: Sequence[Any], numbers: Sequence[float]) -> list[int]:
    """Return the first holders of the smallest and the largest number, and what lies far outside the middle half."""
    if not numbers:
        return []
    low, high = min(numbers), max(numbers)
    found = [values.index(low), values.index(high)]
    ordered = sorted(numbers[:: max(1, len(numbers) // _PROBED)])
    quarter, three = ordered[len(ordered) // 4], ordered[len(ordered) * 3 // 4]
    spread = three - quarter
    least, most = quarter - 6 * spread, three + 6 * spread
    if spread > 0 and (low < least or high > most):
        far = [
            index
            for index, value in enumerate(values)
            if isinstance(value, (int, float)) and not least <= value <= most
        ]
        found += sorted(far, key=lambda index: (-abs(values[index] - quarter), index))[:_PER_COLUMN]
    return found


def _rare(values: Sequence[Any]) -> list[int]:
    """Return one object per value of a field with few values, and all of values far rarer than an even share."""
    counts = Counter(values)
    if len(counts) > max(12, len(values) // 8):
        return []
    expected = len(values) / len(counts)
    rare = {value for value, times in counts.items() if times * 10 <= expected or times == 1}
    common = sorted(counts.keys() - rare, key=values.index)[:40] if len(counts) <= 60 else []
    odd = [index for index, value in enumerate(values) if value in rare] if rare else []
    return [values.index(value) for value in common] + odd[: 2 * _PER_COLUMN]


def _odd_types(values: Sequence[Any]) -> list[int]:
    counts = Counter(map(type, values))
    usual = counts.most_common(1)[0][0]
    return [index for index, value in enumerate(values) if type(value) is not usual and value is not MISSING][
        :_PER_COLUMN
    ]


def _reported(values: Sequence[Any]) -> list[int]:
    texts = [value.replace("\n", " ") if isinstance(value, str) else "" for value in values]
    return trouble.reporting(texts)


def _coded(column: Column) -> list[int]:
    """Return the objects whose level or status, written as a number, stands for a warning, an error or a failing server."""
    coded = next((bad for name, bad in _CODES.items() if column.name.lower().endswith(name)), None)
    values = [value for value in column.values if isinstance(value, int)]
    if coded is None or not set(values) <= coded.every:
        return []
    return [index for index, value in enumerate(column.values) if isinstance(value, int) and value >= coded.first_bad]


def _named(column: Column, count: int, words: Collection[str], references: frozenset[str]) -> list[int]:
    """Return the objects that the call or the head of the document names, in a field that tells objects apart."""
    found: list[int] = []
    texts = [value for value in column.values if isinstance(value, str)]
    if references and len(set(texts)) * 2 > count:
        found += [index for index, value in enumerate(column.values) if isinstance(value, str) and value in references][
            :_PER_COLUMN
        ]
    for word in words:
        places = [index for index, value in enumerate(column.values) if isinstance(value, str) and word in value]
        found += places if len(places) <= max(_PER_COLUMN, count // 8) else []
    return found


def told(column: Column) -> str:
    """Return one field of all objects in words, "" when there is nothing short to say."""
    kinds = column.types - {type(None), type(MISSING)}
    if len(kinds) != 1 or not column.is_scalar:
        return ""
    values = [value for value in column.values if value is not None and value is not MISSING]
    if kinds <= {int, float} and bool not in kinds:
        ordered = sorted(values)
        return f"from {_text(ordered[0])} to {_text(ordered[-1])}, median {_text(ordered[len(ordered) // 2])}"
    counts = Counter(values)
    if not 1 < len(counts) <= 12 or len(counts) * 3 > len(values) + 3:
        return ""
    shown = sorted(counts.items(), key=lambda pair: (-pair[1], str(pair[0])))
    return ", ".join(f"{times:,} {_text(value)[:60]}" for value, times in shown)


def _text(value: Any) -> str:
    return value.removeprefix(json_text.NUMBER) if isinstance(value, str) else json_text.compact(value)
