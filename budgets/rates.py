"""How often, and how much a minute: token buckets of requests and of tokens, in this process or in Redis for all workers.

A bucket holds a minute's worth and fills evenly. A request that is larger than its bucket needs a full one; tokens are
charged as estimated and put right once the provider has counted them, with a debt of at most another minute.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

MAX_CALLERS = 20_000
MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Rate:
    """Requests and tokens a minute; 0 is no limit."""

    requests: int = 0
    tokens: int = 0

    def __bool__(self) -> bool:
        return bool(self.requests or self.tokens)

    def share_of(self, workers: int) -> Rate:
        """What one of so many workers may let pass by itself."""
        return Rate(*(max(1, limit // workers) if limit else 0 for limit in (self.requests, self.tokens)))


class RateLimited(Exception):
    """The caller comes too often, or with too much at a time."""

    def __init__(self, whose: str, rate: Rate, wait_s: float) -> None:
        limits = [f"{rate.requests:,} requests"] if rate.requests else []
        limits += [f"{rate.tokens:,} tokens"] if rate.tokens else []
        self.retry_after_ms = max(1, math.ceil(wait_s * 1000))
        self.retry_after_s = math.ceil(self.retry_after_ms / 1000)
        super().__init__(f"{whose} may send {' and '.join(limits)} a minute; try again in {self.retry_after_s} s")


class Buckets(Protocol):
    """Where the buckets are."""

    @property
    def is_whole(self) -> bool:
        """Whether limits hold over all workers at the moment."""

    async def take(self, caller: str, rate: Rate, tokens: int) -> float:
        """Take one request and so many tokens; the seconds to wait when there are not enough, and then nothing is taken."""

    async def put_right(self, caller: str, rate: Rate, more_tokens: int) -> None:
        """Charge so many tokens more (or fewer) than were taken."""

    async def close(self) -> None:
        """Let go of connections."""


class LocalBuckets:
    """Buckets in this process. Callers that were not seen for longest are forgotten first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._levels: OrderedDict[str, tuple[float, float, float]] = OrderedDict()

    @property
    def is_whole(self) -> bool:
        return True

    async def take(self, caller: str, rate: Rate, tokens: int) -> float:
        now_s, requests, there = self._level(caller, rate)
        needed = min(tokens, rate.tokens)
        wait_s = 0.0
        if rate.requests and requests < 1:
            wait_s = (1 - requests) * MINUTE_S / rate.requests
        if rate.tokens and there < needed:
            wait_s = max(wait_s, (needed - there) * MINUTE_S / rate.tokens)
        if not wait_s:
            requests, there = requests - 1, there - needed
        self._keep(caller, now_s, requests, there)
        return wait_s

    async def put_right(self, caller: str, rate: Rate, more_tokens: int) -> None:
        if rate.tokens:
            now_s, requests, there = self._level(caller, rate)
            self._keep(caller, now_s, requests, min(rate.tokens, max(-rate.tokens, there - more_tokens)))

    async def close(self) -> None:
        """There is nothing to let go of."""

    def _level(self, caller: str, rate: Rate) -> tuple[float, float, float]:
        now_s = self._clock()
        at_s, requests, there = self._levels.get(caller, (now_s, math.inf, math.inf))
        minutes = (now_s - at_s) / MINUTE_S
        return (
            now_s,
            min(rate.requests, requests + minutes * rate.requests),
            min(rate.tokens, there + minutes * rate.tokens),
        )

    def _keep(self, caller: str, now_s: float, requests: float, there: float) -> None:
        self._levels[caller] = (now_s, requests, there)
        self._levels.move_to_end(caller)
        if len(self._levels) > MAX_CALLERS:
            self._levels.popitem(last=False)
