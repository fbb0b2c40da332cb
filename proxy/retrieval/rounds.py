"""Answer the model's calls of our tool on the way back, so that the client gets one answer and never hears of them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from django.db import DatabaseError

from proxy import database, errors, exchange
from proxy.offload import Busy, Offload
from proxy.relay import ChunkFilter, Relay, Ticket, provider_request_id
from proxy.retrieval import lookup, tool, turns
from proxy.retrieval.offers import Offered
from proxy.retrieval.weaving import chat, messages, responses
from proxy.retrieval.weaving.base import OwnCall, Said, Weaver
from proxy.splice import Unspliceable
from proxy.upstream import Answer
from proxy.values import Call, Dialect

logger = logging.getLogger(__name__)

MAX_ROUNDS = 3
MAX_ERROR_BYTES = 256 * 1024
NO_MORE = Said(
    f"no more than {MAX_ROUNDS} lookups in a row are answered. Go on with what you have, or ask again in your next turn.",
    is_error=True,
)
AWAY = Said("the originals cannot be read at the moment. Run the tool again to see its output.", is_error=True)
NOT_TAKEN = (
    "the original was not taken back into this conversation, perhaps because it is too long for it. Go on without."
)
"""What stands in the place of a lookup whose round the provider refused: without us there had been no such round."""
CANNOT_BE_SENT: tuple[type[Exception], ...] = (*errors.HTTP, Unspliceable)
REFUSES_ROUND = frozenset((400, 413, 422))
UNCLEAR = Said(
    "hash is missing: give the 24 hex digits from the line that begins with `[headroom left out`.", is_error=True
)

STREAMED: dict[str, Callable[[], Weaver]] = {
    "/v1/messages": messages.MessageStream,
    "/v1/chat/completions": chat.ChatStream,
    "/v1/responses": responses.ResponseStream,
}
WHOLE: dict[str, Callable[[], Weaver]] = {
    "/v1/messages": messages.MessageJson,
    "/v1/chat/completions": chat.ChatJson,
    "/v1/responses": responses.ResponseJson,
}


class Again(Protocol):
    """Send the request once more with these messages behind its own, or, `is_instead`, behind what it was before the last
    such round. Raises what the table in `proxy.errors` knows."""

    async def __call__(self, behind: list[Any], *, is_instead: bool = False) -> tuple[Answer, Ticket]: ...


Opened = Callable[[Answer, Ticket, ChunkFilter], Relay]
"""A relay for one round."""


def weaver(route: str, answer: Answer) -> Weaver | None:
    """A weaver for an answer, `None` for one that cannot be read."""
    if answer.status != 200 or exchange.decoder_for(answer.header(b"content-encoding")) is None:
        return None
    kind = answer.header(b"content-type")
    if kind.startswith("text/event-stream"):
        return STREAMED[route]()
    return WHOLE[route]() if kind.startswith("application/json") else None


class Guard:
    """A weaver that nothing can break the answer with: an answer of a shape that nobody foresaw goes on as it comes."""

    def __init__(self, weaver: Weaver) -> None:
        self._weaver = weaver
        self._held: list[bytes] = []
        self.is_broken = False

    def feed(self, chunk: bytes) -> bytes:
        if self.is_broken:
            return chunk
        self._held.append(chunk)
        return self._tried(lambda: self._weaver.feed(chunk))

    def flush(self) -> bytes:
        return b"" if self.is_broken else self._tried(self._weaver.flush)

    def _tried(self, work: Callable[[], bytes]) -> bytes:
        try:
            passed = work()
        except Exception:
            logger.exception("an answer could not be looked through; it is relayed as it comes")
            self.is_broken = True
            return b"".join(self._held)
        if passed or self._weaver.is_held:
            self._held.clear()
        return passed


class Rounds:
    """The body of an answer and of the rounds behind it: an iterator with a `close`, as a relay is.

    `status` is that of the last answer; it matters where the client was told nothing yet.
    """

    def __init__(
        self,
        answer: Answer,
        ticket: Ticket,
        weaver: Weaver,
        *,
        again: Again,
        opened: Opened,
        place: Place,
        last_filter: ChunkFilter | None,
    ) -> None:
        self._guard = Guard(weaver)
        self._relay = opened(answer, ticket, self._guard)
        self._last_filter = last_filter
        self._weaver, self._again, self._opened, self._place = weaver, again, opened, place
        self._answered = 0
        self._is_over = False
        self.status = answer.status

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while not self._is_over:
            try:
                chunk = await anext(self._relay)
            except StopAsyncIteration:
                chunk = await self._turned()
            if passed := self._passed(chunk):
                return passed
        raise StopAsyncIteration

    def _passed(self, chunk: bytes) -> bytes:
        """What the client did not ask for is taken out last, when the weaver has seen it."""
        if self._last_filter is None:
            return chunk
        passed = self._last_filter.feed(chunk) if chunk else b""
        return passed + self._last_filter.flush() if self._is_over else passed

    async def whole(self) -> bytes:
        """All of it at once, for answers that are no stream."""
        try:
            return b"".join([chunk async for chunk in self])
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Abort whatever round is running."""
        self._is_over = True
        await self._relay.close()

    async def _turned(self) -> bytes:
        """A round has ended: begin another one, or give the end of the answer."""
        weaver = self._weaver
        if self._guard.is_broken or not weaver.is_held:
            self._is_over = True
            return b""
        said = await self._said(weaver.calls)
        if weaver.calls and not weaver.has_client_calls and self._answered <= MAX_ROUNDS:
            self._answered += 1
            return await self._another(weaver.next_round(said))
        await self._place.record(weaver, said)
        self._is_over = True
        return weaver.ending()

    async def _said(self, calls: Sequence[OwnCall]) -> list[Said]:
        if self._answered >= MAX_ROUNDS:
            return [NO_MORE for _ in calls]
        return [await self._place.answer(call) for call in calls]

    async def _another(self, behind: list[Any], *, is_instead: bool = False) -> bytes:
        try:
            answer, ticket = await self._again(behind, is_instead=is_instead)
        except CANNOT_BE_SENT as exc:
            status, code = errors.status_and_code(exc)
            return self._refused(status, errors.body(self._place.dialect, status, code, str(exc)))
        if answer.status == 200:
            self._relay = self._opened(answer, ticket, self._guard)
            return b""
        raw = await answer.peek(MAX_ERROR_BYTES)
        ticket.settle("complete", http_status=answer.status, provider_request_id=provider_request_id(answer))
        await answer.close()
        if answer.status in REFUSES_ROUND and not is_instead:
            return await self._another(self._weaver.retold(NOT_TAKEN), is_instead=True)
        decode = exchange.decoder_for(answer.header(b"content-encoding"))
        return self._refused(answer.status, decode(raw) if decode is not None else b"")

    def _refused(self, status: int, body: bytes) -> bytes:
        self.status, self._is_over = int(status), True
        return self._weaver.refused(body)


