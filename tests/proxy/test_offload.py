from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from headroom.values import Policy, ToolCall
from proxy import offload
from proxy.offload import INLINE_MAX_CHARS, Busy, Offload

LARGE = "a line of a log\n" * (INLINE_MAX_CHARS // 8)


class Stuck(Offload):
    """Its helper does nothing until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()
        self._threads = ThreadPoolExecutor(1)
        self._threads.submit(self.go_on.wait, 10)

    def _started(self) -> Any:
        return self._threads

    def close(self) -> None:
        self.go_on.set()
        self._threads.shutdown()


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stuck]:
    monkeypatch.setattr(offload, "MAX_WAITING_CHARS", 2 * len(LARGE))
    one = Stuck()
    yield one
    one.close()


async def test_what_would_wait_too_long_goes_out_as_it_came(stuck: Stuck) -> None:
    call, policy = ToolCall("Bash", "{}"), Policy()
    waiting = [asyncio.ensure_future(stuck.shrink(LARGE, call, policy)) for _ in range(2)]
    await asyncio.sleep(0)
    refused = await stuck.shrink(LARGE, call, policy)
    assert (refused.text, refused.reason) == (LARGE, "busy")
    with pytest.raises(Busy):
        await stuck.compress([{"role": "user", "content": LARGE}], "m", policy, None)  # type: ignore[arg-type]
    assert (await stuck.shrink("short", call, policy)).reason != "busy"
    stuck.go_on.set()
    assert {shrunk.reason for shrunk in await asyncio.gather(*waiting)} == {""}
    assert (await stuck.shrink(LARGE, call, policy)).reason == ""


async def test_one_text_may_be_larger_than_all_that_may_wait(stuck: Stuck) -> None:
    stuck.go_on.set()
    assert (await stuck.shrink(LARGE * 3, ToolCall("Bash", "{}"), Policy())).reason == ""
