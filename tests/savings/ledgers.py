"""Ledgers for figures: entries of many kinds, booked as the flusher books them."""

from __future__ import annotations

import random
from datetime import datetime
from typing import Any

from savings import ledger
from savings.models import LedgerEntry
from savings.pricing import PriceBook, PricedReceipt, Saving
from savings.receipts import Receipt, Usage
from tests.savings.receipts import make_admission, make_settlement

BOOK = PriceBook()
OUTCOMES = ("hit", "ttl_expiry", "prefix_change", "own_change", "cold_start", "unknown", "")


def make_priced(admitted_at: datetime, *, saving: Saving | None = None, **fields: Any) -> PricedReceipt:
    """A priced call; `usage` and what a settlement holds are told apart by name."""
    settled = {name: fields.pop(name) for name in list(fields) if name in SETTLED}
    settled.setdefault("model", fields.get("model", "claude-sonnet-4-5"))
    admission = make_admission(admitted_at=admitted_at.timestamp(), **fields)
    settlement = make_settlement(admission.call_id, settled_at=admitted_at.timestamp() + 1, **settled)
    priced = BOOK.priced(Receipt(admission, settlement))
    if saving is None:
        return priced
    return PricedReceipt(priced.receipt, priced.usage, priced.basis, priced.price, saving)


SETTLED = frozenset(
    {"counterfactual", "status", "http_status", "usage", "latency_ms", "overhead_ms", "ttfb_ms", "error"}
)


def book(*entries: PricedReceipt) -> None:
    for start in range(0, len(entries), ledger.MAX_ROWS):
        ledger.record_many(entries[start : start + ledger.MAX_ROWS])


def some_entries(count: int, hours: list[datetime], *, seed: int = 1) -> list[PricedReceipt]:
    """Calls of every kind, spread over the first half of these hours."""
    chance = random.Random(seed)
    return [
        make_priced(
            chance.choice(hours).replace(minute=chance.randrange(30), second=chance.randrange(60)),
            saving=Saving(
                chance.choice((None, -7, 1_234_567)), chance.choice((None, 99)), "exact", chance.choice(OUTCOMES)
            ),
            attempt=chance.choice((0, 0, 0, 1)),
            origin=chance.choice(("client", "client", "retrieval", "response_cache")),
            model=chance.choice(("claude-sonnet-4-5", "no-such-model")),
            agent=chance.choice(("claude-code", "codex")),
            project=chance.choice(("", "payments", "<b>shop</b>")),
            team=chance.choice(("", "core")),
            reason=chance.choice(("", "too_small", "no_gain")),
            is_observed=chance.random() < 0.1,
            status=chance.choice(("complete", "complete", "partial", "interrupted")),
            http_status=chance.choice((200, 200, 200, 429)),
            usage=Usage(chance.randrange(9999), chance.choice((0, 5000)), chance.choice((None, 300)), 0, 77, None),
            overhead_ms=chance.choice((None, 1.5, 0.25)),
            ttfb_ms=chance.random() * 1000,
        )
        for _ in range(count)
    ]


def sum_by_hand(column: str, **which: Any) -> int:
    """What a reader would add up, row by row."""
    return sum(value or 0 for value in LedgerEntry.objects.filter(**which).values_list(column, flat=True))
