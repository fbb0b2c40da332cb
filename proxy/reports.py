"""`/stats` and `/stats-history`: figures for scripts, SDKs and pages."""

from __future__ import annotations

from datetime import UTC, datetime
from http.cookies import CookieError, SimpleCookie
from importlib import import_module
from typing import Any
from urllib.parse import parse_qsl

import orjson
from django.conf import settings
from django.contrib import auth
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from budgets import gate
from proxy import database, errors, hosts
from proxy.requests import OwnError, RoadRequest
from savings import csv_export, history, session
from savings.stats import EARLIEST, LATEST, Window


class BadParameter(ValueError):
    """A parameter of the query that means nothing. Answered with 422, in the words of the reference product's clients."""

    def __init__(self, name: str, value: str, expected: str, kind: str = "literal_error") -> None:
        super().__init__(f"{name}={value!r}")
        self.detail = {
            "type": kind,
            "loc": ["query", name],
            "msg": f"Input should be {expected}",
            "input": value,
            "ctx": {"expected": expected},
        }


async def stats(request: RoadRequest) -> HttpResponseBase:
    """What the running workers have done, all together."""
    try:
        sees_all = await _admit(request)
        found = await database.run(session.document, datetime.now(UTC), with_requests=sees_all)
    except tuple(errors.HTTP) as exc:
        return OwnError.of(exc, "openai")
    except (DatabaseError, TimeoutError):
        return _away()
    if sees_all:
        found["config"] = _config()
    found["summary"]["mode"] = settings.MODE
    return _json(found)


async def stats_history(request: RoadRequest) -> HttpResponseBase:
    """What came together over time, as JSON or CSV."""
    try:
        sees_all = await _admit(request)
        query = _query(request)
        form = _choice(query, "format", ("json", "csv"), "json")
        series = _choice(query, "series", ("history", *history.GRAINS), "history")
        mode = _choice(query, "history_mode", ("compact", "full", "none"), "compact")
        window = _window(query)
        if form == "csv":
            return await database.run(_table, series, window)
        now = datetime.now(UTC)
        return _json(await database.run(history.document, mode, window, now, with_projects=sees_all))
    except tuple(errors.HTTP) as exc:
        return OwnError.of(exc, "openai")
    except BadParameter as exc:
        return _json({"detail": [exc.detail]}, 422)
    except (DatabaseError, TimeoutError):
        return _away()


async def _admit(request: RoadRequest) -> bool:
    """Let in who may see figures; True for who may see others' requests too: this machine, and people who are logged in.

    Raises what the table in `proxy.errors` knows.
    """
    client = request.exchange
    hosts.check(client, settings.ALLOWED_NAMES)
    try:
        principal = gate.identify(client.headers, peer=client.peer, require_key=settings.REQUIRE_KEY)
    except gate.MissingKey:
        cookie = _session_key(client.header(b"cookie"))
        is_logged_in: bool = await database.run(_is_logged_in, cookie)
        if is_logged_in:
            return True
        raise
    return not settings.REQUIRE_KEY and principal.owner == gate.LOCAL


def _session_key(cookie: str) -> str:
    try:
        morsel = SimpleCookie(cookie).get(settings.SESSION_COOKIE_NAME)
    except CookieError:
        return ""
    return morsel.value if morsel is not None else ""


def _is_logged_in(session_key: str) -> bool:
    """The same check as pages make, whose middleware the road does without."""
    if not session_key:
        return False
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    user = auth.get_user(request)
    return bool(user.is_authenticated and user.is_active)


def _query(request: RoadRequest) -> dict[str, str]:
    _, _, query = request.exchange.target.partition(b"?")
    return dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))


def _choice(query: dict[str, str], name: str, choices: tuple[str, ...], default: str) -> Any:
    value = query.get(name, default)
    if value not in choices:
        quoted = [f"'{choice}'" for choice in choices]
        raise BadParameter(name, value, f"{', '.join(quoted[:-1])} or {quoted[-1]}")
    return value


def _window(query: dict[str, str]) -> Window:
    start, end = _moment(query, "start", EARLIEST), _moment(query, "end", LATEST)
    if end <= start:
        raise BadParameter("end", query.get("end", ""), "a time after start", "value_error")
    return Window(start, end)


def _moment(query: dict[str, str], name: str, default: datetime) -> datetime:
    value = query.get(name)
    if value is None:
        return default
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise BadParameter(name, value, "a date or time such as 2026-03-04 or 2026-03-04T12:00:00Z") from None
    return min(max(moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC), EARLIEST), LATEST)


def _table(series: history.Series, window: Window) -> HttpResponse:
    header, rows = history.table(series, window)
    name = f"headroom-stats-history-{series}.csv"
    response = HttpResponse("".join(csv_export.lines(header, rows)), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _json(found: dict[str, Any], status: int = 200) -> HttpResponse:
    response = HttpResponse(orjson.dumps(found), status=status, content_type="application/json")
    response["Cache-Control"] = "no-store"
    return response


def _away() -> HttpResponse:
    return _json({"error": {"type": "unavailable", "message": "the database does not answer; try again"}}, 503)


def _config() -> dict[str, Any]:
    return {
        "mode": settings.MODE,
        "optimize": settings.OPTIMIZE,
        "workers": settings.WORKERS,
        "database": "sqlite" if settings.IS_EMBEDDED else "postgresql",
        "requests_per_minute": settings.REQUESTS_PER_MINUTE if settings.RATE_LIMIT_ENABLED else None,
        "tokens_per_minute": (settings.TOKENS_PER_MINUTE or None) if settings.RATE_LIMIT_ENABLED else None,
        "log_messages": settings.LOG_MESSAGES,
    }
