"""New figures for open dashboards: one look at them every two seconds for all, and none while nobody looks."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict

from channels.auth import AuthMiddlewareStack
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.db import DatabaseError

from headroom_site import page_access
from proxy import database, exchange, hosts
from savings.dashboard import session
from savings.dashboard.scope import Scope

logger = logging.getLogger("headroom.live")

EVERY_S = 2.0
SEND_TIMEOUT_S = 1.0
MAX_READERS = 1000
READER_LIFE_S = 600.0
"""Then a page connects again, and whoever was logged out in between no more."""
DENIED, ENDED = 4403, 1001


class Board:
    """The open pages of this process, by what they may see. Every process looks for its own; the figures are everybody's."""

    def __init__(self) -> None:
        self._readers: dict[Scope, set[Reader]] = defaultdict(set)
        self._last: dict[Scope, str] = {}
        self._ticking: asyncio.Task[None] | None = None

    @property
    def count(self) -> int:
        return sum(map(len, self._readers.values()))

    async def join(self, scope: Scope, reader: Reader) -> None:
        """Tell a page how things stand, and from now on what changes."""
        self._readers[scope].add(reader)
        if self._ticking is None or self._ticking.done():
            self._ticking = asyncio.get_running_loop().create_task(self._tick())
        if (text := self._last.get(scope)) is not None:
            await reader.tell(text)

    def leave(self, scope: Scope, reader: Reader) -> None:
        """A page is closed. With the last one the looking ends."""
        self._readers[scope].discard(reader)
        if not self._readers[scope]:
            del self._readers[scope]
            self._last.pop(scope, None)
        if not self._readers and self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None

    async def _tick(self) -> None:
        while True:
            for scope in list(self._readers):
                await self._look(scope)
            await asyncio.sleep(EVERY_S)

    async def _look(self, scope: Scope) -> None:
        try:
            text = await database.run(session.news, scope)
        except (DatabaseError, TimeoutError) as exc:
            logger.info("no new figures: %s", exc)
            return
        if text != self._last.get(scope):
            self._last[scope] = text
            await asyncio.gather(*(reader.tell(text) for reader in list(self._readers.get(scope, ()))))


board = Board()


class Reader(AsyncWebsocketConsumer):  # type: ignore[misc]
    """The socket of one open page. It listens to nothing that the page says."""

    figures: Scope | None = None
    _ending: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        client = exchange.from_scope({**self.scope, "method": "GET"})
        try:
            hosts.check(client, settings.ALLOWED_NAMES)
        except hosts.ForbiddenHost:
            await self.close(DENIED)
            return
        is_forwarded = any(client.header(name) for name in page_access.FORWARDED_HEADERS)
        is_home = page_access.is_at_home(client.peer, is_forwarded=is_forwarded)
        figures = await database.run(page_access.scope_of, self.scope.get("user"), is_home=is_home)
        if figures is None or board.count >= MAX_READERS:
            await self.close(DENIED)
            return
        self.figures = figures
        await self.accept()
        self._ending = asyncio.get_running_loop().create_task(self._end())
        await board.join(figures, self)

    async def _end(self) -> None:
        await asyncio.sleep(READER_LIFE_S)
        await self.close(ENDED)

    async def tell(self, text: str) -> None:
        """Send; a page that takes nothing for a second is given up on."""
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self.send(text_data=text)
        except Exception as exc:  # noqa: BLE001 - servers differ in how they say that nobody is there any more
            logger.debug("a page is gone: %s", exc)

    async def disconnect(self, code: int) -> None:
        if self._ending is not None:
            self._ending.cancel()
        if self.figures is not None:
            board.leave(self.figures, self)


application = AuthMiddlewareStack(Reader.as_asgi())
