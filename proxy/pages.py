"""Cache health on the dashboard: what became of the provider's prompt cache, and of ours doing to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from proxy.models import EpochRecord
from savings import stats
from savings.dashboard.definitions import text
from savings.dashboard.scope import Scope
from savings.figures import Figures, percent
from savings.models import LedgerEntry

REACH = timedelta(days=30)
NEWEST_CALLS = 2000
"""Conversations are looked for among so many of the newest calls: what a page may read, however long the ledger is."""
CONVERSATIONS = 40
EPOCHS = 40

OUTCOMES: dict[str, tuple[str, str]] = {
    "hit": ("Read as expected", "The provider read from its cache what an earlier request had written."),
    "cold_start": ("First of its kind", "Nothing could be there yet: a new conversation, or a new prompt."),
    "ttl_expiry": ("Expired", "The pause was longer than the provider keeps a prompt: five minutes, or an hour."),
    "prefix_change": ("Changed by the client", "The client sent its history differently from before."),
    "own_change": ("Changed by us", "An epoch of ours re-wrote older results; outside of those this must be 0."),
    "unknown": ("Nobody knows", "The provider read less than expected and nothing here explains it."),
}


@dataclass(slots=True)
class Conversation:
    """What the newest calls say of one conversation, newest first. Money is in nano-dollars."""

    name: str
    newest: LedgerEntry
    calls: int = 0
    cost: int = 0
    saved: int = 0
    read_tokens: int = 0
    input_tokens: int = 0
    misses: dict[str, int] = field(default_factory=dict)

    @property
    def read_percent(self) -> float:
        return percent(self.read_tokens, self.input_tokens)

    @property
    def reasons(self) -> list[tuple[str, int]]:
        """The misses by their reason, in words."""
        return [(OUTCOMES[outcome][0], count) for outcome, count in self.misses.items()]


def cache_health(request: HttpRequest, scope: Scope) -> HttpResponse:
    """The last thirty days, the conversations of the newest calls, and the newest epochs."""
    window = stats.Window.last(REACH, datetime.now(UTC))
    figures = stats.totals(window, with_imported=False, **scope.labels)
    newest = scope.of(LedgerEntry.objects.order_by("-admitted_at").exclude(conversation=""))[:NEWEST_CALLS]
    epochs = EpochRecord.objects.order_by("-created_at")[:EPOCHS] if scope.team is None else []
    context = {
        "tab": "cache",
        "window": window,
        "figures": figures,
        "outcomes": outcomes(figures),
        "lifetimes": lifetimes(figures),
        "conversations": conversations(newest)[:CONVERSATIONS],
        "epochs": epochs,
        "sees_epochs": scope.team is None,
    }
    return render(request, "proxy/cache_health.html", context)


def outcomes(figures: Figures) -> list[tuple[str, str, str, int, str]]:
    """Each outcome with its title, meaning, number of calls and share."""
    counts = {
        "hit": figures.hit_calls,
        "cold_start": figures.cold_start_calls,
        "ttl_expiry": figures.ttl_expiry_calls,
        "prefix_change": figures.prefix_change_calls,
        "own_change": figures.own_change_calls,
        "unknown": figures.unknown_miss_calls,
    }
    total = sum(counts.values())
    return [
        (name, title, meaning, counts[name], text(percent(counts[name], total), "percent"))
        for name, (title, meaning) in OUTCOMES.items()
    ]


def lifetimes(figures: Figures) -> list[tuple[str, int, str]]:
    """What was written to the provider's cache for five minutes and for an hour: tokens, and the share."""
    written = figures.cache_write_tokens
    return [
        ("5 minutes", figures.cache_write_5m_tokens, text(percent(figures.cache_write_5m_tokens, written), "percent")),
        ("1 hour", figures.cache_write_1h_tokens, text(percent(figures.cache_write_1h_tokens, written), "percent")),
    ]


def conversations(newest: Iterable[LedgerEntry]) -> list[Conversation]:
    """The conversations among these calls, which come newest first."""
    found: dict[str, Conversation] = {}
    for entry in newest:
        seen = found.setdefault(entry.conversation, Conversation(entry.conversation, entry))
        seen.calls += 1
        seen.cost += entry.cost_nano_usd or 0
        seen.saved += 0 if entry.is_observed else entry.saved_nano_usd or 0
        seen.read_tokens += entry.cache_read_tokens or 0
        seen.input_tokens += (
            (entry.input_fresh_tokens or 0)
            + (entry.cache_read_tokens or 0)
            + (entry.cache_write_5m_tokens or 0)
            + (entry.cache_write_1h_tokens or 0)
        )
        if entry.cache_outcome in OUTCOMES and entry.cache_outcome != "hit":
            seen.misses[entry.cache_outcome] = seen.misses.get(entry.cache_outcome, 0) + 1
    return list(found.values())
