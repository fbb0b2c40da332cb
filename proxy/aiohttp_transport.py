"""Requests to providers by aiohttp, with its conveniences switched off.

No cookies, no automatic headers, no redirects, no decoding, no rewriting of URLs, no retry of its own, and errors sorted
by the only question that matters to money: can anything have been sent?
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator

import aiohttp
import yarl
from aiohttp import hdrs
from multidict import CIMultiDict

from proxy.upstream import Target, UpstreamBroke, UpstreamTimeout, UpstreamUnreachable
from proxy.values import Headers

KEEPALIVE_S = 30.0
READ_BUFFER_BYTES = 2**17
_BEFORE_ANYTHING_WAS_WRITTEN = "Cannot write to closing transport"
"""What aiohttp says where the other side had closed a kept connection by the time that the request was to go out. Lines and
body go out together, so that nothing of either did."""
_NO_AUTO_HEADERS = frozenset((hdrs.USER_AGENT, hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE))


class Transport:
    """One pool of connections."""

    def __init__(self, *, connect_timeout_s: float, read_timeout_s: float) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=60, keepalive_timeout=KEEPALIVE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout_s, sock_read=read_timeout_s),
            read_bufsize=READ_BUFFER_BYTES,
            skip_auto_headers=_NO_AUTO_HEADERS,
        )
        # Else it would send a GET or DELETE again when a kept connection breaks, and count two calls as one.
        self._session._retry_connection = False

    async def send(
        self,
        method: str,
        target: Target,
        path_and_query: bytes,
        headers: Headers,
        body: bytes | AsyncIterable[bytes] | None,
    ) -> Response:
        try:
            response = await self._session.request(
                method,
                yarl.URL(target.origin + path_and_query.decode("latin-1"), encoded=True),
                headers=CIMultiDict((name.decode("latin-1"), _text(value)) for name, value in headers),
                data=body,
                allow_redirects=False,
                proxy=target.http_proxy,
            )
        except aiohttp.ConnectionTimeoutError as exc:
            raise UpstreamUnreachable(f"{target.host}: {exc or 'no connection in time'}") from exc
        except (aiohttp.ServerTimeoutError, TimeoutError) as exc:
            raise UpstreamTimeout(str(exc) or "no answer in time") from exc
        except aiohttp.ClientConnectorError as exc:
            raise UpstreamUnreachable(f"{target.host}: {exc}") from exc
        except (aiohttp.ClientError, OSError) as exc:
            if isinstance(body, bytes) and str(exc.__cause__) == _BEFORE_ANYTHING_WAS_WRITTEN:
                raise UpstreamUnreachable(f"{target.host}: it had closed the connection") from exc
            raise UpstreamBroke(f"{type(exc).__name__}: {exc}") from exc
        return Response(response)

    async def close(self) -> None:
        await self._session.close()


class Response:
    """An answer, and its undecoded body in the pieces in which it arrives."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Headers = list(response.raw_headers)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        content = self._response.content
        try:
            while chunk := await content.readany():
                yield chunk
        except (aiohttp.ServerTimeoutError, TimeoutError) as exc:
            raise UpstreamTimeout(str(exc)) from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise UpstreamBroke(f"{type(exc).__name__}: {exc}") from exc

    async def close(self) -> None:
        # A body that was read to its end has given its connection back already; any other connection is cut, which is
        # what stops the provider's generation.
        self._response.close()


def _text(value: bytes) -> str:
    """A header value as aiohttp turns it back into the same bytes: it writes UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
