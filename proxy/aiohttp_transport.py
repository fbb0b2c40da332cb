"""httpx's transport interface over aiohttp, with aiohttp's conveniences switched off.

No cookies, no automatic headers, no redirects, no decoding, no rewriting of URLs, no retry of its own, and errors sorted
by the only question that matters to money: can anything have been sent?
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import httpx
import yarl
from aiohttp import hdrs
from multidict import CIMultiDict

KEEPALIVE_S = 30.0
READ_BUFFER_BYTES = 2**17
_NO_AUTO_HEADERS = frozenset((hdrs.USER_AGENT, hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE))


class AiohttpTransport(httpx.AsyncBaseTransport):
    """One pool of connections. Build it inside the running loop."""

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

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and return when the answer's headers are here."""
        url = request.url
        target = request.extensions["target"].decode("latin-1")
        body = getattr(request.stream, "body", None)
        try:
            response = await self._session.request(
                request.method,
                yarl.URL(f"{url.scheme}://{url.netloc.decode('ascii')}{target}", encoded=True),
                headers=CIMultiDict((k.decode("latin-1"), _text(v)) for k, v in request.headers.raw),
                data=body,
                allow_redirects=False,
                proxy=request.extensions["http_proxy"],
            )
        except (aiohttp.ConnectionTimeoutError, aiohttp.ServerTimeoutError, TimeoutError) as exc:
            kind = httpx.ConnectTimeout if isinstance(exc, aiohttp.ConnectionTimeoutError) else httpx.ReadTimeout
            raise kind(str(exc) or "no answer in time") from exc
        except aiohttp.ClientConnectorError as exc:
            raise httpx.ConnectError(str(exc)) from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise httpx.RemoteProtocolError(f"{type(exc).__name__}: {exc}") from exc
        return httpx.Response(response.status, headers=response.raw_headers, stream=_Stream(response))

    async def aclose(self) -> None:
        await self._session.close()


def _text(value: bytes) -> str:
    """A header value as aiohttp turns it back into the same bytes: it writes UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


class _Stream(httpx.AsyncByteStream):
    """The undecoded body, in the pieces in which it arrives."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        content = self._response.content
        try:
            while chunk := await content.readany():
                yield chunk
        except (aiohttp.ServerTimeoutError, TimeoutError) as exc:
            raise httpx.ReadTimeout(str(exc)) from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise httpx.ReadError(f"{type(exc).__name__}: {exc}") from exc

    async def aclose(self) -> None:
        # A body that was read to its end has given its connection back already; any other connection is cut, which is
        # what stops the provider's generation.
        self._response.close()
