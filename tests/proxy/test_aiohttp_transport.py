"""Errors are sorted by the only question that matters to money: can anything have been sent?"""

from __future__ import annotations

import asyncio
import time

import pytest

from proxy.aiohttp_transport import Response, Transport
from proxy.upstream import Target, UpstreamUnreachable
from tests.live import answers
from tests.live import provider as providers
from tests.live.answers import CLOSE, Until

BODY = b"{}" * 50_000


def test_nothing_was_sent_where_a_kept_connection_closes_first() -> None:
    """Servers close what is idle, many after five seconds. A busy loop hears of that and of the next request at once."""
    may_close: list[bool] = []

    async def story(provider: providers.Provider) -> None:
        transport = Transport(connect_timeout_s=5, read_timeout_s=5)
        target = Target(provider.url, b"", None)

        async def ask() -> None:
            length = (b"content-length", b"%d" % len(BODY))
            lines = [(b"host", target.host.encode()), length]
            response: Response = await transport.send("POST", target, b"/v1/messages", lines, BODY)
            assert b"".join([chunk async for chunk in response])

        await ask()
        asking = asyncio.create_task(ask())
        may_close.append(True)
        time.sleep(0.3)  # noqa: ASYNC251 - the loop is busy
        with pytest.raises(UpstreamUnreachable):
            await asking
        await ask()
        await transport.close()

    with providers.running() as provider:
        provider.say([*answers.json_answer(answers.message()), Until(lambda: bool(may_close)), CLOSE])
        asyncio.run(story(provider))
        assert [received.connection for received in provider.requests] == [1, 2], "what failed never arrived"
