"""The least a Python proxy can cost: raw ASGI in, aiohttp out, nothing looked at. `UPSTREAM=… uvicorn benchmarks.rig.floor:app`."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

UPSTREAM = os.environ.get("UPSTREAM", "")
PASSED_ON = (b"content-type", b"x-api-key", b"anthropic-version")

_session: aiohttp.ClientSession | None = None


def _client() -> aiohttp.ClientSession:
    global _session
    if _session is None:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
        _session = aiohttp.ClientSession(
            connector=connector, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
        )
    return _session


async def app(
    scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
) -> None:
    if scope["type"] != "http":
        return
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    headers = {key.decode(): value.decode() for key, value in scope["headers"] if key in PASSED_ON}
    async with _client().request(
        scope["method"], UPSTREAM + scope["path"], data=b"".join(parts), headers=headers
    ) as answer:
        lines = [(b"content-type", answer.headers.get("content-type", "").encode())]
        await send({"type": "http.response.start", "status": answer.status, "headers": lines})
        async for chunk in answer.content.iter_any():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
