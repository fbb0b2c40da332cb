"""A client that sends exactly the bytes it is given, and notes what came back when."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

TIMEOUT_S = 60.0


@dataclass(slots=True)
class Heard:
    """An answer. `body` is without chunk framing; `is_whole` says that it ended as its framing announced."""

    status: int = 0
    header_lines: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    is_whole: bool = False
    arrivals: list[tuple[float, bytes]] = field(default_factory=list)
    """(seconds since the request was sent, bytes) for each piece of the body, as it came."""

    def header(self, name: bytes) -> bytes | None:
        values = [value for key, value in self.header_lines if key.lower() == name]
        assert len(values) < 2, f"{name!r} came {len(values)} times"
        return values[0] if values else None

    def lines(self) -> list[tuple[bytes, bytes]]:
        """Header lines in order, names in lower case, without framing and without those that the proxy adds."""
        ignored = (b"transfer-encoding", b"connection")
        return [
            (key.lower(), value)
            for key, value in self.header_lines
            if key.lower() not in ignored and not key.lower().startswith(b"x-headroom-")
        ]


def request(
    method: str = "POST",
    target: bytes = b"/v1/messages",
    lines: Iterable[tuple[bytes, bytes]] = (),
    body: bytes | None = b"{}",
    host: bytes = b"127.0.0.1",
) -> bytes:
    """The bytes of a request with just these header lines (and a length)."""
    head = method.encode() + b" " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\n"
    head += b"".join(key + b": " + value + b"\r\n" for key, value in lines)
    if body is not None:
        head += b"Content-Length: %d\r\n" % len(body)
    return head + b"\r\n" + (body or b"")


class Connection:
    """One connection. Closed by the block that opened it."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self.socket = socket.create_connection((parts.hostname, parts.port or 80), timeout=TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def reset(self) -> None:
        """Hang up at once, with an RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        self.socket.close()

    def hear(self, *, has_body: bool = True) -> Heard:
        """The next answer, to its end or to the end of the connection."""
        started = time.perf_counter()
        heard = self.hear_head()
        with contextlib.suppress(ConnectionError):
            for piece in self.pieces(heard) if has_body else ():
                heard.arrivals.append((time.perf_counter() - started, piece))
        heard.body = b"".join(piece for _, piece in heard.arrivals)
        return heard

    def hear_head(self) -> Heard:
        """The status line and header lines; an answer of 0 when the connection ended before them."""
        head = self._until(b"\r\n\r\n")
        if head is None:
            return Heard()
        first, *lines = head[:-4].split(b"\r\n")
        heard = Heard(status=int(first.split(b" ")[1]))
        for line in lines:
            key, _, value = line.partition(b":")
            heard.header_lines.append((key, value.strip()))
        return heard

    def hear_until(self, heard: Heard, size: int) -> bytes:
        """The body of an answer up to so many bytes, however it was cut."""
        body = b""
        for piece in self.pieces(heard):
            body += piece
            if len(body) >= size:
                break
        return body

    def pieces(self, heard: Heard) -> Iterator[bytes]:
        """The body piece by piece: each chunk, or whatever the socket gives."""
        if heard.header(b"transfer-encoding") == b"chunked":
            yield from self._chunks(heard)
        elif (length := heard.header(b"content-length")) is not None:
            yield from self._counted(heard, int(length))

    def _counted(self, heard: Heard, length: int) -> Iterator[bytes]:
        while length:
            piece = self._some(length)
            if not piece:
                return
            length -= len(piece)
            yield piece
        heard.is_whole = True

    def _chunks(self, heard: Heard) -> Iterator[bytes]:
        while (size_line := self._until(b"\r\n")) is not None:
            size = int(size_line, 16)
            data = self._exactly(size + 2)
            if data is None:
                return
            if size == 0:
                heard.is_whole = True
                return
            yield data[:-2]

    def _until(self, mark: bytes) -> bytes | None:
        while mark not in self._rest:
            if not self._fill():
                return None
        end = self._rest.index(mark) + len(mark)
        found, self._rest = self._rest[:end], self._rest[end:]
        return found

    def _exactly(self, size: int) -> bytes | None:
        while len(self._rest) < size:
            if not self._fill():
                return None
        found, self._rest = self._rest[:size], self._rest[size:]
        return found

    def _some(self, at_most: int) -> bytes:
        if not self._rest and not self._fill():
            return b""
        found, self._rest = self._rest[:at_most], self._rest[at_most:]
        return found

    def _fill(self) -> bool:
        received = self.socket.recv(65536)
        self._rest += received
        return bool(received)


@contextlib.contextmanager
def connected(url: str) -> Iterator[Connection]:
    connection = Connection(url)
    try:
        yield connection
    finally:
        connection.close()


def ask(url: str, data: bytes, *, has_body: bool = True) -> Heard:
    """One request on a connection of its own."""
    with connected(url) as connection:
        connection.send(data)
        return connection.hear(has_body=has_body)
