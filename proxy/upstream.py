"""The one door to providers, and the only module that knows the HTTP client.

It uses httpx's requests, responses and transport interface, but not its `Client`: the client is where cookies,
default headers, redirects and URL rewriting live, none of which a proxy may have. The transport is our own over aiohttp
(three times cheaper than httpx's), or httpx's with `HEADROOM_HTTP_TRANSPORT=httpx`.
"""

from __future__ import annotations

import asyncio
import random
import urllib.request
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
from django.conf import settings

from proxy.aiohttp_transport import AiohttpTransport
from proxy.values import Headers

HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
RETRYABLE = frozenset((429, 500, 502, 503, 504, 529))
MAX_RETRY_WAIT_S = 20.0
"""A provider that asks for more patience than this is answered by the client, which knows its user."""
BASE_RETRY_WAIT_S = 0.5


class UpstreamUnreachable(Exception):
    """No connection could be made; nothing was sent."""


class UpstreamBroke(Exception):
    """The connection failed after the request, or part of it, was sent: the provider may have worked and billed."""


class UpstreamTimeout(Exception):
    """The provider took the request and did not answer in time."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where one provider lives. `http_proxy` is the outgoing proxy that the environment names for it, if any."""

    base_url: str
    url: httpx.URL
    path_prefix: bytes
    http_proxy: str | None


@dataclass(slots=True)
class Answer:
    """A provider's answer whose headers are here and whose body is still to come, undecoded."""

    status: int
    headers: Headers
    _response: httpx.Response
    _peeked: deque[bytes] = field(default_factory=deque)
    _rest: AsyncIterator[bytes] | None = None
    _failed: Exception | None = None

    def header(self, name: bytes) -> str:
        """The first value of a header, "" when there is none."""
        for key, value in self.headers:
            if key.lower() == name:
                return value.decode("latin-1")
        return ""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._from_the_start() if self._rest is not None else self._unread()

    def _unread(self) -> AsyncIterator[bytes]:
        assert isinstance(self._response.stream, httpx.AsyncByteStream)
        return self._chunks(self._response.stream)

    async def _from_the_start(self) -> AsyncIterator[bytes]:
        while self._peeked:
            yield self._peeked.popleft()
        if self._failed is not None:
            raise self._failed
        assert self._rest is not None
        async for chunk in self._rest:
            yield chunk

    async def peek(self, limit_bytes: int, is_enough: Callable[[bytes], bool] | None = None) -> bytes:
        """The beginning of the body, all of it when it is short; whoever reads the body afterwards gets that again."""
        self._rest = self._rest or self._unread()
        try:
            while sum(map(len, self._peeked)) < limit_bytes:
                if is_enough is not None and is_enough(b"".join(self._peeked)):
                    break
                self._peeked.append(await anext(self._rest))
        except StopAsyncIteration:
            pass
        except (UpstreamBroke, UpstreamTimeout) as exc:
            self._failed = exc
        return b"".join(self._peeked)

    async def _chunks(self, stream: httpx.AsyncByteStream) -> AsyncIterator[bytes]:
        try:
            async for chunk in stream:
                yield chunk
        except httpx.TimeoutException as exc:
            raise UpstreamTimeout(str(exc)) from exc
        except httpx.HTTPError as exc:
            raise UpstreamBroke(f"{type(exc).__name__}: {exc}") from exc

    async def read(self, limit_bytes: int) -> bytes:
        """The body up to a limit; only for answers that will not be relayed."""
        parts: list[bytes] = []
        size = 0
        async for chunk in self:
            parts.append(chunk)
            size += len(chunk)
            if size >= limit_bytes:
                break
        return b"".join(parts)

    async def close(self) -> None:
        """Give the connection back, or cut it when the body was not read to its end."""
        await self._response.aclose()


