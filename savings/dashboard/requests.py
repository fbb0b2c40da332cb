"""The newest requests, and one of them in full: what was sent instead of what, and where the time went."""

from __future__ import annotations

import uuid
import zlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import render

from savings import csv_export, stats
from savings.dashboard import differences
from savings.dashboard.scope import Scope
from savings.models import CallBody, DailyRollup, LedgerEntry
from savings.rollup_sql import OTHER

PAGE_ROWS = 50
DAY = timedelta(days=1)
NO_ID = uuid.UUID(int=0)
LOOKED_AT = 20_000
"""Filters without an index of their own read so many calls for a page, so that a rare value does not read all of them."""
FILTERS = ("model", "agent", "project", "key", "session", "conversation", "status", "reason")
INDEXED = {"session", "conversation"}
ROLLED = ("agent", "project")
"""Filters that rollups know, which say on which days there is something to be found. Of models they know one name only."""
STATUSES = ("complete", "partial", "interrupted", "void")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the page's form asks for. `before` is the place in the list to go on from."""

    fields: dict[str, str]
    day: date | None = None
    before: tuple[datetime, uuid.UUID] | None = None

    @property
    def query(self) -> str:
        """The same as a query string, without the place in the list."""
        fields = {**self.fields, **({"day": self.day.isoformat()} if self.day else {})}
        return urlencode(fields)


def newest(request: HttpRequest, scope: Scope) -> HttpResponse:
    """Calls, newest first, that match the form."""
    wanted = read(request.GET)
    floor = _floor(wanted, scope)
    found = chosen(wanted, scope)
    rows = list((found.filter(admitted_at__gte=floor) if floor else found)[: PAGE_ROWS + 1])
    older = (rows[PAGE_ROWS - 1].admitted_at, rows[PAGE_ROWS - 1].id) if len(rows) > PAGE_ROWS else None
    if older is None and floor is not None:
        older = _further_back(wanted, scope, floor)
    context = {
        "tab": "requests",
        "wanted": wanted,
        "statuses": STATUSES,
        "rows": rows[:PAGE_ROWS],
        "older": f"{older[0].isoformat()}_{older[1]}" if older else "",
        "looked_until": floor if len(rows) <= PAGE_ROWS else None,
        "looked_at": LOOKED_AT,
        "is_first_page": wanted.before is None,
    }
    return render(request, "savings/dashboard/requests.html", context)


def one(request: HttpRequest, scope: Scope, call_id: uuid.UUID) -> HttpResponse:
    """One call."""
    entry = scope.of(LedgerEntry.objects.filter(pk=call_id)).first()
    if entry is None:
        raise Http404
    bodies = CallBody.objects.filter(pk=call_id).first()
    others = LedgerEntry.objects.filter(request_id=entry.request_id).exclude(pk=entry.pk).order_by("attempt")
    context = {
        "tab": "requests",
        "call": entry,
        "others": scope.of(others),
        "waterfall": waterfall(entry),
        "logs_messages": settings.LOG_MESSAGES,
        "bodies": _texts(bodies) if bodies is not None else None,
    }
    return render(request, "savings/dashboard/request.html", context)


def export(request: HttpRequest, scope: Scope) -> StreamingHttpResponse:
    """The calls that match the form, all of them, as CSV."""
    return csv_export.entries(chosen(read(request.GET), scope), "requests", datetime.now(UTC).date())


def read(query: QueryDict) -> Wanted:
    """What a query string asks for; what means nothing is left out."""
    fields = {name: value for name in FILTERS if (value := query.get(name, "").strip().replace("\x00", ""))}
    return Wanted(fields, _day(query.get("day", "")), _place(query.get("before", "")))


def chosen(wanted: Wanted, scope: Scope) -> QuerySet[LedgerEntry]:
    """The calls that match, newest first."""
    entries = scope.of(_listed(wanted))
    for name, value in wanted.fields.items():
        entries = entries.filter(_matches(name, value))
    return entries