class Place:
    """Where the rounds of one request belong: whose they are, and to which conversation."""

    def __init__(
        self, owner: str, route: str, *, dialect: Dialect, call: Call, known: Offered, helper: Offload
    ) -> None:
        self._owner, self._route, self._known, self._helper = owner, route, known, helper
        self._root, self._place = turns.root(call, route), turns.answers(call, route)
        self.dialect = dialect

    async def answer(self, call: OwnCall) -> Said:
        """What the model gets for a call."""
        wanted = tool.wanted(call.arguments)
        if wanted is None:
            return UNCLEAR
        try:
            found = await database.run(lookup.fetch, self._owner, wanted)
            if isinstance(found, lookup.Gone):
                return Said(str(found), is_error=True)
            return Said((await lookup.excerpt(found, wanted, self._helper)).content)
        except (DatabaseError, TimeoutError, Busy):
            return AWAY

    async def record(self, weaver: Weaver, said: Sequence[Said]) -> None:
        """Record a turn before its client has the end of it. One that is lost goes out as the client has it."""
        turn, seen = weaver.turn(said)
        if not turn.rounds and not turn.last_calls:
            return
        identity = turns.identity(seen, self._route, self._place)
        self._known.turns[identity] = turn
        try:
            await database.run(turns.store, self._owner, self._root, identity, turn, datetime.now(UTC))
        except (DatabaseError, TimeoutError):
            logger.warning("a turn with lookups of ours could not be recorded; it goes on as the client has it")
