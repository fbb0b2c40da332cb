"""The first page: what the running server has done since it started, live."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from savings import live, stats
from savings.dashboard import parts
from savings.dashboard.definitions import tiles
from savings.dashboard.pages import BILL, SPEED, VOLUME
from savings.dashboard.scope import Scope
from savings.figures import Figures

TODAY = timedelta(days=1)
MODELS = 12


def page(request: HttpRequest, scope: Scope) -> HttpResponse:
    """The session, or for a team its day: live figures are of everybody."""
    if scope.team is not None:
        return _todays(request, scope)
    running = live.live()
    by_model = [
        (name or "(none)", tiles(figures, parts.COLUMNS)) for name, figures in list(running.by_model.items())[:MODELS]
    ]
    context = {
        "tab": "session",
        "started_at": running.started_at,
        "workers": running.workers,
        "bill": tiles(running.figures, _bill(running.figures)),
        "volume": tiles(running.figures, VOLUME),
        "speed": tiles(running.figures, SPEED),
        "figures": running.figures,
        "breakdowns": [parts.Breakdown("model", "Model", tiles(Figures(), parts.COLUMNS), by_model)],
        "reasons": parts.shares(running.reasons),
        "refused": running.refused,
        "is_live": True,
    }
    return render(request, "savings/dashboard/session.html", context)


def _todays(request: HttpRequest, scope: Scope) -> HttpResponse:
    window = stats.Window.last(TODAY, datetime.now(UTC))
    figures = _of_today(scope)
    context = {
        "tab": "session",
        "started_at": window.start,
        "bill": tiles(figures, _bill(figures)),
        "volume": tiles(figures, VOLUME),
        "speed": tiles(figures, SPEED),
        "figures": figures,
        "breakdowns": parts.breakdowns(window, scope),
        "rolled_until": stats.rolled_until(),
    }
    return render(request, "savings/dashboard/session.html", context)


def news(scope: Scope) -> str:
    """What open pages are told, as JSON: the tiles of the session and a number that changes with all other figures."""
    figures = live.live().figures if scope.team is None else _of_today(scope)
    found = tiles(figures, (*_bill(figures), *VOLUME, *SPEED))
    shown = {tile.name: {key: asdict(tile)[key] for key in ("number", "text", "tone")} for tile in found}
    return json.dumps({"tiles": shown, "revision": stats.revision()})


def _of_today(scope: Scope) -> Figures:
    return stats.totals(stats.Window.last(TODAY, datetime.now(UTC)), with_imported=False, **scope.labels)


def _bill(figures: Figures) -> tuple[str, ...]:
    return BILL + (("would_save",) if figures.observed_calls else ())
