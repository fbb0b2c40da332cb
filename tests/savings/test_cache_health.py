from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from savings import cache_health, ledger
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


def test_hits_are_a_share_of_what_could_be_read() -> None:
    book("cold_start", "hit", "hit", "hit", "ttl_expiry")
    health = cache_health.of_conversation("a")
    assert health.outcomes == {"cold_start": 1, "hit": 3, "ttl_expiry": 1}
    assert health.hit_share == 0.75
    assert health.read_share == 0.9
    assert health.written_1h_share == pytest.approx(1 / 3)
    assert (health.first_at, health.last_at) == (START, START + timedelta(seconds=4))


def test_what_we_changed_outside_epochs_is_told_apart() -> None:
    book("own_change", transforms=("deep:log", "epoch:size"))
    assert cache_health.of_conversation("a").own_changes_outside_epochs == 0
    book("own_change", transforms=("log",), at=NOON + 10)
    assert cache_health.of_conversation("a").own_changes_outside_epochs == 1


def test_a_session_is_told_by_conversation() -> None:
    book("cold_start", "hit", conversation="b", at=NOON + 100)
    book("cold_start", conversation="a")
    book("hit", conversation="c", session="other")
    found = cache_health.of_session("s")
    assert {name: health.calls for name, health in found.items()} == {"a": 1, "b": 2}
    assert list(found) == ["a", "b"]
    assert [entry.cache_outcome for entry in cache_health.timeline("b")] == ["cold_start", "hit"]


def test_all_calls_of_a_time_are_counted_once() -> None:
    book("hit", "hit", at=NOON)
    book("hit", at=NOON + 3600)
    day = cache_health.overall(START, START + timedelta(hours=1))
    assert (day.calls, day.outcomes) == (2, {"hit": 2})
    assert cache_health.overall(START - timedelta(days=1), START).hit_share is None
