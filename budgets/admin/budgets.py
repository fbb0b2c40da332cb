"""Budgets: their balances, and more or less room in them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.forms import BaseInlineFormSet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from budgets import access, dollars, limits, periods
from budgets.admin import balances, base
from budgets.admin.site import site
from budgets.models import ApiKey, Budget, Team


class Usd(forms.DecimalField):
    """An amount that a limit may have."""

    def __init__(self, **named: Any) -> None:
        super().__init__(min_value=0, max_value=limits.MAX_USD, decimal_places=9, **named)
        self.widget.attrs |= {"step": "any", "inputmode": "decimal"}


class BudgetForm(base.SeenForm):
    """A budget in dollars. Of one that is there only the limit can change."""

    limit_usd = Usd(label="Limit", help_text="US dollars in each period. A change counts for the running one too.")

    class Meta:
        model = Budget
        fields = ("key", "team", "period", "time_zone", "policy")
        help_texts = {
            "key": "For this key,",
            "team": "or for all keys of this team together, or for everybody where both are empty.",
            "time_zone": "Whose midnight it is, e.g. Europe/Berlin.",
            "policy": "strict never goes over the limit; normal sets aside what calls of the kind usually cost.",
        }

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        if not self.instance._state.adding:
            self.initial["limit_usd"] = Decimal(dollars.exact(self.instance.limit_nano_usd))

    def clean_time_zone(self) -> str:
        try:
            return periods.check_zone(self.cleaned_data["time_zone"])
        except periods.NoSuchZone as exc:
            raise forms.ValidationError(str(exc)) from exc

    def clean(self) -> Any:
        cleaned = super().clean()
        if cleaned.get("key") and cleaned.get("team"):
            raise forms.ValidationError("A budget is for a key or for a team, not for both.")
        return cleaned

    def _post_clean(self) -> None:
        # Whom it is for decides its scope, as `limits.create` has it; the row is not built from the form.
        if not self.errors and self.instance._state.adding:
            key, team = self.cleaned_data.get("key"), self.cleaned_data.get("team")
            self.instance.scope = "key" if key else "team" if team else "global"
            self.instance.limit_nano_usd = 0
        super()._post_clean()  # type: ignore[misc]


class BudgetFormSet(BaseInlineFormSet):
    """The budgets of a key or team."""

    def keep(self, by: str) -> None:
        """Begin, change and end what was asked for, through `budgets.limits`."""
        self.new_objects: list[Any] = []
        self.changed_objects: list[Any] = []
        self.deleted_objects: list[Any] = []
        for form in self.forms:
            if form in self.deleted_forms:
                if form.instance.pk:
                    self.deleted_objects.append(limits.end(form.instance.pk, seen=form.cleaned_data["seen"], by=by))
            elif not form.has_changed():
                continue
            elif form.instance.pk:
                budget = limits.set_limit(
                    form.instance.pk, form.cleaned_data["limit_usd"], seen=form.cleaned_data["seen"], by=by
                )
                self.changed_objects.append((budget, form.changed_data))
            else:
                self.new_objects.append(begin(form.cleaned_data, self.instance, by))


def begin(given: Mapping[str, Any], whose: ApiKey | Team | None, by: str) -> Budget:
    """A new budget as a form describes it."""
    return limits.create(
        given["limit_usd"],
        given["period"],
        key=whose if isinstance(whose, ApiKey) else None,
        team=whose if isinstance(whose, Team) else None,
        time_zone=given["time_zone"],
        policy=given["policy"],
        by=by,
    )


class InlineBudgetForm(BudgetForm):
    """A budget within the form of whom it is for."""

    class Meta(BudgetForm.Meta):
        fields = ("period", "time_zone", "policy")  # type: ignore[assignment]

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        if not self.instance._state.adding:
            for name in ("period", "time_zone", "policy"):
                self.fields[name].disabled = True


class _Inline(admin.TabularInline):
    model = Budget
    form = InlineBudgetForm
    formset = BudgetFormSet
    fields = ("limit_usd", "period", "time_zone", "policy", "balance", "seen")
    readonly_fields = ("balance",)
    extra = 0
    verbose_name_plural = "budgets"
    template = "admin/budgets_inline.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = access.visible(super().get_queryset(request), base.scope(request)).filter(ended_at__isnull=True)
        return limits.with_accounts(rows)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """To delete is to end here; the accounts stay."""
        return self.has_change_permission(request, obj)

    @admin.display(description="balance")
    def balance(self, budget: Budget) -> SafeString | str:
        return balances.bar(budget) if budget.pk and hasattr(budget, "running") else "–"


class KeyBudgets(_Inline):
    fk_name = "key"


class TeamBudgets(_Inline):
    fk_name = "team"


class Amount(forms.Form):
    """How much more."""

    usd = Usd(label="US dollars on top", help_text="For the running period only.")


class State(admin.SimpleListFilter):
    """In force, or ended. In force unless asked otherwise."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("ended", "ended"), ("all", "all")]

    def choices(self, changelist: Any) -> Any:
        for choice, name in zip(super().choices(changelist), ("in force", "ended", "all"), strict=True):
            yield {**choice, "display": name}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Budget]) -> QuerySet[Budget]:
        if self.value() == "all" or request.resolver_match.url_name.endswith("_change"):  # type: ignore[union-attr]
            return queryset
        return queryset.filter(ended_at__isnull=self.value() != "ended")


