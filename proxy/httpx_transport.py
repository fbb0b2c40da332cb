"""Requests to providers by httpx's own transport: its `Client` is where cookies, default headers and redirects live."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator

import httpx

from proxy.upstream import Target, UpstreamBroke, UpstreamTimeout, UpstreamUnreachable
from proxy.values import Headers


class Transport:
    """One pool of connections."""

    def __init__(self, *, connect_timeout_s: float, read_timeout_s: float) -> None:
        self._transport = httpx.AsyncHTTPTransport(
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=200)
        )
        self._timeouts = {"connect": connect_timeout_s, "read": read_timeout_s, "write": read_timeout_s, "pool": None}

    async def send(
        self,
        method: str,
        target: Target,
        path_and_query: bytes,
        headers: Headers,
        body: bytes | AsyncIterable[bytes] | None,
    ) -> Response:
        if isinstance(body, AsyncIterable) and not any(name == b"content-length" for name, _ in headers):
            headers = [*headers, (b"transfer-encoding", b"chunked")]
        request = httpx.Request(
            method,
            target.origin,
            headers=headers,
            stream=_Body(body) if body is not None else None,
            extensions={"target": path_and_query, "timeout": self._timeouts},
        )
        try:
            return Response(await self._transport.handle_async_request(request))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as exc:
            raise UpstreamUnreachable(f"{target.host}: {exc}") from exc
        except httpx.TimeoutException as exc:
            raise UpstreamTimeout(str(exc)) from exc
        except httpx.HTTPError as exc:
            raise UpstreamBroke(f"{type(exc).__name__}: {exc}") from exc

    async def close(self) -> None:
        await self._transport.aclose()


class Response:
    """An answer, and its undecoded body in the pieces in which it arrives."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers: Headers = response.headers.raw

    async def __aiter__(self) -> AsyncIterator[bytes]:
        assert isinstance(self._response.stream, httpx.AsyncByteStream)
        try:
            async for chunk in self._response.stream:
                yield chunk
        except httpx.TimeoutException as exc:
            raise UpstreamTimeout(str(exc)) from exc
        except httpx.HTTPError as exc:
            raise UpstreamBroke(f"{type(exc).__name__}: {exc}") from exc

    async def close(self) -> None:
        await self._response.aclose()


class _Body(httpx.AsyncByteStream):
    """A body that is either here already or still arriving from the client."""

    def __init__(self, body: bytes | AsyncIterable[bytes]) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if isinstance(self._body, bytes):
            yield self._body
        else:
            async for chunk in self._body:
                yield chunk
