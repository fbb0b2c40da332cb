"""Prose by its telling sentences, word for word: the first of every paragraph, then those with numbers and rare names."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence

KEPT_SHARE = 0.5
"""Of the characters of a text that is several turns old."""

GAP = "[...]"
_END = re.compile(r"[.!?][\"')\]]*\s+(?=[\"'(\[]?[A-Z0-9])|[。！？]+")
_NAME = re.compile(r"\d[\d.,:/%-]*|[A-Z][\w'-]+|\w+[_./@#]\w+")
_MIN_CHARS = 40
_MIN_SENTENCES = 6


def extract(text: str, spoken_of: Collection[str] = ()) -> tuple[str, int, int]:
    """Return a text by its telling sentences, how many were left out, and how many there were."""
    lines = [list(_cut(line)) for line in text.split("\n")]
    found = [(row, at, one) for row, line in enumerate(lines) for at, one in enumerate(line)]
    if len(found) < _MIN_SENTENCES:
        return text, 0, len(found)
    kept = _kept(found, KEPT_SHARE * len(text), spoken_of)
    out = [_joined(line, [(row, at) in kept for at in range(len(line))]) for row, line in enumerate(lines)]
    return "\n".join(out), len(found) - len(kept), len(found)


def _cut(line: str) -> Iterator[str]:
    start = 0
    for end in _END.finditer(line):
        if end.end() - start >= _MIN_CHARS:
            yield line[start : end.end()]
            start = end.end()
    yield line[start:]


def _kept(found: Sequence[tuple[int, int, str]], room_chars: float, spoken_of: Collection[str]) -> set[tuple[int, int]]:
    seen = Counter(name for _, _, one in found for name in set(_names(one)))
    ranked = sorted(
        ((_worth(one, at, seen, spoken_of), row, at, len(one)) for row, at, one in found),
        key=lambda entry: (-entry[0], entry[1], entry[2]),
    )
    kept: set[tuple[int, int]] = set()
    for worth, row, at, chars in ranked:
        if worth < 1 and chars > room_chars:
            continue
        room_chars -= chars
        kept.add((row, at))
    return kept


def _worth(sentence: str, at: int, seen: Counter[str], spoken_of: Collection[str]) -> float:
    if len(sentence) < _MIN_CHARS or any(word in sentence for word in spoken_of):
        return 1.0
    rare = sum(1 / seen[name] for name in sorted(set(_names(sentence))))
    root = math.sqrt(len(sentence))  # powers differ in their last digit from machine to machine, roots do not
    return min(0.99, rare / (8 + root * math.sqrt(root)) + 0.2 * (at == 0))


def _names(sentence: str) -> list[str]:
    """Return the numbers and names in a sentence; its first word has a capital whatever it is."""
    return [found[0] for found in _NAME.finditer(sentence, 1)]


def _joined(sentences: Sequence[str], kept: Sequence[bool]) -> str:
    out: list[str] = []
    for one, is_kept in zip(sentences, kept, strict=True):
        if is_kept:
            out.append(one)
        elif not out or out[-1] != f"{GAP} ":
            out.append(f"{GAP} ")
    return "".join(out).rstrip()
