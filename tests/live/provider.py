"""A provider on a real port that does what a test says, and remembers every byte that it was sent.

It speaks HTTP/1.1 by hand, on purpose: a framework would tidy up header lines, targets and broken requests before a test
could see them, and would not let one break off where a test wants it to.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.live import answers
from tests.live.answers import Answer, End, Pause, Until

MAX_HEAD_BYTES = 256 * 1024
WAIT_S = 120.0


@dataclass(slots=True)
class Received:
    """One request as it came: header names and target in the very spelling of the wire, the body without its framing."""

    method: str
    target: bytes
    header_lines: list[tuple[bytes, bytes]]
    connection: int
    body: bytes = b""
    trailer: bytes = b""
    arrived_at: float = field(default_factory=time.perf_counter)
    is_left: bool = False
    """Whether the other side cut the connection before the answer was complete."""
    answered_bytes: int = 0

    @property
    def path(self) -> str:
        return self.target.partition(b"?")[0].decode("latin-1")

    def lines(self, *, but: tuple[bytes, ...] = ()) -> list[tuple[bytes, bytes]]:
        """The header lines in order, names in lower case, without those that concern the connection alone."""
        ignored = (b"host", b"connection", b"content-length", *but)
        return [(key.lower(), value) for key, value in self.header_lines if key.lower() not in ignored]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """The only value of a header; None when there is none."""
        values = [value for key, value in self.header_lines if key.lower() == name.lower().encode()]
        assert len(values) < 2, f"{name} came {len(values)} times"
        return values[0].decode("latin-1") if values else None


Script = Callable[[Received], Answer]


class BadProtocol(Exception):
    """What came is not the HTTP/1.1 that a careful server takes."""


class Provider:
    """Runs in a thread of its own until it is closed. Answers come from `answers` first, then from `script`."""

    def __init__(self, port: int = 0) -> None:
        self.requests: list[Received] = []
        self.violations: list[str] = []
        self.answers: deque[Answer | Script] = deque()
        self.script: Script = default_answer
        self._changed = threading.Condition()
        self._connections = 0
        self._loop = asyncio.new_event_loop()
        self._socket = socket.create_server(("127.0.0.1", port), backlog=512)
        # Inherited by its connections; asyncio leaves it out for sockets made elsewhere, and then each body waits 40 ms.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._thread = threading.Thread(target=self._run, name="provider", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def last(self) -> Received:
        return self.requests[-1]

    def reset(self) -> None:
        """Forget what came and what was to be said."""
        self.requests, self.violations = [], []
        self.answers.clear()
        self.script = default_answer

    def say(self, *scripted: Answer | Script) -> None:
        """Queue answers for the next requests."""
        self.answers.extend(scripted)

    def wait_until(self, is_true: Callable[[], bool], timeout_s: float = WAIT_S) -> None:
        """Return as soon as something that a request or its end changes is so."""
        with self._changed:
            assert self._changed.wait_for(is_true, timeout_s), "the provider waited in vain"

    def close(self) -> None:
        def stop() -> None:
            for task in asyncio.all_tasks(self._loop):
                task.cancel()

        self._loop.call_soon_threadsafe(stop)
        self._thread.join(WAIT_S)
        self._socket.close()

    # Everything below runs in the thread.

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner, contextlib.suppress(asyncio.CancelledError):
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._talk, sock=self._socket, limit=MAX_HEAD_BYTES)
        async with server:
            await server.serve_forever()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        number = self._connections
        try:
            while (received := await self._read(reader, number)) is not None:
                with self._changed:
                    self.requests.append(received)
                    self._changed.notify_all()
                next_answer = self.answers.popleft() if self.answers else self.script
                answer = next_answer(received) if callable(next_answer) else next_answer
                if not await self._play(answer, received, reader, writer):
                    break
        except BadProtocol as exc:
            self.violations.append(str(exc))
            writer.write(answers.head(400, [("Content-Length", "0"), ("Connection", "close")]))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader, number: int) -> Received | None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        received = _parse_head(head, number)
        names = [key.lower() for key, _ in received.header_lines]
        if names.count(b"host") != 1:
            raise BadProtocol(f"{names.count(b'host')} Host lines")
        lengths = [value for key, value in received.header_lines if key.lower() == b"content-length"]
        codings = [value for key, value in received.header_lines if key.lower() == b"transfer-encoding"]
        if len(lengths) > 1 or (lengths and codings):
            raise BadProtocol(f"ambiguous framing: {lengths} {codings}")
        if codings:
            if codings != [b"chunked"]:
                raise BadProtocol(f"transfer coding {codings}")
            received.body = await _dechunked(reader)
        elif lengths:
            if not lengths[0].isdigit():
                raise BadProtocol(f"Content-Length {lengths[0]!r}")
            received.body = await reader.readexactly(int(lengths[0]))
        return received

    async def _play(
        self, answer: Answer, received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Write an answer; True when the connection may serve another request."""
        playing = asyncio.ensure_future(self._write(answer, received, writer))
        leaving = asyncio.ensure_future(reader.read(1))
        await asyncio.wait((playing, leaving), return_when=asyncio.FIRST_COMPLETED)
        # Only a hang-up may come while we speak: clients do not send the next request before the answer's end.
        is_whole = playing.done() and playing.exception() is None
        for task in (playing, leaving):
            task.cancel()
        await asyncio.gather(playing, leaving, return_exceptions=True)
        if is_whole:
            return playing.result()
        with self._changed:
            received.is_left = True
            self._changed.notify_all()
        return False

    async def _write(self, answer: Answer, received: Received, writer: asyncio.StreamWriter) -> bool:
        for piece in answer:
            if isinstance(piece, bytes):
                writer.write(piece)
                await writer.drain()
                received.answered_bytes += len(piece)
            elif isinstance(piece, Pause):
                await asyncio.sleep(piece.seconds)
            elif isinstance(piece, Until):
                while not piece.is_true():  # noqa: ASYNC110 - a test's thread makes it true
                    await asyncio.sleep(0.002)
            elif piece is End.FOREVER:
                await asyncio.Event().wait()
            else:
                if piece is End.RESET:
                    linger = struct.pack("ii", 1, 0)
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                return False
        return True


