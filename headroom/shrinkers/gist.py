"""What is worth remembering of an old result: its ends, its trouble, what it defines, and what is rare in it.

Only for results that are several turns old and kept elsewhere: whole lines, in their order, word for word.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from itertools import chain, zip_longest

from headroom.shrinkers import named, trouble
from headroom.values import Form, Source

KEPT_SHARE = 0.25
"""Of the characters. A quarter holds four of five facts that agents still use many turns later."""
MIN_LINES = 8
HEAD_LINES = 3
TAIL_LINES = 3
MIN_BUDGET_CHARS = 320
MAX_LINE_CHARS = 600

_DEFINES = re.compile(
    r"^\s*(?:\d+\s*[\t:|→]\s*)?(?:(?:export|default|public|private|protected|static|async|abstract|final|pub(?:\(\w+\))?|unsafe)\s+)*"
    r"(?:def|class|function|fn|func|interface|type|enum|struct|impl|trait|module|namespace|@\w+|#{1,6})\b|^#{1,6} "
)
_NAME = re.compile(r"[A-Za-z0-9_./:@#-]{4,}")
_TELLING = re.compile(r"\d|[_./:@#-]|[a-z][A-Z]")
_DIGITS = re.compile(r"\d+")
GAP = "…"
_GAP_CHARS = 4


def forms(source: Source) -> Iterable[Form]:
    """Yield the lines that matter most, when there are enough lines to choose from."""
    if source.policy.level != "deep":
        return
    lines = source.text.split("\n")
    if len(lines) < MIN_LINES:
        return
    kept = chosen(lines, source.call.arguments, max(MIN_BUDGET_CHARS, int(KEPT_SHARE * len(source.text))))
    kept |= named.rows(lines, source.policy.keep_words)
    if len(kept) < len(lines):
        yield Form(written(lines, kept), "gist", f"{len(lines) - len(kept):,} of {len(lines):,} lines")


def chosen(lines: Sequence[str], arguments: str, budget_chars: int, *, is_tight: bool = False) -> set[int]:
    """Positions of the lines to keep: first what must be, then the most telling ones, as long as there is room.

    `is_tight`: the first and last lines stay only as far as there is room for them, unless the text reports trouble or has
    so few lines that each of them tells something.
    """
    filled = [n for n, line in enumerate(lines) if line.strip()]
    reported = trouble.reporting(lines)
    is_tight = is_tight and not reported and len(filled) >= MIN_LINES
    kept = _ends(lines, filled, budget_chars if is_tight else math.inf)
    kept |= _troubled(lines, reported, budget_chars // 2)
    budget_chars -= sum(len(lines[n]) for n in kept)
    for n in _by_worth(lines, filled, frozenset(reported), arguments):
        cost = len(lines[n]) + _GAP_CHARS * (n - 1 not in kept and n + 1 not in kept)
        if n not in kept and cost <= budget_chars:
            kept.add(n)
            budget_chars -= cost
    return kept


def _ends(lines: Sequence[str], filled: Sequence[int], room_chars: float) -> set[int]:
    """Return the first and the last lines, the outer ones first, while there is room."""
    pairs = zip_longest(filled[:HEAD_LINES], filled[: -TAIL_LINES - 1 : -1])
    kept: set[int] = set()
    for n in dict.fromkeys(n for n in chain.from_iterable(pairs) if n is not None):
        if len(lines[n]) <= min(room_chars, MAX_LINE_CHARS):
            kept.add(n)
            room_chars -= len(lines[n])
    return kept


def _troubled(lines: Sequence[str], reported: Sequence[int], room_chars: int) -> set[int]:
    """Return the lines that report trouble, one of each sort that differs in more than numbers, while there is room."""
    kept: set[int] = set()
    told: set[str] = set()
    for n in reported:
        sort = _DIGITS.sub("0", lines[n])
        if sort not in told and len(lines[n]) <= min(room_chars, MAX_LINE_CHARS):
            told.add(sort)
            kept.add(n)
            room_chars -= len(lines[n])
    return kept


def _by_worth(lines: Sequence[str], filled: Sequence[int], reported: AbstractSet[int], arguments: str) -> list[int]:
    names = [set(_NAME.findall(lines[n][:MAX_LINE_CHARS])) for n in filled]
    rarity = {name: 1 / times for name, times in Counter(chain.from_iterable(names)).items() if _TELLING.search(name)}
    asked = {name for name in _NAME.findall(arguments[:2000]) if len(name) >= 6}
    worth: dict[int, float] = {}
    for n, found in zip(filled, names, strict=True):
        line = lines[n]
        telling = math.fsum(rarity[name] for name in found if name in rarity)  # the same in any order
        root = math.sqrt(len(line))  # powers differ in their last digit from machine to machine, roots do not
        score = telling / (8 + root * math.sqrt(root))
        score += 0.5 * bool(_DEFINES.match(line)) + 0.6 * (n in reported) + 0.3 * (not asked.isdisjoint(found))
        worth[n] = score
    return sorted(filled, key=lambda n: (-worth[n], n))


def written(lines: Sequence[str], kept: AbstractSet[int]) -> str:
    """The kept lines in their order, with a sign where others stood: how many they were is said once, at the end."""
    written: list[str] = []
    is_gap = False
    for n, line in enumerate(lines):
        if n in kept:
            written += [GAP, line] if is_gap else [line]
            is_gap = False
        else:
            is_gap = is_gap or bool(line.strip())
    return "\n".join([*written, GAP] if is_gap else written)
