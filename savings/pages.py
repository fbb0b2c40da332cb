"""The dashboard: what went through, what it cost, what was saved."""

from __future__ import annotations

from datetime import UTC, datetime

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from savings import figures, stats

RECENT_CALLS = 50


def dashboard(request: HttpRequest) -> HttpResponse:
    """`/dashboard`, open on this machine only."""
    if request.META.get("REMOTE_ADDR") not in ("127.0.0.1", "::1", ""):
        return render(request, "savings/elsewhere.html", status=403)
    return render(
        request,
        "savings/dashboard.html",
        {"overview": stats.overview(datetime.now(UTC)), "calls": stats.recent(RECENT_CALLS), "nano": figures.NANO},
    )
