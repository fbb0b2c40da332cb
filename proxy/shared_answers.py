"""Kept answers of all workers, in Redis. A module of its own, as a proxy without Redis need not load its client.

A miss costs no round trip: each worker knows the names of what Redis holds, and asks only for what is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from proxy.response_cache import MAX_BYTES, Away, Kept, Name
from savings.receipts import Usage

log = logging.getLogger("headroom.cache")

REDIS_TIMEOUT_S = 0.25
TRY_AGAIN_S = 1.0
LOOK_EVERY_S = 1.0
OVERLAP_MS = 2000
"""Names are asked for again for so long: a script that began earlier may have written later."""


# Redis's own clock, as hosts' clocks differ. `added` says how old an answer is, `used` which one goes first.
_START = """
local clock = redis.call('TIME')
local now = math.floor(clock[1] * 1000 + clock[2] / 1000)
local added, used, sizes = KEYS[1], KEYS[2], KEYS[3]
local function drop(name)
  redis.call('DEL', 'headroom:answer:' .. name)
  redis.call('ZREM', added, name)
  redis.call('ZREM', used, name)
  local size = redis.call('HGET', sizes, name)
  if size then redis.call('HINCRBY', sizes, '', '-' .. size) end
  redis.call('HDEL', sizes, name)
end
"""
PUT = (
    _START
    + """
local name, size, ttl = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])
for _, old in ipairs(redis.call('ZRANGEBYSCORE', added, '-inf', now - ttl)) do drop(old) end
drop(name)
redis.call('SET', 'headroom:answer:' .. name, ARGV[2], 'PX', ttl)
redis.call('ZADD', added, now, name)
redis.call('ZADD', used, now, name)
redis.call('HSET', sizes, name, size)
local total = redis.call('HINCRBY', sizes, '', size)
while redis.call('ZCARD', used) > tonumber(ARGV[5]) or total > tonumber(ARGV[6]) do
  drop(redis.call('ZRANGE', used, 0, 0)[1])
  total = tonumber(redis.call('HGET', sizes, ''))
end
"""
)
GET = (
    _START
    + """
local kept = redis.call('GET', 'headroom:answer:' .. ARGV[1])
if kept then redis.call('ZADD', used, 'XX', now, ARGV[1]) end
return kept
"""
)
LOOK = _START + "\nreturn {now, redis.call('ZRANGEBYSCORE', added, '(' .. ARGV[1], '+inf', 'WITHSCORES')}\n"
CLEAR = (
    _START
    + """
local count = 0
for _, name in ipairs(redis.call('ZRANGE', added, 0, -1)) do
  if string.sub(name, 1, #ARGV[1]) == ARGV[1] then
    drop(name)
    count = count + 1
  end
end
return count
"""
)
KEYS = ["headroom:answers:added", "headroom:answers:used", "headroom:answers:sizes"]


class SharedAnswers:
    """Answers in Redis. `_names` are those that it is known to hold, with their ages; while it is away, all is a miss."""

    def __init__(
        self,
        url: str,
        max_entries: int,
        ttl_s: float,
        *,
        max_bytes: int = MAX_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis = Redis.from_url(url, socket_timeout=None, retry=Retry(NoBackoff(), 0))
        self._put, self._get, self._look, self._clear = map(self._redis.register_script, (PUT, GET, LOOK, CLEAR))
        self._max_entries, self._ttl_s, self._max_bytes, self._clock = max_entries, ttl_s, max_bytes, clock
        self._names: OrderedDict[str, float] = OrderedDict()
        self._looked_ms = 0
        self._try_at_s = 0.0
        self._problem = ""
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def is_whole(self) -> bool:
        return not self._problem

    async def open(self) -> None:
        self._own(self._keep_looking())

    async def get(self, name: Name) -> Kept | None:
        text = str(name)
        until_s = self._names.get(text)
        if until_s is None:
            return None
        found: bytes | None = None
        if self._clock() < until_s:
            if self._clock() < self._try_at_s:
                return None
            try:
                found = await self._ask(self._get, text)
            except (RedisError, OSError, TimeoutError) as exc:
                self._lost(exc)
                return None
        if found is None:
            self._names.pop(text, None)
            return None
        self._names.move_to_end(text)
        return _unpacked(found)

    def put(self, name: Name, kept: Kept) -> None:
        if self._clock() >= self._try_at_s:
            self._own(self._store(str(name), kept))

    async def clear(self, owner: str) -> int:
        try:
            count: int = await self._ask(self._clear, f"{owner}:")
        except (RedisError, OSError, TimeoutError) as exc:
            self._lost(exc)
            raise Away(f"Redis does not answer ({type(exc).__name__})") from exc
        return count

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._redis.aclose()

    async def look(self) -> None:
        """Learn the names of what other workers have put there since the last look."""
        try:
            now_ms, scored = await self._ask(self._look, max(0, self._looked_ms - OVERLAP_MS))
        except (RedisError, OSError, TimeoutError) as exc:
            self._lost(exc)
            return
        if self._problem:
            log.warning("Redis answers again: so does the response cache")
        self._problem = ""
        for name, added_ms in zip(scored[::2], scored[1::2], strict=True):
            self._know(name.decode(), self._ttl_s - (now_ms - float(added_ms)) / 1000)
        self._looked_ms = now_ms

    async def _store(self, name: str, kept: Kept) -> None:
        limits = (round(self._ttl_s * 1000), self._max_entries, self._max_bytes)
        try:
            await self._ask(self._put, name, _packed(kept), kept.size_bytes, *limits)
        except (RedisError, OSError, TimeoutError) as exc:
            self._lost(exc)
        else:
            self._know(name, self._ttl_s)

    async def _keep_looking(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def _ask(self, script: Any, *arguments: Any) -> Any:
        async with asyncio.timeout(REDIS_TIMEOUT_S):
            return await script(keys=KEYS, args=arguments)

    def _know(self, name: str, for_s: float) -> None:
        self._names[name] = self._clock() + for_s
        self._names.move_to_end(name)
        while len(self._names) > self._max_entries:
            self._names.popitem(last=False)

    def _lost(self, exc: Exception) -> None:
        if not self._problem:
            log.error("Redis does not answer (%s): nothing is answered out of the response cache", type(exc).__name__)
        self._problem = type(exc).__name__
        self._try_at_s = self._clock() + TRY_AGAIN_S

    def _own(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _packed(kept: Kept) -> bytes:
    head = {"headers": kept.headers, "model": kept.model, "usage": asdict(kept.usage)}
    return orjson.dumps(head) + b"\n" + kept.body


def _unpacked(stored: bytes) -> Kept | None:
    """The answer; `None` where another release wrote something else."""
    head, _, body = stored.partition(b"\n")
    try:
        fields = orjson.loads(head)
        headers = tuple((str(name), str(value)) for name, value in fields["headers"])
        return Kept(headers, body, str(fields["model"]), Usage(**fields["usage"]))
    except (ValueError, TypeError, KeyError):
        return None
