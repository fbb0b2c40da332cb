"""A load generator that is itself cheap: keep-alive connections over a bare HTTP parser, no task per request."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urlsplit

import httptools
import uvloop


@dataclass(frozen=True, slots=True)
class Load:
    """What came of a load: requests per second, and the milliseconds of each request, sorted."""

    per_s: float
    latencies_ms: list[float]
    headers: dict[str, str]
    """The header lines of the last answer."""

    def percentile_ms(self, share: float) -> float:
        """The latency that a `share` (0–1) of the requests did not exceed."""
        return self.latencies_ms[min(len(self.latencies_ms) - 1, int(share * len(self.latencies_ms)))]


class Failed(RuntimeError):
    """An answer was not 200, or a connection broke."""


@dataclass(frozen=True, slots=True)
class _Plan:
    requests: int
    connections: int
    path: str
    per_s: float | None
    headers: Mapping[str, str]


def run(
    url: str,
    bodies: Sequence[bytes],
    *,
    requests: int,
    connections: int,
    path: str = "/v1/messages",
    per_s: float | None = None,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Load:
    """Send `requests` requests, taking turns over `bodies`, as fast as `connections` clients can that wait for each answer.

    With `per_s` they come at that pace whatever becomes of the earlier ones, and latency counts from when each was due.
    """
    return uvloop.run(_run(url, bodies, _Plan(requests, connections, path, per_s, headers)))


async def _run(url: str, bodies: Sequence[bytes], plan: _Plan) -> Load:
    place = urlsplit(url)
    more = "".join(f"{name}: {value}\r\n" for name, value in plan.headers.items())
    head = (
        f"POST {plan.path} HTTP/1.1\r\nhost: {place.netloc}\r\ncontent-type: application/json\r\nx-api-key: sk-ant-benchmark\r\n"
        "anthropic-version: 2023-06-01\r\nuser-agent: headroom-benchmark\r\n" + more + "content-length: "
    ).encode()
    queue = _Queue([head + str(len(body)).encode() + b"\r\n\r\n" + body for body in bodies], plan.requests, plan.per_s)
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    for _ in range(plan.connections):
        await loop.create_connection(lambda: _Client(queue), place.hostname or "127.0.0.1", place.port or 80)
    if plan.per_s:
        await queue.dispatch(plan.per_s)
    await queue.finished
    elapsed = time.perf_counter() - started
    return Load(plan.requests / elapsed, sorted(queue.latencies_ms), queue.headers)


class _Queue:
    def __init__(self, messages: list[bytes], requests: int, per_s: float | None) -> None:
        self._is_paced = per_s is not None
        self._due: deque[float] = deque()
        self._idle: list[_Client] = []
        self._messages = messages
        self._requests = requests
        self._sent = 0
        self._unanswered = requests
        self.latencies_ms: list[float] = []
        self.headers: dict[str, str] = {}
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(self, client: _Client) -> tuple[bytes, float] | None:
        """The next request and when it was due, or `None`: when there is none now the client is told, or may go."""
        if self._sent == self._requests or self.finished.done():
            client.leave()
            return None
        if self._is_paced and not self._due:
            self._idle.append(client)
            return None
        self._sent += 1
        due = self._due.popleft() if self._is_paced else time.perf_counter()
        return self._messages[(self._sent - 1) % len(self._messages)], due

    async def dispatch(self, per_s: float) -> None:
        """Have requests sent at a pace."""
        started = time.perf_counter()
        for number in range(self._requests):
            due = started + number / per_s
            if (early_s := due - time.perf_counter()) > 0:
                await asyncio.sleep(early_s)
            if self.finished.done():
                return
            self._due.append(due)
            if self._idle:
                self._idle.pop().send()

    def answered(self, latency_ms: float) -> None:
        self.latencies_ms.append(latency_ms)
        self._unanswered -= 1
        if self._unanswered == 0 and not self.finished.done():
            self.finished.set_result(None)

    def failed(self, reason: str) -> None:
        if not self.finished.done():
            self.finished.set_exception(Failed(reason))


class _Client(asyncio.Protocol):
    def __init__(self, queue: _Queue) -> None:
        self._queue = queue

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self.send()

    def leave(self) -> None:
        """There is nothing more to send."""
        self._transport.close()

    def send(self) -> None:
        """Send the next request, if there is one."""
        taken = self._queue.take(self)
        if taken is None:
            return
        message, self._sent = taken
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._start = b""
        self._transport.write(message)

    def data_received(self, data: bytes) -> None:
        if not self._start:
            self._start = data[:500]
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode()

    def on_message_complete(self) -> None:
        latency_ms = 1000 * (time.perf_counter() - self._sent)
        if self._parser.get_status_code() != 200:
            self._queue.failed(f"an answer was not 200: {self._start!r}")
            self._transport.close()
            return
        self._queue.headers = self._headers
        self._queue.answered(latency_ms)
        self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._queue.finished.done() and not self._transport.is_closing():
            self._queue.failed(f"a connection broke: {exc}")
