"""Work on big texts in a process of its own: the same bytes, ready early, and no harm when it dies."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from headroom import pipeline, retrieval
from headroom.values import Policy, Shrunk, ToolCall
from proxy import offload
from proxy.offload import Busy, Offload

CALL = ToolCall("Bash", '{"command": "cat app.log"}')
LOG = "\n".join(f"2024-01-02 03:04:{at % 60:02} INFO served /items/{at * 7} in {at % 90} ms" for at in range(900))

HUGE = LOG * (1 + offload.INLINE_AT_FIRST_CHARS // len(LOG))


@pytest.fixture
def helper() -> Iterator[Offload]:
    made = Offload(starts_early=True)
    yield made
    made.close()


async def shrink(helper: Offload, text: str) -> Shrunk:
    return await helper.shrink(text, CALL, Policy())


def test_the_helper_starts_early_gives_the_same_bytes_and_may_die(helper: Offload) -> None:
    before = {child.pid for child in multiprocessing.active_children()}

    async def story() -> None:
        assert (await shrink(helper, LOG[: offload.WARM_CHARS - 1])).reason == ""
        assert {child.pid for child in multiprocessing.active_children()} == before, "nothing big is in sight yet"
        await shrink(helper, LOG[: offload.WARM_CHARS])
        started = {child.pid for child in multiprocessing.active_children()} - before
        assert len(started) == 1
        assert (await shrink(helper, HUGE)).is_changed, "with this it has started"
        assert len(LOG) > offload.INLINE_MAX_CHARS
        assert await shrink(helper, LOG) == pipeline.shrink(LOG, call=CALL, policy=Policy())
        assert {child.pid for child in multiprocessing.active_children()} - before == started
        os.kill(started.pop() or 0, signal.SIGKILL)
        dead = await shrink(helper, LOG)
        assert (dead.text, dead.reason) == (LOG, "failed:helper_process")
        assert (await shrink(helper, LOG)).is_changed, "a new helper takes over"

    asyncio.run(story())


def test_a_large_original_is_searched_in_the_helper(helper: Offload) -> None:
    asked: dict[str, Any] = {"query": "items/417", "start_line": None, "end_line": None}
    expected = retrieval.answer(HUGE, **asked)

    async def story() -> None:
        before = {child.pid for child in multiprocessing.active_children()}
        assert await helper.excerpt(HUGE, **asked) == expected
        (searching,) = {child.pid for child in multiprocessing.active_children()} - before
        os.kill(searching or 0, signal.SIGKILL)
        with pytest.raises(Busy):
            await helper.excerpt(HUGE, **asked)
        assert await helper.excerpt(HUGE, **asked) == expected, "a new helper takes over"

    asyncio.run(story())


def test_nobody_waits_for_the_helper_to_start(helper: Offload, monkeypatch: pytest.MonkeyPatch) -> None:
    async def helped(*_: object) -> None:
        raise AssertionError("this would have waited")

    monkeypatch.setattr(Offload, "_helped", helped)
    assert asyncio.run(shrink(helper, LOG)) == pipeline.shrink(LOG, call=CALL, policy=Policy())


def test_a_text_beyond_all_contexts_is_left_alone(helper: Offload, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offload, "MAX_CHARS", offload.INLINE_AT_FIRST_CHARS)
    assert asyncio.run(shrink(helper, HUGE)).reason == "too_large"
