"""The outbox: what somebody should know, and whether it arrived. Read only."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from budgets.admin import base
from budgets.admin.pages import BoundedPaginator
from budgets.admin.site import site
from budgets.alert_models import Alert

KINDS = {"delivered": "good", "waiting": "warn", "given up": "bad"}


class Waiting(admin.SimpleListFilter):
    """By whether it is still to be sent."""

    title = "webhook"
    parameter_name = "waiting"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "waiting")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Alert]) -> QuerySet[Alert]:
        return queryset.filter(next_attempt_at__isnull=False) if self.value() else queryset


@admin.register(Alert, site=site)
class Outbox(base.ReadOnlyAdmin):
    """Newest first."""

    list_display = ("at", "kind", "message", "standing", "attempts")
    list_filter = (Waiting, "kind")
    ordering = ("-created_at",)
    sortable_by = ("at",)
    paginator = BoundedPaginator
    list_max_show_all = 0
    fields = (*list_display, "delivered_at", "next_attempt_at", "problem", "details")
    readonly_fields = fields

    @admin.display(description="time (UTC)", ordering="created_at")
    def at(self, alert: Alert) -> str:
        return f"{alert.created_at:%Y-%m-%d %H:%M:%S}"

    @admin.display(description="webhook")
    def standing(self, alert: Alert) -> SafeString:
        return base.badge(alert.state, KINDS.get(alert.state, ""))
