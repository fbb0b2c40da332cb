"""Teams, with their keys, budgets and people."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, Prefetch, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from budgets import keys, limits, teams
from budgets.admin import balances, base
from budgets.admin.budgets import TeamBudgets
from budgets.admin.site import site
from budgets.models import ApiKey, Budget, Membership, Team


class TeamForm(base.SeenForm):
    """A team's name."""

    class Meta:
        model = Team
        fields = ("name",)

    def clean_name(self) -> str:
        try:
            return keys.printable("team", self.cleaned_data["name"])
        except keys.BadName as exc:
            raise forms.ValidationError(str(exc)) from exc


class _ToLookAt(admin.TabularInline):
    """Rows that have pages of their own."""

    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class TeamKeys(_ToLookAt):
    model = ApiKey
    fields = ("page", "prefix", "expires_at", "revoked_at")
    readonly_fields = fields

    @admin.display(description="name")
    def page(self, key: ApiKey) -> SafeString:
        return format_html('<a href="{}">{}</a>', reverse("admin:budgets_apikey_change", args=[key.pk]), key.name)


class TeamPeople(_ToLookAt):
    model = Membership
    fields = ("user",)
    verbose_name_plural = "people"

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("auth.view_user")


@admin.register(Team, site=site)
class Teams(base.ScopedAdmin):
    """Those who share budgets, and what is stored on their behalf."""

    form = TeamForm
    fields = ("name", "seen")
    list_display = ("name", "active_keys", "balance", "created_at")
    search_fields = ("name",)
    ordering = ("name",)
    inlines = (TeamBudgets, TeamKeys, TeamPeople)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Team]:
        budgets = limits.with_accounts(Budget.objects.filter(ended_at__isnull=True))
        active = Count("keys", filter=Q(keys__revoked_at__isnull=True))
        rows: QuerySet[Team] = super().get_queryset(request).annotate(active_keys_count=active)
        return rows.prefetch_related(Prefetch("budgets", budgets, to_attr="in_force"))

    def save_model(self, request: HttpRequest, obj: Team, form: Any, change: bool) -> None:
        name, by = form.cleaned_data["name"], base.actor(request)
        if not change:
            obj.__dict__.update(teams.create(name, by=by).__dict__)
        elif "name" in form.changed_data:
            teams.rename(obj.pk, name, seen=form.cleaned_data["seen"], by=by)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        if formset.model is Budget:
            formset.keep(base.actor(request))
        else:
            formset.new_objects = formset.changed_objects = formset.deleted_objects = []

    def delete_model(self, request: HttpRequest, obj: Team) -> None:
        teams.remove(obj.pk, by=base.actor(request))

    @admin.display(description="active keys", ordering="active_keys_count")
    def active_keys(self, team: Team) -> int:
        count: int = team.active_keys_count  # type: ignore[attr-defined]
        return count

    @admin.display(description="budget")
    def balance(self, team: Team) -> SafeString | str:
        """The budget of its own that has least room."""
        in_force: list[Budget] = team.in_force  # type: ignore[attr-defined]
        return balances.bar(max(in_force, key=balances.share)) if in_force else "–"
