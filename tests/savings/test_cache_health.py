from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from savings import cache_health, ledger
from savings.models import LedgerEntry
from savings.pricing import PriceBook
from savings.receipts import CacheOutcome, Usage
from tests.savings.receipts import NOON, make_receipt

pytestmark = pytest.mark.usefixtures("database")
START = datetime.fromtimestamp(NOON, UTC)


def book(
    *outcomes: CacheOutcome, conversation: str = "a", session: str = "s", at: float = NOON, **fields: object
) -> None:
    receipts = [
        make_receipt(
            {"conversation": conversation, "session": session, "admitted_at": at + n, **fields},
            usage=Usage(10, 900, 60, 30, 5),
            cache_outcome=outcome,
        )
        for n, outcome in enumerate(outcomes)
    ]
    ledger.record_many([PriceBook().priced(receipt) for receipt in receipts])


def health_of(conversation: str) -> cache_health.Health:
    return cache_health.of(LedgerEntry.objects.filter(conversation=conversation))


def test_hits_are_a_share_of_what_could_be_read() -> None:
    book("cold_start", "hit", "hit", "hit", "ttl_expiry")
    health = health_of("a")
    assert health.outcomes == {"cold_start": 1, "hit": 3, "ttl_expiry": 1}
    assert health.hit_share == 0.75
    assert health.read_share == 0.9
    assert health.written_1h_share == pytest.approx(1 / 3)
    assert (health.first_at, health.last_at) == (START, START + timedelta(seconds=4))


def test_what_we_changed_outside_epochs_is_told_apart() -> None:
    book("own_change", transforms=("deep:log", "epoch:size"))
    assert health_of("a").own_changes_outside_epochs == 0
    book("own_change", transforms=("log",), at=NOON + 10)
    assert health_of("a").own_changes_outside_epochs == 1


def test_calls_of_other_conversations_are_not_counted() -> None:
    book("hit", "hit")
    book("hit", conversation="b")
    assert health_of("a").calls == 2
    assert (health_of("c").calls, health_of("c").hit_share, health_of("c").read_share) == (0, None, None)
