"""How many more turns follow an epoch? Arithmetic over epochs whose conversations are over.

The planner counts on so many further turns as a share of the turns so far. What came of past epochs says which share would
have been right for them all together: further turns over turns so far, both weighted by the tokens that the epoch spares
each turn. Its 95 % interval is that of a ratio of sums. Only a share outside of it is changed: up to the lower end of the
interval, as a conversation that ends early is a loss, but down to the estimate itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from proxy.learning.judgement import Z

MIN_EPOCHS = 50
LEAST, MOST = 0.1, 1.0
"""No evidence makes the planner fearless, or has it give up."""


@dataclass(frozen=True, slots=True)
class Past:
    """An epoch: the tokens that it spares each turn, the turns before it, and those that followed."""

    saved_tokens: int
    turns: int
    further: int


@dataclass(frozen=True, slots=True)
class Horizon:
    """The share of the turns so far to count on, and the estimate with its interval that says so."""

    share: float
    epochs: int
    seen: float
    low: float
    high: float


def judge(past: Sequence[Past], share: float) -> Horizon | None:
    """The horizon that the past asks for instead of `share`; `None` where it does not speak against that."""
    if len(past) < MIN_EPOCHS:
        return None
    further = [max(0, one.saved_tokens) * one.further for one in past]
    turns = [max(0, one.saved_tokens) * one.turns for one in past]
    total = sum(turns)
    if not total:
        return None
    seen = sum(further) / total
    spread = sum((y - seen * x) ** 2 for y, x in zip(further, turns, strict=True))
    half = Z * math.sqrt(spread * len(past) / (len(past) - 1)) / total
    low, high = max(0.0, seen - half), seen + half
    if low <= share <= high:
        return None
    wanted = round(min(MOST, max(LEAST, low if low > share else seen)), 2)
    return Horizon(wanted, len(past), seen, low, high) if wanted != round(share, 2) else None
