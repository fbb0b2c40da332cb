"""What a call may cost, before it is sent: at most (for strict budgets), or as such calls usually do."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass

from savings.pricing import ATTO_PER_NANO, Rates, Tariff

USUAL_OUTPUT_TOKENS = 2000
"""Until calls of this key to this model have shown otherwise."""
FRAME_TOKENS = 4096
"""What providers add to a prompt of their own: tool instructions, the frames of messages."""
REMEMBERED_CALLS = 64
REMEMBERED_KINDS = 4096


@dataclass(frozen=True, slots=True)
class Demand:
    """A call as budgets and limits see it.

    `input_tokens` is an estimate, `body_bytes` is what is sent: no text has more tokens than bytes. With `has_opaque_input`
    it may (pictures, files, references); with `has_open_end` nobody can say what it may cost (tools that the provider
    runs). `max_output_tokens` is 0 for calls that generate nothing and `None` where the client gave no limit;
    `context_tokens` is what the model can take in all, `None` where nobody knows. `tier` is the service tier asked for.
    """

    provider: str
    upstream: str
    route: str
    model: str
    input_tokens: int = 0
    body_bytes: int = 0
    max_output_tokens: int | None = None
    answers: int = 1
    has_opaque_input: bool = False
    has_open_end: bool = False
    is_free: bool = False
    is_known_route: bool = True
    tier: str = ""


class Unbounded(Exception):
    """Nobody can say what this call costs at most."""


def at_most_nano_usd(tariff: Tariff, demand: Demand, context_tokens: int | None) -> int:
    """The highest price that a call can have. Raises Unbounded, saying what is missing."""
    if demand.has_open_end:
        raise Unbounded("tools that the provider runs have no limit")
    input_tokens = demand.body_bytes + FRAME_TOKENS
    if demand.has_opaque_input:
        if context_tokens is None:
            raise Unbounded("pictures, files and references may be of any size")
        input_tokens = max(input_tokens, context_tokens)
    output_tokens = demand.max_output_tokens if demand.max_output_tokens is not None else context_tokens
    if output_tokens is None:
        raise Unbounded("it sets no limit on the answer (max_tokens)")
    return max(
        _cost(rates, input_tokens, output_tokens * demand.answers, dearest=True)
        for start, rates in tariff.tiers
        if start < input_tokens
    )


def usual_nano_usd(tariff: Tariff, demand: Demand, usual_output_tokens: int) -> int:
    """What such a call costs when nothing of its prompt is cached and its answer is among the longer ones."""
    output_tokens = usual_output_tokens
    if demand.max_output_tokens is not None:
        output_tokens = min(output_tokens, demand.max_output_tokens)
    rates = tariff.rates(demand.input_tokens)
    return _cost(rates, demand.input_tokens, output_tokens * demand.answers, dearest=False)


def _cost(rates: Rates, input_tokens: int, output_tokens: int, *, dearest: bool) -> int:
    """In nano-dollars, rounded up."""
    kinds: Iterable[int | None] = (rates.input_fresh,)
    if dearest:
        kinds = (rates.input_fresh, rates.cache_read, rates.cache_write_5m, rates.cache_write_1h)
    per_input = max(rate or 0 for rate in kinds)
    per_output = (rates.output or 0) + (max(rates.reasoning or 0, 0) if dearest else 0)
    atto_usd = rates.per_call + input_tokens * per_input + output_tokens * per_output
    return -(-atto_usd // ATTO_PER_NANO)


class Habits:
    """How long the answers were that keys got from models lately."""

    def __init__(self) -> None:
        self._outputs: OrderedDict[tuple[str, str], deque[int]] = OrderedDict()
        self._usual: dict[tuple[str, str], int] = {}
        """What was worked out since the last answer of its kind: answers come in batches."""
        self._lock = threading.Lock()

    def note(self, key_id: str, model: str, output_tokens: int) -> None:
        """One more answer."""
        with self._lock:
            seen = self._outputs.setdefault((key_id, model), deque(maxlen=REMEMBERED_CALLS))
            seen.append(output_tokens)
            self._usual.pop((key_id, model), None)
            self._outputs.move_to_end((key_id, model))
            if len(self._outputs) > REMEMBERED_KINDS:
                forgotten, _ = self._outputs.popitem(last=False)
                self._usual.pop(forgotten, None)

    def usual_output_tokens(self, key_id: str, model: str) -> int:
        """The 95th percentile, and a guess where there are few."""
        known = self._usual.get((key_id, model))
        if known is not None:
            return known
        with self._lock:
            seen = sorted(self._outputs.get((key_id, model), ()))
            if not seen:
                return USUAL_OUTPUT_TOKENS
            usual = seen[min(len(seen) - 1, len(seen) * 95 // 100)]
            if len(seen) < 8:
                usual = max(usual, USUAL_OUTPUT_TOKENS)
            self._usual[key_id, model] = usual
        return usual
