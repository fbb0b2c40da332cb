"""How a budget stands, as a bar and in words."""

from __future__ import annotations

from django.utils.html import format_html
from django.utils.safestring import SafeString

from budgets import dollars, limits
from budgets.models import Budget

NEAR_PERCENT = 80


def share(budget: Budget) -> float:
    """How much of a budget is spent, as a share of its limit."""
    period = limits.account(budget)
    if period is None:
        return 0.0
    return period.spent_nano_usd / period.limit_nano_usd if period.limit_nano_usd else 1.0


def bar(budget: Budget) -> SafeString:
    """Spent, set aside and the limit."""
    period = limits.account(budget)
    limit = period.limit_nano_usd if period else budget.limit_nano_usd
    spent = period.spent_nano_usd if period else 0
    aside = period.held_nano_usd + period.leased_nano_usd if period else 0
    spent_percent = _percent(spent, limit)
    aside_percent = min(_percent(aside, limit), 100 - spent_percent)
    kind = "over" if spent_percent >= 100 else "near" if spent_percent >= NEAR_PERCENT else ""
    words = f"{usd(spent)} of {usd(limit)}" + (f", {usd(aside)} set aside" if aside else "")
    return format_html(
        '<span class="balance {kind}"><svg role="img" aria-label="{percent} % spent" preserveAspectRatio="none" viewBox="0 0 100 1">'
        '<rect class="spent" width="{spent}" height="1"/><rect class="set-aside" x="{spent}" width="{aside}" height="1"/>'
        "</svg><span>{words}</span></span>",
        kind=kind,
        percent=f"{spent_percent:.0f}",
        spent=f"{spent_percent:.2f}",
        aside=f"{aside_percent:.2f}",
        words=words,
    )


def usd(nano_usd: int) -> str:
    """Dollars to the cent, and finer where cents would say nothing."""
    value = nano_usd / dollars.NANO_PER_USD
    return f"${value:,.4f}" if 0 < value < 1 else f"${value:,.2f}"


def _percent(part: int, limit: int) -> float:
    if not limit:
        return 100.0
    return min(100.0, max(0.0, 100 * part / limit))
