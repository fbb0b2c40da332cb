"""Prices that go before the public list."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from budgets import prices
from budgets.admin import base
from budgets.admin.site import site
from savings.models import PriceOverride


class PriceForm(base.SeenForm):
    """A price and its time."""

    class Meta:
        model = PriceOverride
        fields = prices.FIELDS
        help_texts = {
            "model": "A name, or the beginning of one followed by *.",
            "cache_read": "USD per million tokens. Empty is the price of fresh input; so are the two below.",
            "valid_from": "UTC, included. Empty is since ever.",
            "valid_until": "UTC, excluded. Empty is for ever.",
        }

    def clean(self) -> Any:
        cleaned = super().clean()
        start, end = cleaned.get("valid_from"), cleaned.get("valid_until")
        if start and end and end <= start:
            raise forms.ValidationError("It must end after it begins.")
        return cleaned


@admin.register(PriceOverride, site=site)
class Prices(base.ScopedAdmin):
    """Negotiated rates, and models that the public list does not know."""

    form = PriceForm
    list_display = ("model", "provider", "input_fresh", "cache_read", "output", "valid_from", "valid_until", "state")
    list_filter = ("provider",)
    search_fields = ("model", "note")
    ordering = ("provider", "model", "-valid_from")
    fieldsets = (
        (None, {"fields": ("provider", "model", "valid_from", "valid_until", "note", "seen")}),
        ("USD per million tokens", {"fields": prices.FIELDS[2:7]}),
    )

    def save_model(self, request: HttpRequest, obj: PriceOverride, form: Any, change: bool) -> None:
        given, by = {name: form.cleaned_data[name] for name in prices.FIELDS}, base.actor(request)
        if change:
            prices.change(obj.pk, given, seen=form.cleaned_data["seen"], by=by)
        else:
            obj.pk = prices.create(given, by=by).pk

    def delete_model(self, request: HttpRequest, obj: PriceOverride) -> None:
        prices.remove(obj.pk, by=base.actor(request))

    @admin.display(description="state")
    def state(self, price: PriceOverride) -> SafeString:
        now = timezone.now()
        if price.valid_until and price.valid_until <= now:
            return base.badge("over")
        return base.badge("later") if price.valid_from and price.valid_from > now else base.badge("in force", "good")
