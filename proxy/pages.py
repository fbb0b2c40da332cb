"""Cache health on the dashboard: what became of the provider's prompt cache, and of ours doing to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from proxy.models import EpochRecord
from savings import cache_health as health
from savings import stats
from savings.cache_health import EPOCH, Health
from savings.dashboard.definitions import OUTCOMES, Tile, text
from savings.dashboard.scope import Scope
from savings.figures import Figures, percent
from savings.models import LedgerEntry

REACH = timedelta(days=30)
NEWEST_CALLS = 2000
"""Conversations are looked for among so many of the newest calls: what a page may read, however long the ledger is."""
CONVERSATIONS = 40
EPOCHS = 40
TURNS = 300
"""Of a long conversation the newest calls are drawn."""


@dataclass(slots=True)
class Conversation:
    """What the newest calls say of one conversation, newest first. Money is in nano-dollars."""

    name: str
    newest: LedgerEntry
    calls: int = 0
    cost: int = 0
    saved: int = 0
    would_save: int = 0
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
    recent = LedgerEntry.objects.filter(admitted_at__gte=window.start).order_by("-admitted_at")
    newest = [entry for entry in scope.of(recent)[:NEWEST_CALLS] if entry.conversation]
    epochs = EpochRecord.objects.order_by("-created_at")[:EPOCHS] if scope.team is None else []
    context = {
        "tab": "cache",
        "window": window,
        "figures": figures,
        "outcomes": outcomes(figures),
        "lifetimes": lifetimes(figures),
        "conversations": conversations(newest)[:CONVERSATIONS],
        "newest_calls": len(newest),
        "own_changes": sum(health.is_own_change_outside_epochs(entry) for entry in newest),
        "epochs": epochs,
        "sees_epochs": scope.team is None,
    }
    return render(request, "proxy/cache_health.html", context)


@dataclass(frozen=True, slots=True)
class Turn:
    """A call of a conversation as a bar: heights in percent of the largest prompt, one on the other from the bottom."""

    entry: LedgerEntry
    place: int
    pause: timedelta | None
    read: float
    written: float
    fresh: float

    @property
    def above(self) -> float:
        """Where the fresh part begins."""
        return self.read + self.written

    @property
    def epoch(self) -> str:
        """What an epoch that began here was for, else nothing."""
        return next((form.partition(EPOCH)[2] for form in self.entry.transforms if EPOCH in form), "")

    @property
    def meaning(self) -> str:
        return OUTCOMES[self.entry.cache_outcome][1] if self.entry.cache_outcome in OUTCOMES else ""

    @property
    def is_told(self) -> bool:
        """Whether something happened here that is worth a line."""
        return bool(self.epoch) or self.entry.cache_outcome not in ("hit", "")


def conversation(request: HttpRequest, scope: Scope, name: str) -> HttpResponse:
    """One conversation, call by call: what was read from the provider's cache, and why not more."""
    entries = scope.of(LedgerEntry.objects.filter(conversation=name))
    newest = list(entries.order_by("-admitted_at", "-id")[:TURNS])
    if not newest:
        raise Http404
    drawn = turns(newest[::-1])
    context = {
        "tab": "cache",
        "name": name,
        "newest": newest[0],
        "tiles": _tiles(health.of(entries)),
        "summary": conversations(newest)[0],
        "turns": drawn,
        "told": [turn for turn in drawn if turn.is_told][::-1],
        "is_cut": len(newest) == TURNS,
        "sees_epochs": scope.team is None,
    }
    return render(request, "proxy/conversation.html", context)


def turns(entries: list[LedgerEntry]) -> list[Turn]:
    """Calls, oldest first, as bars."""
    sizes = [
        (
            one.cache_read_tokens or 0,
            (one.cache_write_5m_tokens or 0) + (one.cache_write_1h_tokens or 0),
            one.input_fresh_tokens or 0,
        )
        for one in entries
    ]
    largest = max(map(sum, sizes)) or 1
    pauses = [None, *(after.admitted_at - before.admitted_at for before, after in pairwise(entries))]
    return [
        Turn(entry, place, pause, *(round(100 * tokens / largest, 2) for tokens in size))
        for place, (entry, pause, size) in enumerate(zip(entries, pauses, sizes, strict=True))
    ]


def _tiles(found: Health) -> list[Tile]:
    """The health of one conversation."""
    shares = (
        ("hit_share", "Read as expected", "Hits among the calls that had something to read.", found.hit_share),
        ("read_share", "Read from cache", "The share of billed input that was read from the cache.", found.read_share),
        ("written_1h", "Kept for an hour", "Of what was written to the cache; else 5 minutes.", found.written_1h_share),
    )
    own = found.own_changes_outside_epochs
    return [
        *(
            Tile(name, title, meaning, share or 0, "–" if share is None else text(100 * share, "percent"), "")
            for name, title, meaning, share in shares
        ),
        Tile(
            "own_changes",
            "Changed by us outside of epochs",
            "Must be 0: what was sent once is sent again, letter for letter.",
            own,
            text(own, "count"),
            "loss" if own else "",
        ),
    ]


def outcomes(figures: Figures) -> list[tuple[str, str, str, int, str]]:
    """Each outcome with its title, meaning, number of calls and share."""
    counts = figures.cache_outcomes
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
        if entry.is_observed:
            seen.would_save += entry.saved_nano_usd or 0
        else:
            seen.saved += entry.saved_nano_usd or 0
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
