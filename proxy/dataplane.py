"""The slim ASGI handler of the road: no middleware, no signals, no threads.

Django's own handler starts and joins a thread for each request. This one resolves the route, awaits the view and sends
what it returns, and takes over what Django's would have done: watching for a client that hangs up, closing the answer
whichever way it ends, and refusing strange hosts (in the routes that are ours).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import ResolverMatch, get_resolver

from proxy import exchange, upstream
from proxy.exchange import BodyReader, ClientGone
from proxy.providers import passthrough
from proxy.requests import OwnError, RelayResponse, RoadRequest
from proxy.values import Exchange, Headers
from savings.observability import prometheus

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class InternalError(Exception):
    """A failure of ours that nothing else accounts for."""


SOMETHING_ELSE = "/something/else"
WITHOUT_V1 = ("/chat/completions", "/responses", "/embeddings", "/models", "/messages")
"""Some clients' base URLs lack the `/v1` that these paths have."""


async def handle(scope: Scope, receive: exchange.Receive, send: Send) -> None:
    """Serve one HTTP request."""
    client, project = _addressed(exchange.from_scope(scope))
    body = BodyReader(receive)
    hang_up = HangUp(body)
    response: HttpResponseBase | None = None
    try:
        if not client.has_body:
            await body.skip()
        response = await _respond(RoadRequest(client, body, project))
        await _send(response, send, is_head=client.method == "HEAD")
    except asyncio.CancelledError:
        hang_up.absorb()
    except ClientGone:
        pass
    except (upstream.UpstreamBroke, upstream.UpstreamTimeout) as exc:
        # The answer has begun: returning without its end makes the server cut the connection, as the provider did.
        logger.info("a provider broke off: %s", exc)
    except TimeoutError:
        logger.info("a client stopped reading its answer; it is given up on")
    finally:
        hang_up.stop_watching()
        if isinstance(response, RelayResponse):
            await response.relay.close()


class HangUp:
    """Cancels the task that serves a request once its client is gone; from the last byte of its body on."""

    def __init__(self, body: BodyReader) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._served_by = task
        self._body = body
        self._watch: asyncio.Task[None] | None = None
        self._happened = False
        body.on_finished(self._start_watching)

    def absorb(self) -> None:
        """Called on cancellation: end it here if it was ours, pass it on if somebody else stops the task."""
        if not self._happened:
            raise asyncio.CancelledError
        self._served_by.uncancel()

    def stop_watching(self) -> None:
        # Let go of the task: it knows us, and a cycle for each request would keep the garbage collector busy.
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.remove_done_callback(self._cancel)
            watch.cancel()

    def _start_watching(self) -> None:
        self._watch = asyncio.get_running_loop().create_task(self._body.wait_for_hang_up())
        self._watch.add_done_callback(self._cancel)

    def _cancel(self, watch: asyncio.Task[None]) -> None:
        if not watch.cancelled():
            self._happened = True
            self._served_by.cancel()


async def _respond(request: RoadRequest) -> HttpResponseBase:
    try:
        match = _resolve(request.path_info)
    except Http404:  # a path with an encoded newline, which no pattern matches
        match = _resolve(SOMETHING_ELSE)
    try:
        response: HttpResponseBase = await match.func(request, *match.args, **match.kwargs)
    except (ClientGone, asyncio.CancelledError):
        raise
    except Exception:
        logger.exception("%s %s failed", request.method, match.route)
        return OwnError.of(
            InternalError("something failed inside the proxy; its log says what"),
            passthrough.choose(request.exchange).DIALECT,
        )
    return response


@lru_cache(maxsize=512)
def _resolve(path: str) -> ResolverMatch:
    return get_resolver(settings.DATA_PLANE_URLCONF).resolve(path)


async def _send(response: HttpResponseBase, send: Send, *, is_head: bool) -> None:
    if not isinstance(response, RelayResponse):
        await _send_whole(response, send)
        return
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.header_lines})
    async for chunk in response.relay:
        if chunk and not is_head:
            async with asyncio.timeout(settings.REQUEST_TIMEOUT_S):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _send_whole(response: HttpResponseBase, send: Send) -> None:
    assert isinstance(response, HttpResponse)
    if isinstance(response, OwnError):
        prometheus.refused(response["x-headroom-error"])
    headers: Headers = [(key.lower().encode("latin-1"), value.encode("latin-1")) for key, value in response.items()]
    headers.append((b"content-length", b"%d" % len(response.content)))
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": response.content})


def _addressed(client: Exchange) -> tuple[Exchange, str]:
    """Take `/p/<project>` off the path and put a missing `/v1` on it."""
    path, target, project = client.path, client.target, ""
    if target.startswith(b"/p/"):
        # Cut before decoding: a project may hold an encoded slash, and a query a bare one.
        raw_path, question_mark, query = target.partition(b"?")
        raw_project, _, raw_rest = raw_path[3:].partition(b"/")
        project, path = exchange.decoded(raw_project), exchange.decoded(b"/" + raw_rest)
        target = b"/" + raw_rest + question_mark + query
    if path.startswith(WITHOUT_V1) and _is_whole_name(path):
        path, target = "/v1" + path, b"/v1" + target
    if path is client.path:
        return client, ""
    return Exchange(client.method, path, target, client.headers, client.peer, client.started), project


def _is_whole_name(path: str) -> bool:
    """Whether one of the names without `/v1` ends where a part of the path does."""
    return any(path == name or path.startswith(name + "/") for name in WITHOUT_V1)
