"""Headers that every page of ours carries."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from inspect import iscoroutinefunction
from typing import cast

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

GetResponse = Callable[[HttpRequest], HttpResponseBase] | Callable[[HttpRequest], Awaitable[HttpResponseBase]]

PARTS_AT_A_TIME = 500
HEADERS = {
    # Everything comes from this server and from files of its own: no inline script or style, no frame, no plugin.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@sync_and_async_middleware
def page_headers(get_response: GetResponse) -> GetResponse:
    """Add the headers to whatever comes out. Stock middleware adds nosniff, Referrer-Policy and X-Frame-Options."""
    if iscoroutinefunction(get_response):

        async def asynchronous(request: HttpRequest) -> HttpResponseBase:
            return _with_headers(_off_the_loop(request, await get_response(request)))

        return asynchronous

    def synchronous(request: HttpRequest) -> HttpResponseBase:
        return _with_headers(get_response(request))  # type: ignore[arg-type]

    return synchronous


def _off_the_loop(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Stream what a plain iterator makes without waiting for all of it: Django would keep the whole in memory first."""
    if isinstance(response, StreamingHttpResponse) and not response.is_async and isinstance(request, ASGIRequest):
        response.streaming_content = _in_thread(iter(cast("Iterable[bytes]", response.streaming_content)))
    return response


async def _in_thread(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The parts, some at a time, made in the request's own thread, which has its database connection."""
    some = sync_to_async(lambda: b"".join(itertools.islice(parts, PARTS_AT_A_TIME)))
    while joined := await some():
        yield joined


def _with_headers(response: HttpResponseBase) -> HttpResponseBase:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if not response.has_header("Cache-Control"):
        # Figures and secrets of one person do not belong into anybody's cache.
        response.headers["Cache-Control"] = "no-store"
    return response
