"""The client's side of one request: its header lines, and its body as it arrives."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from typing import Any
from urllib.parse import unquote

import brotli
import zstandard

from proxy.values import Exchange

IDLE_UPLOAD_S = 60.0
"""A client that sends nothing for this long while its body is unfinished is given up on."""
MAX_EXPANSION = 200
"""Compressed bodies of text shrink 5- to 20-fold; a bomb shrinks 1000-fold and more."""
STEP_BYTES = 1024 * 1024

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class BodyTooLarge(Exception):
    """More bytes than we take, sent or unpacked."""


class BodyTimeout(Exception):
    """The client stopped sending in the middle of its body."""


class BadEncoding(Exception):
    """The body is not what its Content-Encoding says."""


class ClientGone(Exception):
    """The client hung up before its body was complete."""


class BodyReader:
    """The request's body: read it whole up to a limit, or pass it on piece by piece. Either, once."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._on_finished: Callable[[], None] | None = None
        self.is_finished = False

    def on_finished(self, callback: Callable[[], None]) -> None:
        """Have `callback` called once the last byte is here."""
        self._on_finished = callback

    async def skip(self) -> None:
        """For requests without a body: take note that nothing will come."""
        await self._next()

    async def read(self, limit_bytes: int, declared: str) -> bytes:
        """The whole body. Raises BodyTooLarge as soon as that is certain."""
        if declared.isdigit() and int(declared) > limit_bytes:
            raise BodyTooLarge(f"the request body is {int(declared):,} bytes; the limit is {limit_bytes:,}")
        if self.is_finished:
            return b""
        first = await self._next()
        if self.is_finished:
            return first
        parts, size = [first], len(first)
        async for chunk in self:
            parts.append(chunk)
            size += len(chunk)
            if size > limit_bytes:
                raise BodyTooLarge(f"the request body is longer than the limit of {limit_bytes:,} bytes")
        return b"".join(parts)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while not self.is_finished:
            yield await self._next()

    async def _next(self) -> bytes:
        try:
            async with asyncio.timeout(IDLE_UPLOAD_S):
                message = await self._receive()
        except TimeoutError as exc:
            raise BodyTimeout(f"no byte of the request body came for {IDLE_UPLOAD_S:.0f} s") from exc
        if message["type"] == "http.disconnect":
            self.is_finished = True
            raise ClientGone
        if not message.get("more_body", False):
            self.is_finished = True
            finished, self._on_finished = self._on_finished, None
            if finished is not None:
                finished()
        return bytes(message.get("body", b""))

    async def wait_for_hang_up(self) -> None:
        """Return when the client has closed its connection."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


def from_scope(scope: MutableMapping[str, Any]) -> Exchange:
    """The request line and header lines of an ASGI scope."""
    raw_path = scope.get("raw_path") or scope["path"].encode()
    query = scope.get("query_string", b"")
    client = scope.get("client")
    return Exchange(
        method=scope["method"],
        path=decoded(raw_path),
        target=raw_path + b"?" + query if query else raw_path,
        headers=list(scope["headers"]),
        peer=client[0] if client else "",
        started=time.perf_counter(),
    )


def decoded(raw_path: bytes) -> str:
    """A path without its percent signs."""
    return unquote(raw_path.decode("latin-1")) if b"%" in raw_path else raw_path.decode("latin-1")


def unpack(body: bytes, encoding: str, limit_bytes: int) -> bytes:
    """Undo a Content-Encoding (several, comma-separated, in order), never into more than the limit."""
    for name in reversed([part.strip().lower() for part in encoding.split(",") if part.strip()]):
        bound = min(limit_bytes, max(len(body) * MAX_EXPANSION, 1024 * 1024))
        parts: list[bytes] = []
        size = 0
        try:
            for part in _unpacked(body, name):
                parts.append(part)
                size += len(part)
                if size > bound:
                    raise BodyTooLarge(f"the request body unpacks to more than {bound:,} bytes")
        except (zlib.error, brotli.error, zstandard.ZstdError, EOFError) as exc:
            raise BadEncoding(f"the request body is not valid {name}") from exc
        body = b"".join(parts)
    return body


def _unpacked(body: bytes, name: str) -> Iterator[bytes]:
    """Unpack in steps of bounded size, so that a bomb is noticed before it went off."""
    if name in ("gzip", "x-gzip", "deflate"):
        yield from _inflated(body, name)
    elif name == "br":
        decoder = brotli.Decompressor()
        yield decoder.process(body, output_buffer_limit=STEP_BYTES)
        while not decoder.is_finished():
            part = decoder.process(b"", output_buffer_limit=STEP_BYTES)
            if not part:
                raise EOFError
            yield part
    elif name == "zstd":
        with zstandard.ZstdDecompressor().stream_reader(body) as reader:
            while part := reader.read(STEP_BYTES):
                yield part
    elif name == "identity":
        yield body
    else:
        raise BadEncoding(f"Content-Encoding {name!r} is not supported; use gzip, deflate, br or zstd")


def _inflated(body: bytes, name: str) -> Iterator[bytes]:
    wbits = zlib.MAX_WBITS | 16 if name != "deflate" else zlib.MAX_WBITS if _is_zlib(body) else -zlib.MAX_WBITS
    decoder = zlib.decompressobj(wbits)
    while True:
        part = decoder.decompress(body, STEP_BYTES)
        yield part
        body = decoder.unconsumed_tail
        if decoder.eof:
            return
        if not part and not body:
            raise EOFError


def _is_zlib(start: bytes) -> bool:
    """`deflate` means zlib by the standard and raw deflate by custom; the first byte tells them apart."""
    return bool(start) and start[0] & 0x0F == 8 and start[0] >> 4 <= 7


def decoder_for(encoding: str) -> Callable[[bytes], bytes] | None:
    """An incremental decoder for one Content-Encoding, or `None` for an unknown one."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return bytes
    if name in ("gzip", "x-gzip"):
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress
    if name == "deflate":
        return _Deflate()
    if name == "br":
        return brotli.Decompressor().process  # type: ignore[no-any-return]
    if name == "zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress
    return None


class _Deflate:
    """Decodes `deflate` once its first byte has shown which of the two it is."""

    def __init__(self) -> None:
        self._decoder: Any = None

    def __call__(self, chunk: bytes) -> bytes:
        if self._decoder is None and chunk:
            self._decoder = zlib.decompressobj(zlib.MAX_WBITS if _is_zlib(chunk) else -zlib.MAX_WBITS)
        return self._decoder.decompress(chunk) if self._decoder is not None else b""
