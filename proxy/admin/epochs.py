"""Epochs: when older results were shortened further, what was expected of it, and what came of it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Case, Count, F, FloatField, Q, Sum, Value, When
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.utils.safestring import SafeString

from budgets.admin import base
from budgets.admin.ledger import DayFilter, WrittenFilter
from budgets.admin.pages import BoundedPaginator
from budgets.admin.site import site
from proxy.admin import conversations
from proxy.models import EpochRecord

REALISED = F("spared_at_once") + Case(
    When(
        last_turn__gt=F("turn"),
        then=F("read_share") * Cast(F("saved_tokens"), FloatField()) * (F("last_turn") - F("turn")),
    ),
    default=Value(0.0),
    output_field=FloatField(),
)
"""`EpochRecord.realised_gain`, in the database."""


class EpochDay(DayFilter):
    """By the day on which it began (UTC)."""

    column = "created_at"


class Trigger(admin.SimpleListFilter):
    """By what began it: the arithmetic of size, or a cache that was cold anyway."""

    title = parameter_name = "trigger"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("size", "size"), ("cold", "cold cache")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(trigger=self.value()) if self.value() else queryset


class Owner(WrittenFilter):
    """By owner, exactly: `local`, `team:1`, `key:…`."""

    title = parameter_name = "owner"

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(owner=self.value()) if self.value() else queryset


class Outcome(admin.SimpleListFilter):
    """By whether it has brought by now what it cost."""

    title = parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("paid", "has paid"), ("not", "has not paid")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if not self.value():
            return queryset
        paid = Q(realised__gte=F("predicted_cost"))
        rows = queryset.annotate(realised=REALISED)
        return rows.filter(paid) if self.value() == "paid" else rows.exclude(paid)


@admin.register(EpochRecord, site=site)
class Epochs(base.ReadOnlyAdmin):
    """Newest first. Costs and gains are tokens at the price of fresh input."""

    list_display = (
        *("began", "its_conversation", "cost", "predicted", "realised"),
        *("outcome", "trigger", "turns_since", "saved"),
    )
    its_conversation = conversations.link
    list_filter = (EpochDay, Trigger, Outcome, conversations.OfConversation, Owner)
    ordering = ("-created_at",)
    sortable_by = ("began",)
    paginator = BoundedPaginator
    list_max_show_all = 0
    change_list_template = "admin/epoch_list.html"
    fields = (*list_display, "owner", "chain", "turn", "read_share", "results")
    readonly_fields = fields

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        response = super().changelist_view(request, extra_context)
        found = getattr(response, "context_data", None) or {}
        if "cl" in found:
            found["sums"] = found["cl"].queryset.aggregate(
                epochs=Count("id"),
                cost=Sum("predicted_cost"),
                predicted=Sum("predicted_gain"),
                realised=Sum(REALISED),
            )
        return response

    @admin.display(description="time (UTC)", ordering="created_at")
    def began(self, epoch: EpochRecord) -> str:
        return f"{epoch.created_at:%Y-%m-%d %H:%M:%S}"

    @admin.display(description="turns")
    def turns_since(self, epoch: EpochRecord) -> int:
        return max(0, epoch.last_turn - epoch.turn)

    @admin.display(description="tokens")
    def saved(self, epoch: EpochRecord) -> str:
        return f"{epoch.saved_tokens:,}"

    @admin.display(description="cost")
    def cost(self, epoch: EpochRecord) -> str:
        return f"{epoch.predicted_cost:,.0f}"

    @admin.display(description="predicted gain")
    def predicted(self, epoch: EpochRecord) -> str:
        return f"{epoch.predicted_gain:,.0f}"

    @admin.display(description="realised gain")
    def realised(self, epoch: EpochRecord) -> str:
        return f"{epoch.realised_gain:,.0f}"

    @admin.display(description="outcome")
    def outcome(self, epoch: EpochRecord) -> SafeString:
        has_paid = epoch.realised_gain >= epoch.predicted_cost
        return base.badge("has paid" if has_paid else "not yet", "good" if has_paid else "warn")

    @admin.display(description="results in their deep form")
    def results(self, epoch: EpochRecord) -> int:
        return len(epoch.deepened.split())
