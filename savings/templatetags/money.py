"""Amounts as people read them."""

from __future__ import annotations

from django import template

from savings.dashboard import definitions
from savings.models import LedgerEntry

register = template.Library()


@register.filter
def usd(nano_usd: int | None) -> str:
    """Nano-dollars as dollars, "no price" where there is none.

    >>> usd(153_000_000), usd(None)
    ('$0.1530', 'no price')
    """
    return "no price" if nano_usd is None else definitions.text(nano_usd, "nano_usd")


@register.filter
def thousands(number: int | None) -> str:
    """A whole number with separators, "–" where there is none.

    >>> thousands(1234567), thousands(None)
    ('1,234,567', '–')
    """
    return "–" if number is None else f"{number:,}"


@register.filter
def signed_usd(nano_usd: int | None) -> str:
    """Nano-dollars that may be a loss, "–" where nobody knows.

    >>> signed_usd(-153_000_000), signed_usd(None)
    ('−$0.1530', '–')
    """
    return "–" if nano_usd is None else definitions.text(nano_usd, "nano_usd")


@register.filter
def tone(number: int | None) -> str:
    """The class of a number that is good news above zero and bad news below."""
    return "gain" if number and number > 0 else "loss" if number else ""


@register.filter
def outcome(name: str) -> str:
    """What became of the provider's cache, in words.

    >>> outcome("ttl_expiry"), outcome("")
    ('Expired', '')
    """
    return definitions.OUTCOMES[name][0] if name in definitions.OUTCOMES else name


@register.filter
def input_tokens(entry: LedgerEntry) -> int | None:
    """Billed input of every class, `None` where none was reported."""
    classes = (
        entry.input_fresh_tokens,
        entry.cache_read_tokens,
        entry.cache_write_5m_tokens,
        entry.cache_write_1h_tokens,
    )
    known = [tokens for tokens in classes if tokens is not None]
    return sum(known) if known else None


@register.filter
def unlocalized(number: float) -> str:
    """A number as SVG wants it."""
    return f"{number:g}"
