from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable

import pytest

from proxy import shared_answers
from proxy.response_cache import Answers, Away, Kept, LocalAnswers, Name
from proxy.shared_answers import SharedAnswers
from savings.receipts import Usage

USAGE = Usage(input_fresh=10, output=5)


def make_kept(body: bytes = b"{}") -> Kept:
    return Kept((("content-type", "application/json"),), body, "claude-sonnet-4-5", USAGE)


def make_name(digest: str = "d", owner: str = "team:1") -> Name:
    return Name(owner, digest)


async def settled(answers: Answers) -> None:
    if isinstance(answers, SharedAnswers):
        await asyncio.gather(*(task for task in answers._tasks if task.get_name() != "look"))


@pytest.fixture
def redis_url(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The same, with patience: how long a crowded machine takes is not what is tested."""
    monkeypatch.setattr(shared_answers, "REDIS_TIMEOUT_S", 10)
    return redis_url


@pytest.fixture(params=["local", pytest.param("redis", marks=pytest.mark.redis)])
async def open_answers(request: pytest.FixtureRequest) -> AsyncIterator[Callable[[float], Answers]]:
    opened: list[Answers] = []

    def start(ttl_s: float) -> Answers:
        is_shared = request.param == "redis"
        made = (
            SharedAnswers(request.getfixturevalue("redis_url"), 3, ttl_s, max_bytes=10_000)
            if is_shared
            else LocalAnswers(3, ttl_s, max_bytes=10_000)
        )
        opened.append(made)
        return made

    yield start
    for one in opened:
        await one.close()


@pytest.fixture
def answers(open_answers: Callable[[float], Answers]) -> Answers:
    return open_answers(60)


async def put(answers: Answers, *digests: str, owner: str = "team:1", body: bytes = b"{}") -> None:
    for digest in digests:
        answers.put(make_name(digest, owner), make_kept(body))
        await settled(answers)


async def there(answers: Answers, *digests: str) -> list[str]:
    return [digest for digest in digests if await answers.get(make_name(digest)) is not None]


async def test_what_was_put_is_had_back_by_its_owner_alone(answers: Answers) -> None:
    await put(answers, "a", body=b'{"text":"\x00\n\xff"}')
    assert await answers.get(make_name("a")) == make_kept(b'{"text":"\x00\n\xff"}')
    assert await answers.get(make_name("a", owner="team:2")) is None
    assert await answers.get(make_name("b")) is None


async def test_those_not_used_for_longest_go_first(answers: Answers) -> None:
    await put(answers, "a", "b", "c")
    await asyncio.sleep(0.002)
    await answers.get(make_name("a"))
    await put(answers, "d")
    assert await there(answers, "a", "b", "c", "d") == ["a", "c", "d"]


async def test_bytes_are_bounded_too(answers: Answers) -> None:
    await put(answers, "a", "b", body=bytes(4000))
    await put(answers, "b", "b", body=bytes(4000))
    assert await there(answers, "a", "b") == ["a", "b"]
    await put(answers, "c", body=bytes(8000))
    assert await there(answers, "a", "b", "c") == ["c"]


async def test_answers_age(open_answers: Callable[[float], Answers]) -> None:
    answers = open_answers(0.05)
    await put(answers, "a")
    await asyncio.sleep(0.06)
    assert await there(answers, "a") == []


async def test_clearing_forgets_the_answers_of_one_owner(answers: Answers) -> None:
    await put(answers, "a", "b")
    await put(answers, "a", owner="team:11")
    assert await answers.clear("team:1") == 2
    assert await there(answers, "a", "b") == []
    assert await answers.get(make_name("a", owner="team:11")) is not None


@pytest.mark.redis
async def test_workers_share_and_a_miss_asks_nobody(redis_url: str) -> None:
    one, two = (SharedAnswers(redis_url, 3, 60) for _ in range(2))
    try:
        await put(one, "a")
        await two.look()
        assert await two.get(make_name("a")) == make_kept()
        await one.clear("team:1")
        assert await two.get(make_name("a")) is None
        await two._redis.aclose()
        two._redis.connection_pool.connection_kwargs["port"] = 1
        assert await two.get(make_name("b")) is None
        assert two.is_whole, "a miss went to Redis"
    finally:
        await one.close()
        await two.close()


async def test_without_redis_everything_is_a_miss() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        answers = SharedAnswers(f"redis://127.0.0.1:{nobody.getsockname()[1]}", 3, 60)
        await put(answers, "a")
        assert not answers.is_whole
        answers._know("team:1:a", 60)
        assert await there(answers, "a") == []
        with pytest.raises(Away):
            await answers.clear("team:1")
        await answers.close()
