"""Work on big texts in a process of its own: the same bytes, ready early, and no harm when it dies."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Iterator

import pytest

from headroom import pipeline
from headroom.values import Policy, Shrunk, ToolCall
from proxy import offload
from proxy.offload import Offload

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


def test_what_nobody_waits_for_yet_stays_off_the_loop_once_there_is_a_helper(
    helper: Offload, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = LOG[: offload.INLINE_MAX_CHARS]
    expected = pipeline.shrink(text, call=CALL, policy=Policy())
    here: list[int] = []
    others = set(multiprocessing.active_children())

    def shrunk(text: str, **options: object) -> Shrunk:
        here.append(len(text))
        return expected

    async def story() -> None:
        assert await helper.shrink(text, CALL, Policy(), is_ahead=True) == expected
        assert await shrink(helper, HUGE), "with this the helper has started"
        monkeypatch.setattr(pipeline, "shrink", shrunk)
        assert await helper.shrink(text, CALL, Policy(), is_ahead=True) == expected
        assert not here
        await helper.shrink(text[: offload.AHEAD_MIN_CHARS - 1], CALL, Policy(), is_ahead=True)
        await shrink(helper, text)
        assert here == [offload.AHEAD_MIN_CHARS - 1, len(text)]
        (started,) = set(multiprocessing.active_children()) - others
        os.kill(started.pid or 0, signal.SIGKILL)
        assert await helper.shrink(text, CALL, Policy(), is_ahead=True) == expected, "done here when the helper died"

    asyncio.run(story())


def test_nobody_waits_for_the_helper_to_start(helper: Offload, monkeypatch: pytest.MonkeyPatch) -> None:
    async def helped(*_: object) -> None:
        raise AssertionError("this would have waited")

    monkeypatch.setattr(Offload, "_helped", helped)
    assert asyncio.run(shrink(helper, LOG)) == pipeline.shrink(LOG, call=CALL, policy=Policy())


def test_a_text_beyond_all_contexts_is_left_alone(helper: Offload, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offload, "MAX_CHARS", offload.INLINE_AT_FIRST_CHARS)
    assert asyncio.run(shrink(helper, HUGE)).reason == "too_large"
