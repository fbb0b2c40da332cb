"""Admission by rate: whose bucket a request takes from, and what it is charged once the provider has counted."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from budgets.gate import Principal
from budgets.keys import Permissions
from budgets.rates import Buckets, Rate, RateLimited
from savings.pricing import PricedReceipt

MAX_OPEN = 50_000


@dataclass(frozen=True, slots=True)
class _Charge:
    caller: str
    rate: Rate
    tokens: int


class Throttle:
    """The rate limits of one worker. `rate` is for callers without one of their own; `None` buckets limit nothing."""

    def __init__(self, rate: Rate, buckets: Buckets | None) -> None:
        self._rate = rate
        self._buckets = buckets
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open: OrderedDict[str, _Charge] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_enabled(self) -> bool:
        return self._buckets is not None

    @property
    def is_whole(self) -> bool:
        """Whether limits hold over all workers at the moment."""
        return self._buckets is None or self._buckets.is_whole

    async def admit(self, principal: Principal, request_id: str, *, peer: str, estimated_tokens: int) -> None:
        """Let a request pass or raise RateLimited."""
        rate = self._rate_of(principal.permissions)
        if self._buckets is None or not rate:
            return
        caller = principal.key_id or f"{principal.credential_fingerprint}@{peer}"
        wait_s = await self._buckets.take(caller, rate, estimated_tokens)
        if wait_s:
            raise RateLimited(_whose(principal), rate, wait_s)
        if rate.tokens:
            self._loop = self._loop or asyncio.get_running_loop()
            self._open[request_id] = _Charge(caller, rate, min(estimated_tokens, rate.tokens))
            if len(self._open) > MAX_OPEN:
                self._open.popitem(last=False)

    def _rate_of(self, may: Permissions) -> Rate:
        if may.requests_per_minute is None and may.tokens_per_minute is None:
            return self._rate
        return Rate(
            self._rate.requests if may.requests_per_minute is None else may.requests_per_minute,
            self._rate.tokens if may.tokens_per_minute is None else may.tokens_per_minute,
        )

    def post(self, entries: Sequence[PricedReceipt]) -> None:
        """Put right what was estimated, for calls that are booked. May be called from any thread."""
        if self._loop is None or self._loop.is_closed():
            return
        more: Counter[tuple[str, Rate]] = Counter()
        for entry in entries:
            admission, usage = entry.receipt.admission, entry.usage
            charge = self._open.pop(admission.request_id, None)
            counts = (usage.input_fresh, usage.cache_write_5m, usage.cache_write_1h, usage.output)
            if charge is not None and usage.input_fresh is not None:
                # Reading from a cache counts against no provider's limit either.
                more[charge.caller, charge.rate] += sum(count or 0 for count in counts) - charge.tokens
        if more:
            self._loop.call_soon_threadsafe(self._put_right, more)

    async def close(self) -> None:
        """Let go of connections."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2)
        if self._buckets is not None:
            await self._buckets.close()

    def _put_right(self, more: Counter[tuple[str, Rate]]) -> None:
        """One correction for each caller, however many of its calls were booked at once."""
        for (caller, rate), tokens in more.items():
            if self._buckets is not None and tokens:
                task = asyncio.ensure_future(self._buckets.put_right(caller, rate, tokens))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)


def _whose(principal: Principal) -> str:
    return f"key {principal.key_label}" if principal.key_id else "a caller without a key of its own"
