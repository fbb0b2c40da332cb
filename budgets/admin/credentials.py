"""Providers' credentials: written, and never read again."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters

from budgets import credentials
from budgets.admin import base
from budgets.admin.site import site
from budgets.models import UpstreamCredential


class CredentialForm(base.SeenForm):
    """A credential, and for whom it is put in."""

    secret = forms.CharField(
        label="Credential",
        max_length=credentials.MAX_CHARS,
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "size": 60}),
        help_text="The provider's own key. It is encrypted and never shown again.",
    )

    class Meta:
        model = UpstreamCredential
        fields = ("provider", "key", "team")
        help_texts = {
            "key": "Put in for this key,",
            "team": "or for the keys of this team, or for every key where both are empty.",
        }

    def clean_secret(self) -> str:
        try:
            return credentials.checked(self.cleaned_data["secret"])
        except credentials.BadCredential as exc:
            raise forms.ValidationError(str(exc)) from exc

    def clean(self) -> Any:
        cleaned = super().clean()
        if cleaned.get("key") and cleaned.get("team"):
            raise forms.ValidationError("A credential is for a key or for a team, not for both.")
        return cleaned


@admin.register(UpstreamCredential, site=site)
class Credentials(base.ScopedAdmin):
    """What is put in where a key of ours stands in a provider's place."""

    form = CredentialForm
    list_display = ("provider", "whose", "changed_at")
    list_select_related = ("key", "team")
    list_filter = ("provider",)
    autocomplete_fields = ("key", "team")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("provider", "whose", "changed_at", "secret", "seen") if obj else ("provider", "key", "team", "secret")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("provider", "whose", "changed_at") if obj else ()

    @method_decorator(sensitive_post_parameters("secret"))
    def changeform_view(self, *arguments: Any, **named: Any) -> HttpResponse:
        return super().changeform_view(*arguments, **named)

    def save_model(self, request: HttpRequest, obj: UpstreamCredential, form: Any, change: bool) -> None:
        stored = credentials.put(
            obj.provider, form.cleaned_data["secret"], key=obj.key, team=obj.team, by=base.actor(request)
        )
        obj.pk = stored.pk

    def delete_model(self, request: HttpRequest, obj: UpstreamCredential) -> None:
        credentials.remove(obj.provider, key=obj.key, team=obj.team, by=base.actor(request))

    @admin.display(description="for")
    def whose(self, credential: UpstreamCredential) -> str:
        return str(credential.key or credential.team or "every key")