@admin.register(Budget, site=site)
class Budgets(base.ScopedAdmin):
    """Budgets of keys, teams and everybody. A budget ends and is not deleted: its accounts stay."""

    form = BudgetForm
    list_display = ("whose", "period", "policy", "balance", "next_period", "alert")
    list_display_links = ("whose",)
    list_filter = (State, "scope", "period", "policy")
    list_select_related = ("key", "team")
    search_fields = ("key__name", "key__prefix", "team__name")
    ordering = ("scope", "pk")
    actions = ("top_up", "reset_alert", "end")
    change_form_template = "admin/change_form_with_actions.html"
    add_form_template = "admin/change_form_with_actions.html"
    autocomplete_fields = ("key", "team")

    def get_fieldsets(self, request: HttpRequest, obj: Budget | None = None) -> Any:
        fields = ("whose", "balance", "next_period", "alert", "limit_usd") if obj else ("key", "team", "limit_usd")
        return ((None, {"fields": (*fields, "period", "time_zone", "policy", "seen")}),)

    def get_readonly_fields(self, request: HttpRequest, obj: Budget | None = None) -> Any:
        return ("whose", "balance", "next_period", "alert", "period", "time_zone", "policy") if obj else ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Budget]:
        return limits.with_accounts(super().get_queryset(request).select_related("key", "team"))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Budget | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.ended_at is None)

    def get_form(self, request: HttpRequest, obj: Budget | None = None, change: bool = False, **named: Any) -> Any:
        """Managers make budgets for their team and its keys, and for nobody else."""
        form = super().get_form(request, obj, change=change, **named)
        scope = base.scope(request)
        if obj is None and not scope.is_everything:
            own = {
                "key": access.visible(ApiKey.objects.all(), scope),
                "team": access.visible(Team.objects.all(), scope),
            }

            class OwnForm(form):  # type: ignore[misc,valid-type]
                def __init__(self, *arguments: Any, **named: Any) -> None:
                    super().__init__(*arguments, **named)
                    for name, rows in own.items():
                        self.fields[name].queryset = rows

                def clean(self) -> Any:
                    cleaned = super().clean()
                    if not self.errors and not cleaned.get("key") and not cleaned.get("team"):
                        raise forms.ValidationError("Choose a key or your team.")
                    return cleaned

            return OwnForm
        return form

    def save_model(self, request: HttpRequest, obj: Budget, form: Any, change: bool) -> None:
        given, by = form.cleaned_data, base.actor(request)
        if change:
            limits.set_limit(obj.pk, given["limit_usd"], seen=given["seen"], by=by)
        else:
            obj.__dict__.update(begin(given, given["key"] or given["team"], by).__dict__)

    @admin.action(description="Top up the running period", permissions=["change"])
    def top_up(self, request: HttpRequest, rows: QuerySet[Budget]) -> HttpResponse | None:
        def do(budget: Budget, given: Mapping[str, Any]) -> str:
            period = limits.top_up(budget.pk, given["usd"], by=base.actor(request))
            return f"{budget} has {balances.usd(period.limit_nano_usd)} in this period."

        question = base.Question(
            "Top up budgets",
            "More room until the period ends; the next one begins with the limit as it is.",
            "Top up",
            form=Amount,
        )
        return base.ask(self, request, rows, question, do)

    @admin.action(description="Reset the alert", permissions=["change"])
    def reset_alert(self, request: HttpRequest, rows: QuerySet[Budget]) -> HttpResponse | None:
        def do(budget: Budget, _: Mapping[str, Any]) -> str:
            limits.reset_alert(budget.pk, by=base.actor(request))
            return f"{budget} says again when 80 % and all of it are spent."

        question = base.Question("Reset alerts", "They will say again when 80 % and when all is spent.", "Reset")
        return base.ask(self, request, rows, question, do)

    @admin.action(description="End", permissions=["change"])
    def end(self, request: HttpRequest, rows: QuerySet[Budget]) -> HttpResponse | None:
        def do(budget: Budget, _: Mapping[str, Any]) -> str:
            limits.end(budget.pk, by=base.actor(request))
            return f"{budget} has ended."

        question = base.Question("End budgets", "Calls are not counted against them any more.", "End", is_danger=True)
        return base.ask(self, request, rows, question, do)

    @admin.display(description="for")
    def whose(self, budget: Budget) -> str:
        return str(budget.key or budget.team or "everybody")

    @admin.display(description="balance")
    def balance(self, budget: Budget) -> SafeString:
        return balances.bar(budget)

    @admin.display(description="begins anew")
    def next_period(self, budget: Budget) -> str:
        period = limits.account(budget)
        return f"{period.ends_at:%Y-%m-%d %H:%M} UTC" if period and period.ends_at else "–"

    @admin.display(description="alert")
    def alert(self, budget: Budget) -> SafeString | str:
        period = limits.account(budget)
        if budget.ended_at:
            return base.badge("ended")
        if period is None or not period.alerted_percent:
            return "–"
        return format_html(
            "{}", base.badge(f"{period.alerted_percent} %", "bad" if period.alerted_percent >= 100 else "warn")
        )
