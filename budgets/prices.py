"""The only writer of `PriceOverride`: prices that go before the public list, each for a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from budgets import trail, versions
from savings.models import PriceOverride

FIELDS = (
    "provider",
    "model",
    "input_fresh",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "output",
    "valid_from",
    "valid_until",
    "note",
)


class BadPrice(ValueError):
    """A price that cannot be meant."""


class NoSuchPrice(LookupError):
    """No price has this id."""


def create(fields: Mapping[str, Any], *, by: str = trail.COMMAND_LINE) -> PriceOverride:
    """A new price. Calls that are booked from now on and were admitted while it is valid cost that. Raises BadPrice."""
    with transaction.atomic():
        price = PriceOverride()
        _fill(price, fields)
        trail.record("set", price, by=by, **_told(price))
    return price


def change(price_id: int, fields: Mapping[str, Any], *, seen: str = "", by: str = trail.COMMAND_LINE) -> PriceOverride:
    """Another price; entries that are booked keep theirs. Raises BadPrice, NoSuchPrice or versions.ChangedMeanwhile."""
    with transaction.atomic():
        price = _get(price_id)
        versions.check(price, seen)
        before = _told(price)
        _fill(price, fields)
        after = _told(price)
        trail.record("changed", price, by=by, **{name: after[name] for name in after if after[name] != before[name]})
    return price


def remove(price_id: int, *, by: str = trail.COMMAND_LINE) -> None:
    """Forget a price; entries that are booked keep theirs."""
    with transaction.atomic():
        price = _get(price_id)
        trail.record("removed", price, by=by, **_told(price))
        price.delete()


def _get(price_id: int) -> PriceOverride:
    price = PriceOverride.objects.select_for_update().filter(pk=price_id).first()
    if price is None:
        raise NoSuchPrice(f"no price has the id {price_id}")
    return price


def _fill(price: PriceOverride, fields: Mapping[str, Any]) -> None:
    for name in FIELDS:
        if name in fields:
            setattr(price, name, fields[name])
    if "*" in price.model[:-1]:
        raise BadPrice("a model is a name, or the beginning of one followed by *")
    try:
        price.full_clean()
    except ValidationError as exc:
        raise BadPrice("; ".join(exc.messages)) from exc
    price.save()


def _told(price: PriceOverride) -> dict[str, str]:
    return {name: str(getattr(price, name)) for name in FIELDS}
