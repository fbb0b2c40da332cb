"""The one door to providers.

What carries the bytes is chosen by `HEADROOM_HTTP_TRANSPORT` and loaded when serving begins. None of the HTTP clients'
own conveniences come along: cookies, default headers, redirects and rewritten URLs are nothing a proxy may have.
"""

from __future__ import annotations

import asyncio
import random
import urllib.request
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Protocol
from urllib.parse import urlsplit

import yarl
from django.conf import settings

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

    origin: str
    path_prefix: bytes
    http_proxy: str | None

    @property
    def host(self) -> str:
        """What the `Host` header says."""
        return self.origin.partition("://")[2]


class Response(Protocol):
    """What a transport heard. Iterating gives the undecoded body as it arrives; raises UpstreamBroke, UpstreamTimeout."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Headers: ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def close(self) -> None: ...


class Transport(Protocol):
    """Connections to providers. Built inside the loop that serves."""

    def __init__(self, *, connect_timeout_s: float, read_timeout_s: float) -> None: ...

    async def send(
        self,
        method: str,
        target: Target,
        path_and_query: bytes,
        headers: Headers,
        body: bytes | AsyncIterable[bytes] | None,
    ) -> Response:
        """Send, and return when the answer's headers are here. Raises UpstreamUnreachable, UpstreamBroke, UpstreamTimeout."""

    async def close(self) -> None: ...


@dataclass(slots=True)
class Answer:
    """A provider's answer whose headers are here and whose body is still to come, undecoded."""

    status: int
    headers: Headers
    _response: Response
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
        return self._from_the_start() if self._rest is not None else aiter(self._response)

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
        self._rest = self._rest or aiter(self._response)
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
        await self._response.close()


class Pool:
    """All connections of one worker. Opened when it starts serving, closed when it stops."""

    def __init__(self) -> None:
        self._transport: Transport | None = None
        self._targets: dict[str, Target] = {}

    @property
    def is_open(self) -> bool:
        return self._transport is not None

    async def open(self) -> None:
        """Must run inside the loop that serves."""
        chosen: type[Transport] = import_module(f"proxy.{settings.HTTP_TRANSPORT}_transport").Transport
        self._transport = chosen(
            connect_timeout_s=float(settings.CONNECT_TIMEOUT_S), read_timeout_s=float(settings.REQUEST_TIMEOUT_S)
        )

    async def close(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.close()

    def target(self, base_url: str) -> Target:
        """The parsed address of a provider, remembered."""
        found = self._targets.get(base_url)
        if found is None:
            url = yarl.URL(base_url)
            found = self._targets[base_url] = Target(
                f"{url.scheme}://{url.host_port_subcomponent}",
                urlsplit(base_url).path.encode(),
                _http_proxy(url.scheme, url.host or ""),
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
        length = [(b"content-length", b"%d" % len(body))] if isinstance(body, bytes) else []
        response = await self._transport.send(
            method,
            target,
            target.path_prefix + path_and_query,
            [(b"host", target.host.encode()), *headers, *length],
            body,
        )
        return Answer(response.status, response.headers, response)


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
