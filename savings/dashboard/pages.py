"""The pages of figures: lifetime and history. Each is a handful of queries on rollups, however long the ledger is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from savings import live, stats
from savings.dashboard import parts
from savings.dashboard.definitions import tiles
from savings.dashboard.scope import Scope
from savings.figures import Figures

BILL = ("spent", "would_have_been", "saved", "saved_percent", "avoided")
VOLUME = ("requests", "calls", "failed", "unpriced", "tokens_saved", "input_tokens", "output_tokens", "cache_hit")
SPEED = ("overhead", "ttfb", "latency")
GRAINS: tuple[stats.Grain, ...] = get_args(stats.Grain)
REACH = {
    "hourly": timedelta(days=3),
    "daily": timedelta(days=60),
    "weekly": timedelta(days=7 * 53),
    "monthly": timedelta(days=3 * 366),
}
"""How far back each series goes on the page; the export has everything."""


def lifetime(request: HttpRequest, scope: Scope) -> HttpResponse:
    """Everything since the first call."""
    figures = (
        live.lifetime().figures if scope.team is None else stats.totals(stats.EVER, with_imported=False, **scope.labels)
    )
    context = {
        "tab": "lifetime",
        "bill": tiles(figures, BILL + (("would_save",) if figures.observed_calls else ())),
        "volume": tiles(figures, VOLUME),
        "speed": tiles(figures, SPEED),
        "figures": figures,
        "chart": parts.chart(stats.series("weekly", stats.EVER, with_imported=False, **scope.labels)),
        "breakdowns": parts.breakdowns(stats.EVER, scope),
        "reasons": parts.shares(stats.reasons()) if scope.team is None else [],
        "rolled_until": stats.rolled_until(),
    }
    return render(request, "savings/dashboard/lifetime.html", context)


def history(request: HttpRequest, scope: Scope) -> HttpResponse:
    """Hour by hour, day by day, week by week or month by month."""
    asked = request.GET.get("series", "daily")
    grain: stats.Grain = asked if asked in GRAINS else "daily"
    now = datetime.now(UTC)
    window = stats.Window.last(REACH[grain], now)
    buckets = stats.series(grain, window, with_imported=True, **scope.labels)
    figures = Figures.sum(bucket.figures for bucket in buckets)
    context = {
        "tab": "history",
        "grain": grain,
        "grains": GRAINS,
        "bill": tiles(figures, BILL),
        "chart": parts.chart(buckets),
        "rows": [(bucket, tiles(bucket.figures, parts.COLUMNS)) for bucket in reversed(buckets)],
        "columns": tiles(Figures(), parts.COLUMNS),
        "window": window,
    }
    return render(request, "savings/dashboard/history.html", context)
