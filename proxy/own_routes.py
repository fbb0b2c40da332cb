"""What our own JSON routes share: who asks, from where, and what for."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from django.conf import settings

from budgets import gate
from proxy import exchange, hosts, splice
from proxy.requests import RoadRequest


class BadRequest(ValueError):
    """A field is missing, or of a type that means nothing there."""


async def read(request: RoadRequest) -> tuple[gate.Principal, dict[str, Any]]:
    """Who asks, and the JSON object of the body, or of the query where there is no body.

    Raises BadRequest, or what the table in `proxy.errors` knows.
    """
    client = request.exchange
    hosts.check(client, settings.ALLOWED_NAMES)
    principal = gate.identify(client.headers, peer=client.peer, require_key=settings.REQUIRE_KEY)
    if not client.has_body:
        _, _, query = client.target.partition(b"?")
        return principal, dict(parse_qsl(query.decode("latin-1")))
    raw = await request.body_reader.read(settings.MAX_BODY_BYTES, client.header(b"content-length"))
    encoding = client.header(b"content-encoding")
    try:
        document = splice.loads(exchange.unpack(raw, encoding, settings.MAX_BODY_BYTES) if encoding else raw)
    except ValueError as exc:
        raise BadRequest("the request body is not valid JSON") from exc
    if not isinstance(document, dict):
        raise BadRequest("the request body must be a JSON object")
    return principal, document


def loads_object(text: str) -> dict[str, Any] | None:
    """A JSON object inside a string, or `None`."""
    try:
        document = splice.loads(text.encode("utf-8", "surrogatepass"))
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def field(document: dict[str, Any], name: str, kind: type | tuple[type, ...], default: Any = None) -> Any:
    """A field of the right type, or the default when it is absent or null. Raises BadRequest naming it."""
    value = document.get(name)
    if value is None:
        return default
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise BadRequest(
            f"{name} must be {' or '.join(_NAMES[k] for k in kinds)}, not {_NAMES.get(type(value), 'that')}"
        )
    return value


_NAMES: dict[type, str] = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}
