"""Figures for pages and APIs, read from the ledger's newest end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Q, QuerySet, Sum

from savings.models import LedgerEntry

WINDOW = timedelta(hours=24)
NANO = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Overview:
    """The last 24 hours. Tokens before, after and saved are our estimates; dollars are what providers charged.

    `unpriced` counts calls that have no known price: they are in no sum of dollars.
    """

    calls: int
    not_whole: int
    tokens_before: int
    tokens_saved: int
    cost_usd: float
    unpriced: int

    @property
    def saved_percent(self) -> float:
        return 100 * self.tokens_saved / self.tokens_before if self.tokens_before else 0.0


def overview(now: datetime) -> Overview:
    """Sum up the last 24 hours."""
    sums = LedgerEntry.objects.filter(admitted_at__gt=now - WINDOW).aggregate(
        calls=Count("id"),
        not_whole=Count("id", filter=~Q(status="complete")),
        before=Sum("tokens_before"),
        saved=Sum("tokens_saved"),
        cost=Sum("cost_nano_usd"),
        unpriced=Count("id", filter=Q(cost_nano_usd__isnull=True)),
    )
    return Overview(
        calls=sums["calls"],
        not_whole=sums["not_whole"],
        tokens_before=sums["before"] or 0,
        tokens_saved=sums["saved"] or 0,
        cost_usd=(sums["cost"] or 0) / NANO,
        unpriced=sums["unpriced"],
    )


def recent(limit: int) -> QuerySet[LedgerEntry]:
    """The newest calls, newest first."""
    return LedgerEntry.objects.order_by("-admitted_at")[:limit]
