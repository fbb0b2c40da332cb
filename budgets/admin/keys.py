"""Keys: issue, change, rotate, revoke."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.safestring import SafeString

from budgets import access, keys, limits
from budgets.admin import balances, base
from budgets.admin.budgets import KeyBudgets
from budgets.admin.site import site
from budgets.models import ApiKey, Budget, Team


class KeyForm(base.SeenForm):
    """What people choose about a key."""

    label_lines = base.Lines(label="Labels", required=False, help_text="One NAME=VALUE each line.")
    model_lines = base.Lines(
        label="Models", required=False, help_text="Only these, one each line; may end in *. Empty is every model."
    )
    route_lines = base.Lines(
        label="Routes", required=False, help_text="Only these, one each line, as in /v1/messages. Empty is every route."
    )
    upstream_lines = base.Lines(
        label="Upstreams", required=False, help_text="Only anthropic, openai or these addresses. Empty is every one."
    )

    class Meta:
        model = ApiKey
        fields = ("name", "team", "expires_at", "requests_per_minute", "tokens_per_minute", "is_admin")
        labels = {"is_admin": "May manage"}
        help_texts = {
            "team": "Keys of a team share budgets and what can be retrieved. Without a team a key is on its own.",
            "expires_at": "UTC. Empty is never.",
            "requests_per_minute": "Empty is what the settings say, 0 is no limit.",
            "tokens_per_minute": "Empty is what the settings say, 0 is no limit.",
            "is_admin": "The key may make, change and revoke keys, teams and budgets through the API: those of its team, or all where it has none.",
        }

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        key: ApiKey = self.instance
        self.initial.setdefault("label_lines", base.lines(f"{name}={value}" for name, value in key.labels.items()))
        self.initial.setdefault("model_lines", base.lines(key.allowed_models))
        self.initial.setdefault("route_lines", base.lines(key.allowed_routes))
        self.initial.setdefault("upstream_lines", base.lines(key.allowed_upstreams))

    def clean(self) -> Any:
        cleaned = super().clean()
        if not self.errors:
            try:
                keys.check(self.shape())
            except (keys.BadName, keys.BadPermission) as exc:
                raise forms.ValidationError(str(exc)) from exc
        return cleaned

    def shape(self) -> keys.Shape:
        """The shape that was asked for."""
        given = self.cleaned_data
        pairs = [line.partition("=") for line in given["label_lines"]]
        if any(not separator for _, separator, _ in pairs):
            raise keys.BadName("a label is NAME=VALUE")
        team: Team | None = given.get("team")
        return keys.Shape(
            name=given["name"],
            team=team.name if team else "",
            labels={name.strip(): value.strip() for name, _, value in pairs},
            expires_at=given["expires_at"],
            permissions=keys.Permissions(
                models=given["model_lines"],
                routes=given["route_lines"],
                upstreams=given["upstream_lines"],
                requests_per_minute=given["requests_per_minute"],
                tokens_per_minute=given["tokens_per_minute"],
            ),
            is_admin=given["is_admin"],
        )


class Overlap(forms.Form):
    """How long the old secret goes on."""

    hours = forms.FloatField(
        label="Hours that the old secret still works",
        initial=24,
        min_value=0,
        max_value=keys.MAX_OVERLAP.days * 24,
        help_text="0 where it has leaked.",
    )


class State(admin.SimpleListFilter):
    """Active, revoked or expired."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("active", "active"), ("expired", "expired"), ("revoked", "revoked")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        is_expired = Q(expires_at__lte=timezone.now())
        if self.value() == "active":
            return queryset.filter(~is_expired | Q(expires_at__isnull=True), revoked_at__isnull=True)
        if self.value() == "expired":
            return queryset.filter(is_expired, revoked_at__isnull=True)
        return queryset.filter(revoked_at__isnull=False) if self.value() == "revoked" else queryset


