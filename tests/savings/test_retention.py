from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from budgets import audit, balances, periods
from budgets.models import BudgetPeriod
from savings import ledger, retention, rollups, stats
from savings.models import CallBody, HourlyRollup, LedgerEntry, SealedCost
from tests.budgets.builders import make_budget
from tests.savings.ledgers import book, make_priced, some_entries

pytestmark = pytest.mark.usefixtures("emptied")
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
HOURS = [NOON + timedelta(hours=hour) for hour in (0, 1, 7, 30, 31)]
DAY = timedelta(days=1)


def grow_old() -> None:
    """What was just recorded was recorded yesterday."""
    LedgerEntry.objects.update(recorded_at=Now() - DAY)


def prune(now: datetime = NOON + 2 * DAY, **fields: Any) -> retention.Deleted:
    return retention.prune(now, **{"keep_entries": DAY, "keep_bodies": DAY, **fields})


def figures() -> list[Any]:
    grains: tuple[stats.Grain, ...] = ("hourly", "daily", "weekly", "monthly")
    return [
        stats.totals(),
        stats.by("project"),
        stats.by("model", stats.Window(HOURS[0], HOURS[1])),
        stats.reasons(),
        *(stats.series(grain) for grain in grains),
    ]


def test_figures_are_the_same_when_old_entries_are_gone() -> None:
    book(*some_entries(200, HOURS))
    grow_old()
    rollups.roll()
    before = figures()
    old = LedgerEntry.objects.filter(admitted_at__lt=NOON + DAY).count()
    assert prune().entries == old > 0
    assert LedgerEntry.objects.count() == 200 - old
    assert figures() == before
    rollups.roll(everything=True)
    assert figures() == before
    assert prune().entries == 0


def test_a_late_entry_of_an_hour_that_is_sealed_is_counted_and_sealed_in_its_turn() -> None:
    book(*some_entries(30, HOURS[:1]))
    grow_old()
    rollups.roll()
    prune()
    book(make_priced(NOON + timedelta(minutes=50)), make_priced(NOON, project="<b>shop</b>"))
    rollups.roll()
    assert stats.totals().calls == 32
    assert prune().entries == 0
    before = figures()
    grow_old()
    assert prune().entries == 2
    assert figures() == before
    assert set(HourlyRollup.objects.values_list("source", flat=True)) == {"sealed"}


def test_budgets_still_add_up_in_time_zones_whose_days_begin_at_a_quarter() -> None:
    budgets = [make_budget(9, time_zone=zone) for zone in ("UTC", "Asia/Kathmandu", "Australia/Eucla")]
    entries = [make_priced(NOON.replace(hour=hour, minute=minute)) for hour in range(24) for minute in (0, 14, 44, 45)]
    for entry in entries:
        for budget in budgets:
            at = entry.receipt.admission.admitted_at
            balances.open_period(budget.pk, periods.containing("daily", budget.time_zone, at))
    ledger.record_many(entries, post_balances=balances.post)
    grow_old()
    rollups.roll()
    now = datetime.now(UTC)
    assert audit.audit(now).is_clean
    prune()
    assert LedgerEntry.objects.count() == 0 < SealedCost.objects.count()
    assert audit.audit(now).is_clean
    assert BudgetPeriod.objects.filter(spent_nano_usd__gt=0).count() == 5


def test_bodies_go_first_and_entries_may_stay_for_ever() -> None:
    book(make_priced(NOON))
    grow_old()
    rollups.roll()
    for days in (1, 9):
        CallBody.objects.create(call_id=f"{days:032}", asked=b"", sent=b"", answered=b"")
    CallBody.objects.filter(call_id=f"{9:032}").update(recorded_at=Now() - 9 * DAY)
    assert prune(datetime.now(UTC), keep_entries=None, keep_bodies=7 * DAY) == retention.Deleted(0, 1)


def test_it_waits_for_rollups_and_can_be_told_to_stop() -> None:
    book(*some_entries(20, HOURS))
    grow_old()
    rollups.roll()
    with rollups.alone(), pytest.raises(rollups.Busy):
        prune()
    answers = iter([True, False])
    prune(may_go_on=lambda: next(answers))
    assert SealedCost.objects.exclude(starts_at__gte=NOON + timedelta(hours=1)).count() == SealedCost.objects.count()
