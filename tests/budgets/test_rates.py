from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis

from budgets import shared_rates
from budgets.gate import Principal
from budgets.rates import MAX_CALLERS, Buckets, LocalBuckets, Rate, RateLimited
from budgets.shared_rates import SharedBuckets
from budgets.throttle import Throttle
from savings.receipts import Usage
from tests.budgets.builders import priced


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class StopWatch:
    """Real seconds since it was made: Redis has a clock of its own, and buckets fill meanwhile."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    @property
    def passed_s(self) -> float:
        return time.monotonic() - self._started


@pytest.fixture
def redis_url(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The same, with patience: how long a crowded machine takes is not what is tested."""
    monkeypatch.setattr(shared_rates, "REDIS_TIMEOUT_S", 10)
    return redis_url


@pytest.fixture(params=["local", pytest.param("redis", marks=pytest.mark.redis)])
async def buckets(request: pytest.FixtureRequest) -> AsyncIterator[Buckets]:
    made: Buckets
    if request.param == "redis":
        made = SharedBuckets(request.getfixturevalue("redis_url"), workers=2)
    else:
        made = LocalBuckets()
    yield made
    await made.close()


async def test_a_minutes_worth_passes_at_once_and_the_next_waits(buckets: Buckets) -> None:
    watch = StopWatch()
    waits = [await buckets.take("a", Rate(60), 0) for _ in range(70)]
    passed = waits.count(0)
    assert waits[:60] == [0] * 60 and passed <= 60 + watch.passed_s
    assert all(0 < wait <= 1 for wait in waits if wait)
    assert await buckets.take("b", Rate(60), 0) == 0


async def test_waiting_as_long_as_told_is_enough_and_less_is_not(buckets: Buckets) -> None:
    rate = Rate(requests=120)
    while not (wait_s := await buckets.take("a", rate, 0)):
        watch = StopWatch()
    await asyncio.sleep(wait_s * 0.5)
    passes = not await buckets.take("a", rate, 0)
    assert not passes or watch.passed_s > 0.5
    await asyncio.sleep(wait_s * 0.5 + 0.02)
    assert passes or await buckets.take("a", rate, 0) == 0


async def test_tokens_are_limited_too_and_a_refusal_takes_nothing(buckets: Buckets) -> None:
    rate, watch = Rate(requests=5, tokens=1000), StopWatch()
    assert await buckets.take("a", rate, 900) == 0
    for _ in range(20):
        wait_s = await buckets.take("a", rate, 200)
        assert 6 - watch.passed_s < wait_s + 0.01 <= 6.01
    assert await buckets.take("a", rate, 100) == 0


async def test_a_request_larger_than_the_bucket_needs_a_full_one_and_leaves_no_endless_debt(buckets: Buckets) -> None:
    rate, watch = Rate(tokens=6_000), StopWatch()
    assert await buckets.take("a", rate, 10_000_000) == 0
    assert 59 - watch.passed_s < await buckets.take("a", rate, 10_000_000) <= 60
    await buckets.put_right("a", rate, 10_000_000)
    assert 59 - watch.passed_s < await buckets.take("a", rate, 1) <= 61
    assert 119 - watch.passed_s < await buckets.take("a", rate, 6_000) <= 120


async def test_what_was_estimated_too_high_comes_back(buckets: Buckets) -> None:
    rate = Rate(tokens=1000)
    await buckets.take("a", rate, 1000)
    await buckets.put_right("a", rate, -900)
    assert await buckets.take("a", rate, 890) == 0
    await buckets.put_right("a", rate, -5000)
    assert await buckets.take("a", rate, 1000) == 0
    assert await buckets.take("a", rate, 1000) > 0


async def test_a_bucket_fills_evenly_and_never_over() -> None:
    clock = Clock()
    buckets = LocalBuckets(clock)
    rate = Rate(requests=60)
    for _ in range(60):
        await buckets.take("a", rate, 0)
    clock.now_s += 10
    assert [await buckets.take("a", rate, 0) for _ in range(11)] == [0] * 10 + [1]
    clock.now_s += 86_400
    assert [await buckets.take("a", rate, 0) for _ in range(100)].count(0) == 60


async def test_many_callers_do_not_fill_the_memory() -> None:
    buckets = LocalBuckets()
    for number in range(MAX_CALLERS + 100):
        await buckets.take(str(number), Rate(1), 0)
    assert len(buckets._levels) == MAX_CALLERS


@pytest.mark.redis
async def test_workers_share_one_bucket_in_redis(redis_url: str) -> None:
    workers = [SharedBuckets(redis_url, workers=4) for _ in range(4)]
    watch = StopWatch()
    waits = await asyncio.gather(*(workers[n % 4].take("a", Rate(50), 0) for n in range(200)))
    assert 50 <= sum(not wait for wait in waits) <= 51 + watch.passed_s
    with redis.Redis.from_url(redis_url) as client:
        assert 0 < client.pttl("headroom:rate:a") <= 150_000
    for worker in workers:
        await worker.close()


class Counting(SharedBuckets):
    """Counts how often it asks."""

    asked = 0

    async def _ask(self, *arguments: Any) -> Any:
        self.asked += 1
        return await super()._ask(*arguments)


