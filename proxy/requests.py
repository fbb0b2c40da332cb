"""What Django sees of a request on the road, and what it gives back: thin shells around our own values."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from proxy import errors
from proxy.exchange import BodyReader
from proxy.values import Dialect, Exchange, Headers


class RoadRequest(HttpRequest):
    """A request as the routes get it. Nothing is parsed: no cookies, no forms, no body."""

    def __init__(self, exchange: Exchange, body_reader: BodyReader, project: str) -> None:
        super().__init__()
        self.exchange = exchange
        self.body_reader = body_reader
        self.project = project
        self.method = exchange.method
        self.path = self.path_info = exchange.path


class Body(Protocol):
    """The body of an answer, piece by piece; `close` may be called at any time, and more than once."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def close(self) -> None: ...


class Ready:
    """A body that is here already."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content

    async def close(self) -> None:
        """There is nothing to let go of."""


class RelayResponse(HttpResponseBase):
    """A provider's answer: its status, its header lines with their duplicates, and its body as it arrives."""

    streaming = True

    def __init__(self, status: int, header_lines: Headers, relay: Body) -> None:
        super().__init__(status=status)
        self.header_lines = header_lines
        self.relay = relay


class OwnError(HttpResponse):
    """An error of ours in a dialect."""

    @classmethod
    def of(cls, exc: Exception, dialect: Dialect, headers: dict[str, Any] | None = None) -> OwnError:
        """The answer that the table in `proxy.errors` gives for an exception."""
        status, code = errors.status_and_code(exc)
        response = cls(
            errors.body(dialect, status, code, str(exc)),
            status=status,
            content_type="application/json",
            headers={**errors.headers(exc), **(headers or {})},
        )
        response["x-headroom-error"] = code
        return response