class TeamFilter(admin.RelatedFieldListFilter):
    """By team, of those that one sees."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> Any:
        teams = access.visible(Team.objects.order_by("name"), base.scope(request))
        return [(team.pk, team.name) for team in teams]


@admin.register(ApiKey, site=site)
class Keys(base.ScopedAdmin):
    """Keys of this proxy. A key is never deleted: what it did stays on record."""

    form = KeyForm
    list_display = ("name", "begins_with", "team", "state", "balance", "expires_at", "created_at")
    list_filter = (State, ("team", TeamFilter))
    list_select_related = ("team",)
    search_fields = ("name", "prefix", "team__name")
    ordering = ("-created_at",)
    actions = ("rotate", "revoke")
    inlines = (KeyBudgets,)
    readonly_fields = ("begins_with", "state", "old_secret", "created_at")
    change_form_template = "admin/change_form_with_actions.html"
    add_form_template = "admin/change_form_with_actions.html"

    def get_fieldsets(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        known = (("begins_with", "state"), "old_secret", "created_at") if obj else ()
        return (
            (None, {"fields": ("name", "team", "label_lines", "expires_at", *known, "seen")}),
            ("Limits", {"fields": ("requests_per_minute", "tokens_per_minute")}),
            ("May be used for", {"fields": ("model_lines", "route_lines", "upstream_lines", "is_admin")}),
        )

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiKey]:
        budgets = limits.with_accounts(Budget.objects.filter(ended_at__isnull=True))
        return super().get_queryset(request).prefetch_related(Prefetch("budgets", budgets, to_attr="in_force"))

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **named: Any) -> Any:
        """Managers choose among their own team."""
        scope = base.scope(request)
        if db_field.name == "team" and not scope.is_everything:
            named |= {
                "queryset": access.visible(Team.objects.all(), scope),
                "initial": scope.team_id,
                "empty_label": None,
            }
            field = super().formfield_for_foreignkey(db_field, request, **named)
            if field is not None:
                field.required = True
            return field
        return super().formfield_for_foreignkey(db_field, request, **named)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """Revoked keys are only looked at."""
        return super().has_change_permission(request, obj) and (obj is None or obj.revoked_at is None)

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        if change:
            keys.change(str(obj.pk), form.shape(), seen=form.cleaned_data["seen"], by=base.actor(request))
            return
        key, secret = keys.issue(form.shape(), by=base.actor(request))
        obj.__dict__.update(key.__dict__)
        request.new_secret = secret  # type: ignore[attr-defined]

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        formset.keep(base.actor(request))

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        secret: str = request.new_secret  # type: ignore[attr-defined]
        return base.show_secret(self, request, secret, title=f"Key {obj.name}", is_key=True, object=obj)

    @admin.action(description="Rotate: a new secret", permissions=["change"])
    def rotate(self, request: HttpRequest, rows: QuerySet[ApiKey]) -> HttpResponse | None:
        if rows.count() != 1:
            self.message_user(request, "Rotate one key at a time: its new secret is shown once.", "error")
            return None

        def do(key: ApiKey, given: Mapping[str, Any]) -> HttpResponse:
            overlap = timedelta(hours=given["hours"])
            key, secret = keys.rotate(str(key.pk), overlap=overlap, by=base.actor(request))
            return base.show_secret(
                self, request, secret, title=f"Key {key.name}", is_key=True, object=key, hours=f"{given['hours']:g}"
            )

        question = base.Question(
            "Rotate a key", "It gets a new secret. The old one goes on working for a while.", "Rotate", form=Overlap
        )
        return base.ask(self, request, rows, question, do)

    @admin.action(description="Revoke", permissions=["change"])
    def revoke(self, request: HttpRequest, rows: QuerySet[ApiKey]) -> HttpResponse | None:
        def do(key: ApiKey, _: Mapping[str, Any]) -> str:
            keys.revoke(str(key.pk), by=base.actor(request))
            return f"{key.name} is revoked; every worker refuses it within two seconds."

        question = base.Question(
            "Revoke keys", "They stop working within two seconds, for good.", "Revoke", is_danger=True
        )
        return base.ask(self, request, rows, question, do)

    @admin.display(description="begins with", ordering="prefix")
    def begins_with(self, key: ApiKey) -> str:
        return f"{key.prefix}…"

    @admin.display(description="state")
    def state(self, key: ApiKey) -> SafeString:
        if key.revoked_at:
            return base.badge("revoked", "bad")
        if key.expires_at and key.expires_at <= timezone.now():
            return base.badge("expired", "warn")
        return base.badge("manages" if key.is_admin else "active", "good")

    @admin.display(description="old secret works until")
    def old_secret(self, key: ApiKey) -> str:
        until = key.previous_expires_at
        return f"{until:%Y-%m-%d %H:%M} UTC" if until and until > timezone.now() else "–"

    @admin.display(description="budget")
    def balance(self, key: ApiKey) -> SafeString | str:
        """The budget of its own that has least room."""
        in_force: list[Budget] = key.in_force  # type: ignore[attr-defined]
        return balances.bar(max(in_force, key=balances.share)) if in_force else "–"