@pytest.mark.redis
async def test_a_busy_caller_does_not_ask_redis_for_every_request(redis_url: str) -> None:
    buckets, rate = Counting(redis_url, workers=2), Rate(3000, 300_000)
    waits = [await buckets.take("a", rate, 100) for _ in range(1500)]
    assert not any(waits) and buckets.asked < 1500 / 20
    asked, watch = buckets.asked, StopWatch()
    waits = [await buckets.take("a", rate, 100) for _ in range(2000)]
    # Near its end a bucket is shared out one by one, so that the last one is right. It fills by 50 a second.
    assert 1500 <= waits.count(0) <= 1550 + 50 * watch.passed_s and buckets.asked > asked + 500
    await buckets.close()


@pytest.mark.redis
async def test_of_those_who_come_while_a_slice_is_asked_for_one_asks(redis_url: str) -> None:
    buckets, rate = Counting(redis_url, workers=2, clock=Clock()), Rate(100_000)
    for _ in range(2):
        await buckets.take("a", rate, 0)
    assert buckets.asked == 2, "the first asks for itself, the second for a slice"
    waits = [wait for _ in range(20) for wait in await asyncio.gather(*(buckets.take("a", rate, 0) for _ in range(20)))]
    assert not any(waits) and buckets.asked <= 2 + 400 / 40
    await buckets.close()


@pytest.mark.redis
async def test_what_is_left_of_a_slice_goes_back(redis_url: str) -> None:
    clock = Clock()
    one, other = (SharedBuckets(redis_url, workers=2, clock=clock) for _ in range(2))
    rate = Rate(600)
    for _ in range(3):
        assert await one.take("a", rate, 0) == 0
    assert one._slices["a"].requests == 9, "it was given no slice of ten, or spent none of it"
    clock.now_s += 1
    assert await one.take("a", rate, 0) == 0
    assert one._slices["a"].requests == 0
    watch = StopWatch()
    passed = [await other.take("a", rate, 0) for _ in range(700)].count(0)
    assert 596 <= passed + other._slices["a"].requests <= 610 + 10 * watch.passed_s
    await one.close()
    await other.close()


async def test_without_redis_each_worker_keeps_to_its_share_and_says_so_once(caplog: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    clock = Clock()
    buckets = SharedBuckets(f"redis://127.0.0.1:{port}", workers=4, clock=clock)
    assert buckets.is_whole
    with caplog.at_level(logging.ERROR):
        waits = [await buckets.take("a", Rate(40), 0) for _ in range(20)]
        clock.now_s += 2
        await buckets.take("a", Rate(40), 0)
    assert sum(not wait for wait in waits) == 10
    assert not buckets.is_whole
    assert [record.getMessage() for record in caplog.records] == [
        "Redis does not answer (ConnectionError): until it does, this worker lets pass 1/4 of every rate limit"
    ]
    await buckets.close()


async def test_a_redis_that_hangs_is_waited_for_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        buckets = SharedBuckets(f"redis://127.0.0.1:{silent.getsockname()[1]}", workers=2, clock=Clock())
        for _ in range(10):
            assert await buckets.take("a", Rate(100), 0) == 0
        await buckets.close()
        silent.setblocking(False)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()


@pytest.mark.redis
async def test_limits_hold_over_all_workers_again_once_redis_is_back(redis_url: str) -> None:
    clock = Clock()
    buckets = SharedBuckets(redis_url, workers=2, clock=clock)
    buckets._lost(TimeoutError())
    await buckets.take("a", Rate(100), 0)
    assert not buckets.is_whole
    clock.now_s += 1.1
    await buckets.take("a", Rate(100), 0)
    assert buckets.is_whole
    await buckets.close()


async def admit(throttle: Throttle, principal: Principal, request_id: str = "r", tokens: int = 0) -> None:
    await throttle.admit(principal, request_id, peer="10.0.0.1", estimated_tokens=tokens)


async def test_keys_have_a_bucket_each_and_callers_without_key_one_by_credential_and_address() -> None:
    throttle = Throttle(Rate(1), LocalBuckets())
    for principal in (Principal("o", "k1", "a"), Principal("o", "k2", "b"), Principal("o", credential_fingerprint="f")):
        await admit(throttle, principal)
        with pytest.raises(RateLimited):
            await admit(throttle, principal)
    await throttle.admit(Principal("o", credential_fingerprint="f"), "r", peer="10.0.0.2", estimated_tokens=0)


async def test_a_refusal_says_who_how_much_and_when() -> None:
    throttle = Throttle(Rate(2, 1000), LocalBuckets())
    for _ in range(2):
        await admit(throttle, Principal("o", "k", "laptop"))
    with pytest.raises(
        RateLimited, match="key laptop may send 2 requests and 1,000 tokens a minute; try again in 30 s"
    ) as no:
        await admit(throttle, Principal("o", "k", "laptop"))
    assert 29_000 < no.value.retry_after_ms <= 30_000
    assert no.value.retry_after_s == 30


async def test_tokens_are_put_right_once_the_provider_has_counted() -> None:
    throttle = Throttle(Rate(tokens=1000), LocalBuckets())
    entry = priced(1)
    request_id = entry.receipt.admission.request_id
    await admit(throttle, Principal("o", "k"), request_id, 1000)
    object.__setattr__(entry, "usage", Usage(input_fresh=10, cache_read=100_000, output=90))
    throttle.post([entry, entry])
    await asyncio.sleep(0.01)
    await admit(throttle, Principal("o", "k"), "r2", 890)
    await throttle.close()


async def test_nothing_is_limited_when_nothing_is_asked_for() -> None:
    for throttle in (Throttle(Rate(), LocalBuckets()), Throttle(Rate(1), None)):
        for _ in range(10):
            await admit(throttle, Principal("o"))
        assert throttle.is_whole
