"""Which lines of a log say the same thing with other values: one template per kind of line, found in linear time."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

_DIGITS = b"0123456789"
_KEY_CHARS = 600
# A value is a word, or what follows an equals sign, with a character that names rarely have.
_VALUE = re.compile(
    r"(?<![^\s=\"'(\[,])(?![A-Z]{3,}(?:[_-][A-Z]+)*(?![^\s:|\]]))[^\s=/\\.@#{}<>\-_:%\"'(\[,]*+[/\\.@#{}<>\-_:%][^\s\"')\],]*+"
)
# Addresses, ids and hashes: digits are not looked at, the letters among them would be.
# What begins with a set of characters is found much faster than what begins with a look behind.
_HEX = re.compile(
    r"[0-9a-f](?<![A-Za-z0-9].)(?:(?<=0)x[0-9a-fA-F]+|(?:(?<=\d)|(?=[a-f]*\d))[0-9a-f]{5,}(?![A-Za-z0-9]))"
)
_MAX_COMPARED = 8
_MAX_SHAPES = 30_000
_MIN_WORDS = 4
_ALIKE_SHARE = 0.7


def find(
    text: str, lines: Sequence[str], marks: Callable[[list[str]], list[int]], apart: Mapping[int, int]
) -> tuple[list[int], list[int]]:
    """Return the number of the template of every line, and the mark of every template; a template has lines of one mark.

    `marks` is asked for one of all lines that only differ in digits. The lines `apart` differ from others by more than
    that, whatever the rest of them: by the number given.
    """
    keys = _without_digits(text).split(b"\n")
    for index, mark in apart.items():
        keys[index] = b"%d %s" % (mark, keys[index])
    place = dict(zip(reversed(keys), range(len(keys) - 1, -1, -1), strict=True))
    distinct = list(place)
    firsts = [lines[at] for at in place.values()]
    named = _HEX.sub("", "\n".join([line[: 2 * _KEY_CHARS] for line in firsts]))
    worded = _without_digits(named).decode("utf-8", "surrogatepass").split("\n")
    heads = [line[:_KEY_CHARS] for line in worded]
    several = list(dict.fromkeys(heads))
    shape_of = dict(zip(several, _VALUE.sub("*", "\n".join(several)).split("\n"), strict=True))
    shapes = [shape_of[head] for head in heads]
    marked = marks(firsts)
    numbers, mark_of = _merged(list(zip(marked, shapes, strict=True)))
    number_of = dict(zip(distinct, numbers, strict=True))
    return [number_of[key] for key in keys], mark_of


def _without_digits(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass").translate(None, _DIGITS)


def _merged(shapes: Sequence[tuple[int, str]]) -> tuple[list[int], list[int]]:
    """Number the shapes; those of one mark, length and beginning that share most words get one number."""
    known: dict[tuple[int, str], int] = {}
    mark_of: list[int] = []
    groups: dict[tuple[int, int, str], list[tuple[list[str], int]]] = {}
    for shape in dict.fromkeys(shapes):
        words = shape[1].split()
        group: list[tuple[list[str], int]] = []
        if len(words) >= _MIN_WORDS and len(known) < _MAX_SHAPES:
            group = groups.setdefault((shape[0], len(words), words[0]), group)
        match = next((number for other, number in group[-_MAX_COMPARED:] if _is_alike(words, other)), None)
        if match is None:
            match = len(mark_of)
            mark_of.append(shape[0])
            group.append((words, match))
        known[shape] = match
    return [known[shape] for shape in shapes], mark_of


def _is_alike(words: Sequence[str], other: Sequence[str]) -> bool:
    """Say whether most words are the same, and none that differs is a level, a verdict or another name in capitals."""
    if sum(map(str.__eq__, words, other)) < len(words) * _ALIKE_SHARE:
        return False
    return not any(one != two and (one.isupper() or two.isupper()) for one, two in zip(words, other, strict=True))
