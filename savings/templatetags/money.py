"""Amounts as people read them."""

from __future__ import annotations

from decimal import Decimal

from django import template

register = template.Library()


@register.filter
def usd(nano_usd: int | None) -> str:
    """Nano-dollars as dollars, "no price" where there is none.

    >>> usd(153_000_000), usd(None)
    ('$0.1530', 'no price')
    """
    return "no price" if nano_usd is None else f"${Decimal(nano_usd) / 1_000_000_000:,.4f}"


@register.filter
def thousands(number: int | None) -> str:
    """A whole number with separators, "–" where there is none.

    >>> thousands(1234567), thousands(None)
    ('1,234,567', '–')
    """
    return "–" if number is None else f"{number:,}"
