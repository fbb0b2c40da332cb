"""Decisions about tool results: sizes, forms and reasons. The texts are their owners' and are not shown."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from budgets.admin import base
from budgets.admin.ledger import DayFilter
from budgets.admin.pages import BoundedPaginator
from budgets.admin.site import site
from proxy.admin import conversations
from proxy.decisions import FormLevel
from proxy.models import Decision

LEVELS: tuple[FormLevel, ...] = ("whole", "lossless", "balanced", "deep")


class UsedDay(DayFilter):
    """By the day on which it was used last (UTC)."""

    title = "last used (UTC)"
    column = "used_at"


class LevelFilter(admin.SimpleListFilter):
    """By how far the form goes."""

    title = parameter_name = "level"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(level, level) for level in LEVELS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Decision]) -> QuerySet[Decision]:
        return queryset.filter(level=self.value()) if self.value() else queryset


@admin.register(Decision, site=site)
class Decisions(base.ReadOnlyAdmin):
    """What was used last comes first."""

    list_display = (
        "used",
        "its_conversation",
        "form_name",
        "level",
        "tokens_before",
        "tokens_after",
        "reason",
        "policy_version",
        "decided",
    )
    its_conversation = conversations.link
    list_filter = (UsedDay, LevelFilter, conversations.OfConversation)
    search_fields = ("key",)
    search_help_text = "The exact key of a decision."
    ordering = ("-used_at",)
    sortable_by = ("used",)
    paginator = BoundedPaginator
    list_max_show_all = 0
    fields = (*list_display, "engine_version", "original_hash", "refers_to")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Decision]:
        return super().get_queryset(request).defer("form")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Decision], search_term: str
    ) -> tuple[QuerySet[Decision], bool]:
        term = search_term.strip()
        return (queryset.filter(key=term) if term else queryset), False

    @admin.display(description="last used (UTC)", ordering="used_at")
    def used(self, decision: Decision) -> str:
        return f"{decision.used_at:%Y-%m-%d %H:%M:%S}"

    @admin.display(description="decided (UTC)")
    def decided(self, decision: Decision) -> str:
        return f"{decision.created_at:%Y-%m-%d %H:%M:%S}"

    @admin.display(description="form")
    def form_name(self, decision: Decision) -> str:
        return decision.label or "as it came"
