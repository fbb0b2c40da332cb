"""Errors of ours: one table turns a class into a status and a code, and the route's dialect words the body."""

from __future__ import annotations

import json
from http import HTTPStatus

from budgets import gate, rates, till
from proxy import credentials, exchange, hosts, response_cache, upstream
from proxy.values import Dialect
from savings import journal

HTTP: dict[type[Exception], tuple[HTTPStatus, str]] = {
    gate.MissingKey: (HTTPStatus.UNAUTHORIZED, "missing_key"),
    gate.UnknownKey: (HTTPStatus.UNAUTHORIZED, "unknown_key"),
    gate.RevokedKey: (HTTPStatus.UNAUTHORIZED, "revoked_key"),
    gate.ExpiredKey: (HTTPStatus.UNAUTHORIZED, "expired_key"),
    gate.KeyInUrl: (HTTPStatus.UNAUTHORIZED, "key_in_url"),
    credentials.RouteClosed: (HTTPStatus.FORBIDDEN, "route_closed"),
    gate.NotPermitted: (HTTPStatus.FORBIDDEN, "not_permitted"),
    gate.KeysNotLoaded: (HTTPStatus.SERVICE_UNAVAILABLE, "keys_not_loaded"),
    rates.RateLimited: (HTTPStatus.TOO_MANY_REQUESTS, "rate_limited"),
    till.BudgetSpent: (HTTPStatus.TOO_MANY_REQUESTS, "budget_spent"),
    till.BudgetHeld: (HTTPStatus.TOO_MANY_REQUESTS, "budget_held"),
    till.NoPrice: (HTTPStatus.FORBIDDEN, "no_price"),
    till.NoBound: (HTTPStatus.FORBIDDEN, "no_bound"),
    till.BudgetUnreachable: (HTTPStatus.SERVICE_UNAVAILABLE, "budget_unreachable"),
    response_cache.Away: (HTTPStatus.SERVICE_UNAVAILABLE, "cache_unreachable"),
    hosts.ForbiddenHost: (HTTPStatus.FORBIDDEN, "forbidden_host"),
    exchange.BodyTooLarge: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "request_too_large"),
    exchange.BodyTimeout: (HTTPStatus.REQUEST_TIMEOUT, "body_timeout"),
    exchange.BadEncoding: (HTTPStatus.BAD_REQUEST, "bad_content_encoding"),
    upstream.UpstreamUnreachable: (HTTPStatus.BAD_GATEWAY, "upstream_unreachable"),
    upstream.UpstreamBroke: (HTTPStatus.BAD_GATEWAY, "upstream_broke"),
    upstream.UpstreamTimeout: (HTTPStatus.GATEWAY_TIMEOUT, "upstream_timeout"),
    journal.JournalFull: (HTTPStatus.SERVICE_UNAVAILABLE, "ledger_unwritable"),
    journal.JournalUnwritable: (HTTPStatus.SERVICE_UNAVAILABLE, "ledger_unwritable"),
}

_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    408: "invalid_request_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}
_OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
# Agents that know nothing of x-should-retry stop trying at this type.
_OPENAI_BY_CODE = {"budget_spent": "insufficient_quota"}


def status_and_code(exc: Exception) -> tuple[HTTPStatus, str]:
    """What the table says of an error; looked up along its class's ancestors."""
    for cls in type(exc).__mro__:
        if cls in HTTP:
            return HTTP[cls]
    return HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error"


def headers(exc: Exception) -> dict[str, str]:
    """Header lines that tell a client whether and when trying again makes sense."""
    is_final = isinstance(exc, till.BudgetRefused) and not isinstance(exc, till.BudgetHeld)
    lines = {"x-should-retry": "false"} if is_final else {}
    for name, value in (("retry-after", "retry_after_s"), ("retry-after-ms", "retry_after_ms")):
        if (wait := getattr(exc, value, None)) is not None:
            lines[name] = str(wait)
    return lines


def body(dialect: Dialect, status: HTTPStatus, code: str, message: str) -> bytes:
    """An error body that the dialect's SDKs can parse."""
    if dialect == "anthropic":
        kind = _ANTHROPIC_TYPES.get(status, "api_error")
        return json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()
    kind = _OPENAI_BY_CODE.get(code) or _OPENAI_TYPES.get(
        status, "invalid_request_error" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "server_error"
    )
    return json.dumps({"error": {"message": message, "type": kind, "code": code, "param": None}}).encode()