def default_answer(received: Received) -> Answer:
    """What a provider says on a good day, in the dialect of the path and streaming if asked to."""
    document = _document(received.body)
    is_streaming = document.get("stream") is True
    path = received.path.rstrip("/")
    if path.endswith("/messages"):
        return answers.chunked(answers.message_events()) if is_streaming else answers.json_answer(answers.message())
    if path.endswith("/messages/count_tokens"):
        return answers.json_answer({"input_tokens": 42})
    if path.endswith("/chat/completions"):
        options = document.get("stream_options")
        has_usage = isinstance(options, dict) and options.get("include_usage") is True
        return (
            answers.chunked(answers.chat_events(has_usage=has_usage))
            if is_streaming
            else answers.json_answer(answers.completion())
        )
    if path.endswith("/responses"):
        return answers.chunked(answers.response_events()) if is_streaming else answers.json_answer(answers.response())
    if path.endswith("/embeddings"):
        vector = {"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}
        usage = {"prompt_tokens": 8, "total_tokens": 8}
        return answers.json_answer(
            {"object": "list", "data": [vector], "model": "text-embedding-3-small", "usage": usage}
        )
    if received.method == "HEAD":
        return [answers.head(200, [("Content-Length", "0")])]
    return answers.json_answer({"path": path, "method": received.method})


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _parse_head(head: bytes, number: int) -> Received:
    request_line, *lines = head[:-4].split(b"\r\n")
    parts = request_line.split(b" ")
    if len(parts) != 3 or parts[2] != b"HTTP/1.1":
        raise BadProtocol(f"request line {request_line!r}")
    header_lines = []
    for line in lines:
        key, found, value = line.partition(b":")
        if not found or not key or key != key.strip() or line[:1] in b" \t":
            raise BadProtocol(f"header line {line!r}")
        header_lines.append((key, value.strip(b" \t")))
    return Received(parts[0].decode("ascii"), parts[1], header_lines, number)


async def _dechunked(reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    while True:
        size_line = await reader.readuntil(b"\r\n")
        try:
            size = int(size_line.split(b";")[0], 16)
        except ValueError:
            raise BadProtocol(f"chunk size {size_line!r}") from None
        if size == 0:
            if await reader.readuntil(b"\r\n") != b"\r\n":
                raise BadProtocol("a trailer")
            return b"".join(parts)
        parts.append(await reader.readexactly(size))
        if await reader.readexactly(2) != b"\r\n":
            raise BadProtocol("a chunk without its end")


@contextlib.contextmanager
def running(port: int = 0) -> Iterator[Provider]:
    """A provider for the length of a block. A test that made it see broken HTTP fails here."""
    provider = Provider(port)
    try:
        yield provider
    finally:
        provider.close()
