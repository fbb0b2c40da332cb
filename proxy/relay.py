"""Pass a provider's answer on to the client, feed the meter, and settle exactly once, however it ends."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from headroom import tokens
from proxy import exchange, upstream
from proxy.accounting.books import Entry
from proxy.values import Meter, Reading
from savings.journal import Journal, JournalUnwritable
from savings.observability.bodies import Bodies
from savings.receipts import Settlement, Status

logger = logging.getLogger(__name__)


class ChunkFilter(Protocol):
    """Takes out of a decoded stream what the client did not ask for."""

    def feed(self, chunk: bytes) -> bytes: ...

    def flush(self) -> bytes: ...


class Recorder(Protocol):
    """Takes down what the client gets, decoded."""

    def feed(self, chunk: bytes) -> None: ...

    def spoil(self) -> None: ...

    def end(self, reading: Reading) -> None: ...


class Ticket:
    """One upstream call that was admitted and has to be settled: once, by whoever sees its end first.

    `entry` is its account; without one, `basis` says why its saving is not known.
    """

    def __init__(
        self, journal: Journal, call_id: str, request_started: float, entry: Entry | None = None, basis: str = ""
    ) -> None:
        self._journal = journal
        self._entry, self._basis = entry, basis
        self.call_id = call_id
        self._request_started = request_started
        self._sent_at = time.perf_counter()
        self._first_byte_at: float | None = None
        self.bodies: Bodies | None = None
        """Takes what goes by, if prompts and answers are to be kept."""
        self.is_settled = False

    def note(self) -> None:
        """Size the request up for its account: when it is on its way, so that nobody waits for it."""
        if self._entry is not None:
            self._entry.note()

    def first_byte(self) -> None:
        """The provider has begun to answer."""
        self._first_byte_at = time.perf_counter()

    def settle(
        self,
        status: Status,
        *,
        http_status: int | None = None,
        reading: Reading | None = None,
        provider_request_id: str = "",
        error: str = "",
    ) -> None:
        """Write the settlement; later calls do nothing."""
        if self.is_settled:
            return
        self.is_settled = True
        now = time.perf_counter()
        reading = reading or Reading()
        reckoning = self._entry.settle(reading.usage) if self._entry is not None and status != "void" else None
        needs_count = reading.usage.output is None and bool(reading.text)
        settlement = Settlement(
            call_id=self.call_id,
            settled_at=time.time(),
            status=status,
            http_status=http_status,
            model=reading.model,
            tier=reading.tier,
            usage=reading.usage,
            estimated_output=tokens.count(reading.text) if needs_count else None,
            latency_ms=1000 * (now - self._request_started),
            overhead_ms=1000 * (self._sent_at - self._request_started),
            ttfb_ms=None if self._first_byte_at is None else 1000 * (self._first_byte_at - self._sent_at),
            provider_request_id=provider_request_id,
            error=error[:300],
            counterfactual=reckoning.other if reckoning is not None else None,
            savings_basis=reckoning.basis if reckoning is not None else self._basis,
            cache_outcome=reckoning.cache_outcome if reckoning is not None else "",
        )
        try:
            self._journal.settle(settlement)
        except JournalUnwritable:
            logger.exception("call %s could not be written to the journal", self.call_id)


class Relay:
    """The body of one answer on its way to the client: an iterator with a `close` that may be called at any time.

    The client gets the provider's bytes piece by piece as they come. `decode` and `meter` look over their shoulder; with
    a `filtered` stream the client gets the decoded and filtered bytes instead. `has_unknown_end`: nobody knows how streams
    of this route end, so that the connection's end stands for it. A `recorder` hears of whole answers.
    """

    def __init__(
        self,
        answer: upstream.Answer,
        ticket: Ticket,
        meter: Meter,
        *,
        chunk_filter: ChunkFilter | None = None,
        recorder: Recorder | None = None,
        has_unknown_end: bool = False,
    ) -> None:
        self._answer = answer
        self._source: AsyncIterator[bytes] = aiter(answer)
        self._ticket = ticket
        self._meter = meter
        self._decode: Callable[[bytes], bytes] | None = exchange.decoder_for(answer.header(b"content-encoding"))
        self._filter = chunk_filter
        self._recorder = recorder
        self._is_event_stream = answer.header(b"content-type").startswith("text/event-stream")
        self._has_unknown_end = has_unknown_end and self._is_event_stream
        self._is_unreadable = False

    def __aiter__(self) -> Relay:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await anext(self._source)
        except StopAsyncIteration:
            if held := self._held_back():
                return held
            await self._end()
            raise
        except (upstream.UpstreamBroke, upstream.UpstreamTimeout) as exc:
            self._settle("partial", str(exc))
            await self._answer.close()
            if held := self._held_back():
                self._source = _raising(exc)
                return held
            raise
        return self._passed(chunk)

    def _passed(self, chunk: bytes) -> bytes:
        if self._filter is None:
            decoded = self._decoded(chunk)
            self._observe(decoded)
            self._record(decoded)
            return chunk
        decoded = self._decoded(chunk)
        if self._decode is None:
            raise upstream.UpstreamBroke("the answer is not in the encoding that it claims")
        self._observe(decoded)
        passed = self._filter.feed(decoded)
        self._record(passed)
        return passed

    def _held_back(self) -> bytes:
        held = self._filter.flush() if self._filter is not None else b""
        self._record(held)
        return held

    def _record(self, decoded: bytes) -> None:
        if self._recorder is not None:
            if self._decode is None or self._is_unreadable:
                self._recorder.spoil()
            self._recorder.feed(decoded)

    def _decoded(self, chunk: bytes) -> bytes:
        if self._decode is None:
            return b""
        try:
            return self._decode(chunk)
        except Exception as exc:  # noqa: BLE001 - each codec has errors of its own
            logger.warning("an answer is not in the encoding that it claims (%s); its usage is not read", exc)
            self._decode = None
            return b""

    def _observe(self, decoded: bytes) -> None:
        if decoded and self._ticket.bodies is not None:
            self._ticket.bodies.answer(decoded)
        if not decoded or self._is_unreadable:
            return
        try:
            self._meter.feed(decoded)
        except Exception:
            logger.exception("an answer could not be read; it is relayed without its usage")
            self._is_unreadable = True

    def _reading(self) -> Reading:
        try:
            return self._meter.reading()
        except Exception:
            logger.exception("the account of an answer could not be read; it is settled without")
            return Reading(is_complete=True)

    async def _end(self) -> None:
        reading = self._reading()
        is_whole = reading.is_complete or self._answer.status >= 400 or self._has_unknown_end
        if is_whole and self._recorder is not None:
            self._recorder.end(reading)
        self._settle(
            "complete" if is_whole else "partial", "" if is_whole else "ended without its closing event", reading
        )
        await self._answer.close()

    async def close(self) -> None:
        """Abort: cut the connection to the provider, which stops its work, and settle what was relayed."""
        if self._ticket.is_settled:
            return
        reading = self._reading()
        # Clients leave as soon as they have read the closing event; nothing was cut short then.
        is_whole = reading.is_complete and self._is_event_stream
        self._settle("complete" if is_whole else "partial", "" if is_whole else "the client hung up", reading)
        await self._answer.close()

    def _settle(self, status: Status, error: str, reading: Reading | None = None) -> None:
        self._ticket.settle(
            status,
            http_status=self._answer.status,
            reading=reading or self._reading(),
            provider_request_id=provider_request_id(self._answer),
            error=error,
        )


async def _raising(exc: Exception) -> AsyncIterator[bytes]:
    """A source that has nothing more to give than this."""
    raise exc
    yield b""


def provider_request_id(answer: upstream.Answer) -> str:
    """The provider's own name for the call, for its support desk."""
    return (answer.header(b"request-id") or answer.header(b"x-request-id"))[:100]