class Pool:
    """All connections of one worker. Opened when it starts serving, closed when it stops."""

    def __init__(self) -> None:
        self._transport: httpx.AsyncBaseTransport | None = None
        self._targets: dict[str, Target] = {}

    @property
    def is_open(self) -> bool:
        return self._transport is not None

    async def open(self) -> None:
        """Must run inside the loop that serves."""
        timeout_s, connect_s = float(settings.REQUEST_TIMEOUT_S), float(settings.CONNECT_TIMEOUT_S)
        if settings.HTTP_TRANSPORT == "aiohttp":
            self._transport = AiohttpTransport(connect_timeout_s=connect_s, read_timeout_s=timeout_s)
        else:
            self._transport = httpx.AsyncHTTPTransport(
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=200)
            )

    async def close(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.aclose()

    def target(self, base_url: str) -> Target:
        """The parsed address of a provider, remembered."""
        found = self._targets.get(base_url)
        if found is None:
            parts = urlsplit(base_url)
            found = self._targets[base_url] = Target(
                base_url, httpx.URL(base_url), parts.path.encode(), _http_proxy(parts.scheme, parts.hostname or "")
            )
        return found

    async def send(
        self,
        method: str,
        base_url: str,
        path_and_query: bytes,
        headers: Headers,
        body: bytes | AsyncIterable[bytes] | None,
    ) -> Answer:
        """Send one request and return when the answer's headers are here.

        Raises UpstreamUnreachable (nothing was sent), UpstreamTimeout or UpstreamBroke (something was).
        """
        if self._transport is None:
            raise UpstreamUnreachable("this worker is not serving (yet, or any more)")
        target = self.target(base_url)
        host = [(b"host", target.url.netloc)]
        framing = [(b"content-length", b"%d" % len(body))] if isinstance(body, bytes) else []
        if settings.HTTP_TRANSPORT == "httpx" and isinstance(body, AsyncIterable) and not _has_length(headers):
            framing = [(b"transfer-encoding", b"chunked")]  # aiohttp adds it by itself
        request = httpx.Request(
            method,
            target.url,
            headers=host + headers + framing,
            stream=_Body(body) if body is not None else None,
            extensions={
                "target": target.path_prefix + path_and_query,
                "http_proxy": target.http_proxy,
                "timeout": {
                    "connect": settings.CONNECT_TIMEOUT_S,
                    "read": settings.REQUEST_TIMEOUT_S,
                    "write": settings.REQUEST_TIMEOUT_S,
                    "pool": None,
                },
            },
        )
        try:
            response = await self._transport.handle_async_request(request)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as exc:
            raise UpstreamUnreachable(f"{urlsplit(base_url).netloc}: {exc}") from exc
        except httpx.TimeoutException as exc:
            raise UpstreamTimeout(str(exc)) from exc
        except httpx.HTTPError as exc:
            raise UpstreamBroke(f"{type(exc).__name__}: {exc}") from exc
        return Answer(response.status_code, response.headers.raw, response)


class _Body(httpx.AsyncByteStream):
    """A body that is either here already or still arriving from the client."""

    def __init__(self, body: bytes | AsyncIterable[bytes]) -> None:
        self.body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if isinstance(self.body, bytes):
            yield self.body
        else:
            async for chunk in self.body:
                yield chunk


def _has_length(headers: Headers) -> bool:
    return any(key == b"content-length" for key, _ in headers)


def end_to_end(headers: Headers) -> Headers:
    """Header lines without the hop-by-hop ones, those that `Connection` names included."""
    named = {
        name.strip().lower() for key, value in headers if key.lower() == b"connection" for name in value.split(b",")
    }
    dropped = HOP_BY_HOP | named
    return [(lower, value) for key, value in headers if (lower := key.lower()) not in dropped]


def retry_wait_s(answer: Answer, attempt: int) -> float | None:
    """How long to wait before trying again, or `None` when this answer is to be relayed as it is."""
    if answer.status not in RETRYABLE or answer.header(b"x-should-retry").lower() == "false":
        return None
    asked = answer.header(b"retry-after").strip()
    asked_ms = answer.header(b"retry-after-ms").strip()
    try:
        wait_s = float(asked_ms) / 1000 if asked_ms else float(asked) if asked else None
    except ValueError:
        return None  # an HTTP date: clients handle those, and providers of models do not send them
    if wait_s is None:
        return backoff_s(attempt)
    return wait_s if 0 <= wait_s <= MAX_RETRY_WAIT_S else None


def backoff_s(attempt: int) -> float:
    """Exponential, with jitter so that a hundred agents do not come back in step. `attempt` counts from 0."""
    return float(min(8.0, BASE_RETRY_WAIT_S * 2**attempt) * random.uniform(0.75, 1.25))


def _http_proxy(scheme: str, host: str) -> str | None:
    """The proxy that HTTP(S)_PROXY and NO_PROXY name for a host; read once, and never with credentials from .netrc."""
    if urllib.request.proxy_bypass(host):
        return None
    return urllib.request.getproxies().get(scheme)


async def pause(seconds: float) -> None:
    """Wait between two attempts."""
    await asyncio.sleep(seconds)
