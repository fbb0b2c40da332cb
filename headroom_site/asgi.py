"""The application that servers run: pages go to Django as it comes, everything else takes the road."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from importlib import import_module
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "headroom_site.settings")

import django

django.setup()

from django.conf import settings
from django.urls import get_resolver

from budgets import gate, keys
from headroom_site import listening, serving
from proxy import dataplane, errors, exchange, hosts

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PAGES = ("/dashboard", "/admin", "/login", "/logout", "/static/", "/favicon.ico")

LIVE = "/dashboard/live"

_starting = asyncio.Lock()
get_resolver(settings.DATA_PLANE_URLCONF).url_patterns  # noqa: B018 - the first request should not wait for the routes


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """One connection's worth of ASGI."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif settings.RELIES_ON_LOOPBACK and listening.is_elsewhere(scope.get("server")):
        await _refuse_elsewhere(scope, receive, send)
    elif scope["type"] == "http":
        if not serving.is_started():
            await _start()  # servers without lifespan, such as daphne
        if scope["path"].startswith(PAGES):
            await _page(scope, receive, send)
        else:
            await dataplane.handle(scope, receive, send)
    elif scope["type"] == "websocket" and scope["path"] == LIVE:
        await (await _browsing()).socket(scope, receive, send)
    else:
        await _refuse_socket(scope, receive, send)


async def _start() -> None:
    async with _starting:
        if not serving.is_started():
            await serving.start()


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            try:
                await _start()
            except (OSError, RuntimeError) as exc:
                await send({"type": "lifespan.startup.failed", "message": str(exc)})
                return
            await send({"type": "lifespan.startup.complete"})
        else:
            await serving.stop()
            await send({"type": "lifespan.shutdown.complete"})
            return


async def _page(scope: Scope, receive: Receive, send: Send) -> None:
    try:
        client = exchange.from_scope(scope)
        hosts.check(client, settings.ALLOWED_NAMES, is_page=True)
        if keys.IN_URL.search(client.target):
            raise gate.KeyInUrl
    except (hosts.ForbiddenHost, gate.KeyInUrl) as exc:
        await _refuse(send, *errors.status_and_code(exc), str(exc))
        return
    await (await _browsing()).page(scope, receive, send)


async def _browsing() -> Any:
    return await asyncio.to_thread(import_module, "headroom_site.browsing")


async def _refuse_elsewhere(scope: Scope, receive: Receive, send: Send) -> None:
    """Started by another server on another address than ours knows of: nobody may come in without having said so."""
    if scope["type"] == "http":
        await _refuse(send, HTTPStatus.FORBIDDEN, "not_permitted", listening.ELSEWHERE)
    else:
        await receive()
        await send({"type": "websocket.close", "code": 1008})


async def _refuse_socket(scope: Scope, receive: Receive, send: Send) -> None:
    """Say at the handshake that HTTP is spoken here: Codex goes on by HTTP at once then, and tries five times otherwise."""
    await receive()
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1003})
        return
    body = errors.body(
        "openai", HTTPStatus.UPGRADE_REQUIRED, "no_websocket", "this proxy answers by HTTP, not by WebSocket"
    )
    headers = [(b"content-type", b"application/json"), (b"x-headroom-error", b"no_websocket")]
    await send({"type": "websocket.http.response.start", "status": HTTPStatus.UPGRADE_REQUIRED, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})


async def _refuse(send: Send, status: HTTPStatus, code: str, message: str) -> None:
    body = errors.body("openai", status, code, message)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-headroom-error", code.encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