def _listed(wanted: Wanted) -> QuerySet[LedgerEntry]:
    """The calls among which to look, newest first: found by time alone, which has an index."""
    entries = LedgerEntry.objects.order_by("-admitted_at", "-id")
    if wanted.day is not None:
        start = datetime(wanted.day.year, wanted.day.month, wanted.day.day, tzinfo=UTC)
        entries = entries.filter(admitted_at__gte=start, admitted_at__lt=start + DAY)
    if wanted.before is not None:
        moment, call_id = wanted.before
        # Once more for the index, which takes no "or".
        entries = entries.filter(
            Q(admitted_at__lt=moment) | Q(admitted_at=moment, id__lt=call_id), admitted_at__lte=moment
        )
    return entries


def _floor(wanted: Wanted, scope: Scope) -> datetime | None:
    """How far back a page looks; `None` where that is no question, as there is an index or there are few calls."""
    if scope.team is None and not wanted.fields.keys() - INDEXED:
        return None
    if wanted.fields.keys() & INDEXED:
        return None
    return _listed(wanted).values_list("admitted_at", flat=True)[LOOKED_AT : LOOKED_AT + 1].first()


def _further_back(wanted: Wanted, scope: Scope, floor: datetime) -> tuple[datetime, uuid.UUID] | None:
    """The place to go on from where a look ended: before the newest day on which rollups have such calls there are none."""
    rolled_until = stats.rolled_until()
    if wanted.day is not None or rolled_until is None or floor > rolled_until - DAY:
        return floor, NO_ID
    rows = DailyRollup.objects.filter(starts_at__lte=floor, **scope.labels)
    for name in ROLLED:
        if name in wanted.fields:
            rows = rows.filter(**{f"{name}__in": (wanted.fields[name], OTHER)})
    newest_day = rows.order_by("-starts_at").values_list("starts_at", flat=True).first()
    return (min(floor, newest_day + DAY), NO_ID) if newest_day is not None else None


def _matches(name: str, value: str) -> Q:
    if name == "model":
        return Q(model_answered=value) | Q(model_answered="", model_asked=value) | Q(model_asked=value)
    if name == "key":
        return Q(key_label=value) | Q(key_id=value)
    if name == "reason":
        return Q(reason=value) | Q(reason__startswith=f"{value}:")
    return Q(**{name: value})


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _place(text: str) -> tuple[datetime, uuid.UUID] | None:
    moment, _, call_id = text.partition("_")
    try:
        found = datetime.fromisoformat(moment)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)), uuid.UUID(call_id)
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a call's time: from where to where in percent of the whole."""

    title: str
    start: float
    width: float
    milliseconds: float


def waterfall(entry: LedgerEntry) -> list[Stretch]:
    """Where the time went: here, waiting for the provider, receiving; empty when it was not measured."""
    total = entry.latency_ms
    if not total:
        return []
    overhead = min(entry.overhead_ms or 0.0, total)
    waiting = min(entry.ttfb_ms if entry.ttfb_ms is not None else total - overhead, total - overhead)
    receiving = max(0.0, total - overhead - waiting)
    stretches, start = [], 0.0
    for title, length in (("Here", overhead), ("Provider thinks", waiting), ("Answer arrives", receiving)):
        stretches.append(Stretch(title, round(100 * start / total, 3), round(100 * length / total, 3), length))
        start += length
    return stretches


def _texts(bodies: CallBody) -> dict[str, Any]:
    asked = zlib.decompress(bodies.asked)
    sent = zlib.decompress(bodies.sent) if bodies.sent else b""
    return {
        "asked": asked.decode("utf-8", "replace"),
        "sent": sent.decode("utf-8", "replace"),
        "answered": zlib.decompress(bodies.answered).decode("utf-8", "replace"),
        "changes": differences.changes(asked, sent) if sent else [],
    }
