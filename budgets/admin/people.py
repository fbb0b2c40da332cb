"""Those who log in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from budgets import access, people
from budgets.admin import base
from budgets.admin.site import site
from budgets.models import Team


class PersonForm(forms.ModelForm):
    """A name, a role and a team."""

    role = forms.ChoiceField(
        choices=[(role, role) for role in access.ROLES],
        help_text="Owners may do everything. Managers keep the keys and budgets of their team, viewers look at its figures.",
    )
    team = forms.ModelChoiceField(Team.objects.order_by("name"), required=False)

    class Meta:
        model = User
        fields = ("username", "is_active")
        labels = {"is_active": "May log in"}
        help_texts = {"username": "", "is_active": ""}

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        if self.instance.pk:
            membership = getattr(self.instance, "membership", None)
            self.initial.update(
                {"role": people.role_of(self.instance), "team": membership.team_id if membership else None}
            )

    def clean(self) -> Any:
        cleaned = super().clean() or self.cleaned_data
        if (cleaned.get("role") == "owner") != (cleaned.get("team") is None):
            raise forms.ValidationError("Managers and viewers belong to a team, owners to none.")
        return cleaned


@admin.register(User, site=site)
class People(base.ScopedAdmin):
    """People of this proxy. They come in by a link at first and may then set a password."""

    form = PersonForm
    list_display = ("username", "role", "team", "is_active", "last_login")
    search_fields = ("username",)
    ordering = ("username",)
    list_select_related = ("membership__team",)
    actions = ("login_link",)
    change_form_template = "admin/change_form_with_actions.html"

    def get_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        return ("username", "role", "team", "is_active", "last_login") if obj else ("username", "role", "team")

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        return ("username", "last_login") if obj else ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        given, by = form.cleaned_data, base.actor(request)
        if change:
            people.change(obj.username, given["role"], given["team"], is_active=given["is_active"], by=by)
        else:
            obj.__dict__.update(people.create(given["username"], given["role"], given["team"], by=by).__dict__)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Groups are set by `people`."""

    @admin.action(description="Make a link to log in with", permissions=["change"])
    def login_link(self, request: HttpRequest, rows: QuerySet[User]) -> HttpResponse | None:
        if rows.count() != 1:
            self.message_user(request, "One link at a time: it is shown once.", "error")
            return None

        def do(user: User, _: Mapping[str, Any]) -> HttpResponse:
            token = people.login_token(user, by=base.actor(request))
            link = request.build_absolute_uri(f"/login/once?token={token}")
            return base.show_secret(self, request, link, title=f"A link for {user.username}", object=user)

        question = base.Question(
            "Make a link", "Whoever has it logs in as this person, once, within a quarter of an hour.", "Make the link"
        )
        return base.ask(self, request, rows, question, do)

    @admin.display(description="role")
    def role(self, user: User) -> str:
        return people.role_of(user) or "–"

    @admin.display(description="team")
    def team(self, user: User) -> str:
        membership = getattr(user, "membership", None)
        return membership.team.name if membership else "–"
