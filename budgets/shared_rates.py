"""The token buckets of all workers, in Redis. A module of its own, as a proxy without Redis need not load its client."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError

from budgets.rates import MAX_CALLERS, LocalBuckets, Rate

log = logging.getLogger("headroom.rates")

REDIS_TIMEOUT_S = 0.25
REDIS_CONNECTIONS = 8
TRY_AGAIN_S = 1.0
KEEP_MS = 150_000
BUSY_S = 0.1
"""A caller that comes again so soon is given a slice of its bucket, so that not each of its requests asks Redis."""
SLICE_S = 0.25
"""How long a worker keeps to a slice."""
MAX_SLICE = 50


# Redis's own clock, so that hosts whose clocks differ agree. Levels are kept as text: Lua's numbers become integers else.
_LEVELS = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + clock[2] / 1000
local kept = redis.call('HMGET', KEYS[1], 'at', 'requests', 'tokens')
local passed = math.max(0, now - (tonumber(kept[1]) or now))
local function level(text, limit)
  local before = tonumber(text)
  if not before then return limit end
  return math.min(limit, before + passed * limit / 60000)
end
local max_requests, max_tokens, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local requests, tokens = level(kept[2], max_requests), level(kept[3], max_tokens)
local wait = 0
"""
_KEEP = f"""
redis.call('HSET', KEYS[1], 'at', string.format('%.3f', now), 'requests', string.format('%.6f', requests),
  'tokens', string.format('%.3f', tokens))
redis.call('PEXPIRE', KEYS[1], {KEEP_MS})
"""
# While the bucket is more than half full there is a slice on top: so many requests of the same size. What a worker still
# has of its last one comes back first.
TAKE = (
    _LEVELS
    + """
wanted = math.min(wanted, max_tokens)
requests = math.min(max_requests, requests + tonumber(ARGV[5]))
tokens = math.min(max_tokens, tokens + tonumber(ARGV[6]))
local slice = tonumber(ARGV[4])
if max_requests > 0 and requests < 1 then wait = (1 - requests) * 60000 / max_requests end
if max_tokens > 0 and tokens < wanted then wait = math.max(wait, (wanted - tokens) * 60000 / max_tokens) end
if wait == 0 then
  requests = requests - 1
  tokens = tokens - wanted
  if requests - slice < max_requests / 2 or tokens - slice * wanted < max_tokens / 2 then slice = 0 end
  requests = requests - slice
  tokens = tokens - slice * wanted
else
  slice = 0
end
"""
    + _KEEP
    + "return {tostring(wait), slice}\n"
)
PUT_RIGHT = _LEVELS + "\ntokens = math.min(max_tokens, math.max(-max_tokens, tokens - wanted))\n" + _KEEP


@dataclass(slots=True)
class _Slice:
    """What a worker may let pass of one caller's bucket without asking: taken from it already."""

    rate: Rate
    requests: int = 0
    tokens: int = 0
    asked_s: float = -math.inf
    asking: asyncio.Future[None] | None = None
    """Done when the one who asks for the next slice has been answered: others wait for that, and do not ask too."""

    def spend(self, rate: Rate, tokens: int, now_s: float) -> bool:
        """Let one request pass, if it fits."""
        if self.requests < 1 or tokens > self.tokens or now_s - self.asked_s > SLICE_S or rate != self.rate:
            return False
        self.requests -= 1
        self.tokens -= tokens
        return True


class SharedBuckets:
    """Buckets in Redis, one script and one round trip each time; busy callers are asked for in slices.

    While Redis is away each worker keeps to its own share.
    """

    def __init__(self, url: str, *, workers: int, clock: Callable[[], float] = time.monotonic) -> None:
        # One time-out of ours around everything takes half of the processor time of the client's own at each step.
        pool = ConnectionPool.from_url(url, socket_timeout=None, retry=Retry(NoBackoff(), 0))
        self._redis = Redis.from_pool(pool)
        self._slots = asyncio.Semaphore(REDIS_CONNECTIONS)
        self._take = self._redis.register_script(TAKE)
        self._put_right = self._redis.register_script(PUT_RIGHT)
        self._workers = workers
        self._clock = clock
        self._own = LocalBuckets(clock)
        self._slices: OrderedDict[str, _Slice] = OrderedDict()
        self._try_at_s = -math.inf
        self._problem = ""

    @property
    def is_whole(self) -> bool:
        return not self._problem

    async def take(self, caller: str, rate: Rate, tokens: int) -> float:
        now_s, needed = self._clock(), min(tokens, rate.tokens)
        slice_ = self._slice_of(caller, rate)
        if slice_.spend(rate, needed, now_s):
            return 0.0
        if slice_.asking is not None:
            await asyncio.wait((slice_.asking,))
            if slice_.spend(rate, needed, self._clock()):
                return 0.0
        if self._clock() >= self._try_at_s:
            try:
                wait_s = await self._take_shared(caller, slice_, needed)
            except (RedisError, OSError, TimeoutError) as exc:
                self._lost(exc)
            else:
                self._found()
                return wait_s
        return await self._own.take(caller, rate.share_of(self._workers), tokens)

    async def put_right(self, caller: str, rate: Rate, more_tokens: int) -> None:
        if not rate.tokens:
            return
        if self._clock() >= self._try_at_s:
            try:
                await self._ask(self._put_right, caller, rate, more_tokens)
            except (RedisError, OSError, TimeoutError) as exc:
                self._lost(exc)
            return
        await self._own.put_right(caller, rate.share_of(self._workers), more_tokens)

    async def close(self) -> None:
        await self._redis.aclose()

    def _slice_of(self, caller: str, rate: Rate) -> _Slice:
        found = self._slices.get(caller)
        if found is None or found.rate != rate:
            found = self._slices[caller] = _Slice(rate)
            if len(self._slices) > MAX_CALLERS:
                self._slices.popitem(last=False)
        self._slices.move_to_end(caller)
        return found

    async def _take_shared(self, caller: str, slice_: _Slice, needed: int) -> float:
        """Ask Redis for one request, and for a slice where the last question was a moment ago. What is left goes back."""
        rate, now_s = slice_.rate, self._clock()
        is_busy = now_s - slice_.asked_s < BUSY_S and slice_.asking is None
        wanted = min(MAX_SLICE, rate.requests // 60 if rate.requests else MAX_SLICE) if is_busy else 0
        back = (slice_.requests, slice_.tokens)
        slice_.requests = slice_.tokens = 0
        slice_.asked_s = now_s
        answered = asyncio.get_running_loop().create_future() if wanted else None
        slice_.asking = answered or slice_.asking
        try:
            wait_ms, granted = await self._ask(self._take, caller, rate, needed, wanted, *back)
            slice_.requests += granted
            slice_.tokens += granted * needed
        finally:
            if answered is not None:
                slice_.asking = None
                answered.set_result(None)
        return float(wait_ms) / 1000

    async def _ask(self, script: AsyncScript, caller: str, rate: Rate, *numbers: int) -> Any:
        async with asyncio.timeout(REDIS_TIMEOUT_S), self._slots:
            return await script(keys=[f"headroom:rate:{caller}"], args=[rate.requests, rate.tokens, *numbers])

    def _lost(self, exc: Exception) -> None:
        if not self._problem:
            log.error(
                "Redis does not answer (%s): until it does, this worker lets pass 1/%d of every rate limit",
                type(exc).__name__,
                self._workers,
            )
        self._problem = type(exc).__name__
        self._try_at_s = self._clock() + TRY_AGAIN_S

    def _found(self) -> None:
        if self._problem:
            log.warning("Redis answers again: rate limits hold over all workers")
        self._problem = ""
