"""The ledger: looked at, filtered, exported, never changed."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.safestring import SafeString

from budgets import access
from budgets.admin import base
from budgets.admin.pages import MAX_ROWS, BoundedPaginator
from budgets.admin.site import site
from budgets.models import ApiKey
from savings import csv_export
from savings.models import DailyRollup, LedgerEntry
from savings.templatetags import money

MOST = 100
"""So many keys and models can be chosen from."""
RECENT = timedelta(days=90)
STATUSES = ("complete", "partial", "interrupted", "void")


class TextFilter(admin.SimpleListFilter):
    """A filter by a text out of an address, which may be anything."""

    def value(self) -> str | None:
        """The text without the one character that PostgreSQL takes in no text at all."""
        return (super().value() or "").replace("\x00", "") or None


class ChosenFilter(TextFilter):
    """A filter that also takes what it does not offer, as links from elsewhere may."""

    column = ""

    def offered(self, scope: access.Scope) -> list[tuple[str, str]]:
        """Values and their names."""
        raise NotImplementedError

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        offered = self.offered(base.scope(request))
        chosen = self.value()
        return offered if not chosen or chosen in dict(offered) else [(chosen, chosen), *offered]

    def queryset(self, request: HttpRequest, queryset: QuerySet[LedgerEntry]) -> QuerySet[LedgerEntry]:
        return queryset.filter(**{self.column: self.value()}) if self.value() else queryset


class KeyFilter(ChosenFilter):
    """By key."""

    title = "key"
    parameter_name = "key"
    column = "key_id"

    def offered(self, scope: access.Scope) -> list[tuple[str, str]]:
        rows = access.visible(ApiKey.objects.order_by("-created_at"), scope).values_list("pk", "name", "prefix")[:MOST]
        return [(str(pk), f"{name} ({prefix}…)") for pk, name, prefix in rows]


class ModelFilter(ChosenFilter):
    """By the model that answered."""

    title = "model"
    parameter_name = "model"
    column = "model_answered"

    def offered(self, scope: access.Scope) -> list[tuple[str, str]]:
        rows = DailyRollup.objects.filter(starts_at__gt=timezone.now() - RECENT).exclude(model="")
        if not scope.is_everything:
            own = access.visible(ApiKey.objects.all(), scope).values_list("pk", flat=True)
            rows = rows.filter(key_id__in=[str(pk) for pk in own])
        return [(name, name) for name in rows.order_by("model").values_list("model", flat=True).distinct()[:MOST]]


class StatusFilter(admin.SimpleListFilter):
    """By how a call ended."""

    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(status, status) for status in STATUSES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[LedgerEntry]) -> QuerySet[LedgerEntry]:
        return queryset.filter(status=self.value()) if self.value() else queryset


class WrittenFilter(TextFilter):
    """A filter that one writes into. Its template is a form that keeps the other filters."""

    template = "admin/written_filter.html"
    kind = "text"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("", "")]  # a filter without any is not shown

    def choices(self, changelist: Any) -> Iterator[Any]:
        others = [
            (name, value) for name, value in changelist.get_filters_params().items() if name != self.parameter_name
        ]
        yield {
            "others": [
                (name, one) for name, values in others for one in (values if isinstance(values, list) else [values])
            ],
            "name": self.parameter_name,
            "value": self.value() or "",
            "kind": self.kind,
            "without": changelist.get_query_string(remove=[self.parameter_name]),
        }


class SessionFilter(WrittenFilter):
    """By session, exactly."""

    title = "session"
    parameter_name = "session"

    def queryset(self, request: HttpRequest, queryset: QuerySet[LedgerEntry]) -> QuerySet[LedgerEntry]:
        return queryset.filter(session=self.value()) if self.value() else queryset


class DayFilter(WrittenFilter):
    """By day (UTC)."""

    title = "day (UTC)"
    parameter_name = "day"
    kind = "date"
    column = "admitted_at"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        try:
            day = date.fromisoformat(self.value() or "")
        except ValueError:
            return queryset.none()
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        end = start + timedelta(days=1)
        return queryset.filter(**{f"{self.column}__gte": start, f"{self.column}__lt": end})


def _amount(name: str, description: str) -> Any:
    @admin.display(description=description)
    def amount(self: Any, entry: LedgerEntry) -> str:
        return money.usd(getattr(entry, name))

    return amount


def _count(name: str, description: str) -> Any:
    @admin.display(description=description)
    def count(self: Any, entry: LedgerEntry) -> str:
        return money.thousands(getattr(entry, name))

    return count


@admin.register(LedgerEntry, site=site)
class Ledger(base.ReadOnlyAdmin):
    """One row for each call to a provider, newest first."""

    list_display = (
        "admitted",
        "model_name",
        "key_label",
        "state",
        "cost",
        "saved",
        "fresh",
        "cache_read",
        "output",
        "session_start",
        "agent",
    )
    list_filter = (DayFilter, StatusFilter, KeyFilter, ModelFilter, SessionFilter)
    search_fields = ("session",)
    search_help_text = "The exact id of a request, call, session or conversation."
    ordering = ("-admitted_at",)
    sortable_by = ("admitted",)
    paginator = BoundedPaginator
    list_max_show_all = 0
    change_list_template = "admin/ledger_list.html"
    cost = _amount("cost_nano_usd", "cost")
    saved = _amount("saved_nano_usd", "saved")
    fresh = _count("input_fresh_tokens", "fresh")
    cache_read = _count("cache_read_tokens", "cache read")
    output = _count("output_tokens", "output")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return super().changelist_view(request, {**(extra_context or {}), "most": MAX_ROWS})

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[LedgerEntry], search_term: str
    ) -> tuple[QuerySet[LedgerEntry], bool]:
        """Exact matches of columns with an index: a search within words would read the whole table."""
        term = search_term.strip()
        if not term:
            return queryset, False
        wanted = Q(session=term) | Q(conversation=term)
        with contextlib.suppress(ValueError):
            wanted |= Q(request_id=uuid.UUID(term)) | Q(pk=uuid.UUID(term)) | Q(key_id=term)
        return queryset.filter(wanted), False

    def get_urls(self) -> list[URLPattern]:
        export = self.admin_site.admin_view(self.export)
        return [path("ledger.csv", export, name="savings_ledgerentry_export"), *super().get_urls()]

    def export(self, request: HttpRequest) -> HttpResponseBase:
        """Everything that the filters leave, as CSV, streamed."""
        if not self.has_view_permission(request):
            return self.admin_site.login(request)
        rows = self.get_changelist_instance(request).get_queryset(request)
        return csv_export.entries(rows, "ledger", datetime.now(UTC).date())

    @admin.display(description="time (UTC)", ordering="admitted_at")
    def admitted(self, entry: LedgerEntry) -> str:
        return f"{entry.admitted_at:%Y-%m-%d %H:%M:%S}"

    @admin.display(description="model")
    def model_name(self, entry: LedgerEntry) -> str:
        return entry.model_answered or entry.model_asked or "–"

    @admin.display(description="session")
    def session_start(self, entry: LedgerEntry) -> str:
        return entry.session[:8] or "–"

    @admin.display(description="status")
    def state(self, entry: LedgerEntry) -> SafeString:
        is_bad = (entry.http_status or 0) >= 400
        text = f"{entry.status} {entry.http_status}" if is_bad else entry.status
        return base.badge(text, "bad" if is_bad else "good" if entry.status == "complete" else "warn")
