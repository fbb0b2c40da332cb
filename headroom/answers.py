"""Short answers that say of their calls what earlier ones said of theirs: that a file was written, how much was replaced."""

from __future__ import annotations

import json
import re
from functools import lru_cache

MAX_CHARS = 1_000
MAX_ARGUMENTS_CHARS = 50_000
MIN_VALUE_CHARS = 4
_AMOUNT = r"(?<![\w.,])\d{1,9}(?= (?:characters|chars|bytes|lines)\b)"

Parts = tuple[str | frozenset[str], ...]
"""A text in order: what it says itself, and by all their names what of it its call says."""


def is_told_by(text: str, arguments: str, other: str, other_arguments: str) -> bool:
    """Return whether who sees both calls and the other answer knows this one, as all that is different is what the calls say.

    >>> other = "Wrote 5 bytes to b.py", '{"path": "b.py", "text": "b=234"}'
    >>> is_told_by("Wrote 3 bytes to a.py", '{"path": "a.py", "text": "a=1"}', *other)
    True
    >>> is_told_by("Wrote 2 bytes to a.py", '{"path": "a.py", "text": "a=1"}', *other)
    False
    """
    if max(len(text), len(other)) > MAX_CHARS or max(len(arguments), len(other_arguments)) > MAX_ARGUMENTS_CHARS:
        return False
    parts = _parts(text, arguments)
    return len(parts) > 1 and _are_alike(parts, _parts(other, other_arguments))


def _are_alike(parts: Parts, others: Parts) -> bool:
    """Whether the parts follow from the others: where those may be any of several values of their call, each has to fit."""
    return len(parts) == len(others) and all(
        part == other if isinstance(part, str) or isinstance(other, str) else other <= part
        for part, other in zip(parts, others, strict=True)
    )


@lru_cache(maxsize=128)
def _parts(text: str, arguments: str) -> Parts:
    given = _given(arguments)
    names: dict[str, list[str]] = {}
    for name, value in given.items():
        if MIN_VALUE_CHARS <= len(value) <= len(text) and value in text:
            names.setdefault(value, []).append(name)
    longest_first = "|".join(re.escape(value) for value in sorted(names, key=len, reverse=True))
    parts: list[str | frozenset[str]] = []
    at = 0
    for found in re.finditer(f"{longest_first}|{_AMOUNT}" if names else _AMOUNT, text):
        said = names.get(found[0]) or _measured(int(found[0]), text[found.end() + 1 :], given)
        if said:
            parts += [text[at : found.start()], frozenset(said)]
            at = found.end()
    return (*parts, text[at:])


def _given(arguments: str) -> dict[str, str]:
    """The texts that a call gives by name."""
    try:
        given = json.loads(arguments)
    except (ValueError, RecursionError):
        return {}
    return {name: value for name, value in given.items() if isinstance(value, str)} if isinstance(given, dict) else {}


def _measured(amount: int, unit: str, given: dict[str, str]) -> list[str]:
    """The names of the texts that are so long."""
    if unit.startswith("char"):
        return [f"length of {name}" for name, value in given.items() if len(value) == amount]
    if unit.startswith("bytes"):
        return [f"bytes of {name}" for name, value in given.items() if _bytes(value) == amount]
    return [f"lines of {name}" for name, value in given.items() if value and len(value.splitlines()) == amount]


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
