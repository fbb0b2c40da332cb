from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from savings import rollup_sql, rollups, stats, sums
from savings.figures import NAMES, Figures
from savings.models import BucketTotal, DailyRollup, HourlyReason, HourlyRollup, LedgerEntry, RollupMark
from savings.stats import Window
from tests.savings.ledgers import book, make_priced, some_entries, sum_by_hand

pytestmark = pytest.mark.usefixtures("emptied")
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
HOURS = [NOON + timedelta(hours=hour) for hour in (0, 1, 5, 11, 12, 36)]
TABLES = (HourlyRollup, DailyRollup, BucketTotal, HourlyReason)


def everything() -> list[list[dict[str, object]]]:
    """All rollups, as they would be compared by hand: without the ids of their rows."""
    return [
        sorted(
            ({name: value for name, value in row.items() if name != "id"} for row in table.objects.values()),
            key=repr,
        )
        for table in TABLES
    ]


def test_every_figure_has_one_name_in_all_places() -> None:
    assert sums.COLUMNS == NAMES == tuple(sums.EXPRESSIONS)


def test_rollups_add_up_to_what_the_ledger_says() -> None:
    book(*some_entries(300, HOURS))
    rolled = rollups.roll()
    assert (rolled.hours, rolled.days) == (6, 3)
    whole = stats.totals()
    assert whole.calls == 300
    assert whole.cost_nano_usd == sum_by_hand("cost_nano_usd") > 0
    assert whole.saved_nano_usd == sum_by_hand("saved_nano_usd", is_observed=False)
    assert whole.observed_saved_nano_usd == sum_by_hand("saved_nano_usd", is_observed=True)
    assert whole.input_fresh_tokens == sum_by_hand("input_fresh_tokens")
    assert whole.unpriced_calls == LedgerEntry.objects.filter(cost_nano_usd=None).count() > 0
    assert whole.hit_calls == LedgerEntry.objects.filter(cache_outcome="hit").count() > 0
    assert (
        whole.failed_calls + LedgerEntry.objects.filter(http_status=200, status__in=("complete", "partial")).count()
        == 300
    )
    assert Figures.sum(stats.by("model").values()) == whole
    assert Figures.sum(stats.by("project", limit=1).values()) == whole
    for grain in ("hourly", "daily", "weekly", "monthly"):
        assert Figures.sum(bucket.figures for bucket in stats.series(grain)) == whole


def test_a_window_is_made_of_days_and_the_hours_around_them() -> None:
    book(*some_entries(200, HOURS))
    rollups.roll()
    window = Window(NOON + timedelta(hours=1), NOON + timedelta(hours=36, minutes=1))
    with_days = stats.totals(window)
    assert with_days == stats.totals(Window(window.start, NOON + timedelta(hours=37)))
    assert with_days.calls == LedgerEntry.objects.filter(admitted_at__gte=window.start).count()
    inside = stats.totals(window, project="payments")
    assert inside == stats.by("project", window)["payments"]
    assert 0 < inside.calls < with_days.calls
    assert stats.totals(Window(NOON + timedelta(days=900), NOON)) == Figures()
    assert stats.series("monthly", Window(NOON + timedelta(days=900))) == []


def test_weeks_start_on_monday_and_months_on_the_first() -> None:
    sunday = datetime(2026, 3, 1, 23, 59, tzinfo=UTC)
    book(make_priced(sunday), make_priced(sunday + timedelta(minutes=1)))
    rollups.roll()
    assert [bucket.starts_at.date().isoformat() for bucket in stats.series("weekly")] == ["2026-02-23", "2026-03-02"]
    assert [bucket.starts_at.date().isoformat() for bucket in stats.series("monthly")] == ["2026-03-01"]


def test_running_twice_and_summing_all_anew_change_nothing() -> None:
    book(*some_entries(150, HOURS))
    rollups.roll()
    before = everything()
    rollups.roll()
    assert everything() == before
    seen: list[tuple[int, int]] = []
    rollups.roll(everything=True, on_progress=lambda done, total: seen.append((done, total)))
    assert everything() == before
    assert seen[-1] == (9, 9) and [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_an_entry_that_comes_late_reopens_its_hour_only() -> None:
    book(*some_entries(20, HOURS[:1]))
    rollups.roll()
    RollupMark.objects.update(recorded_until=stats.rolled_until() + 2 * rollups.MARGIN)
    assert rollups.roll(margin=timedelta(0)).hours == 0
    book(make_priced(NOON - timedelta(days=40)))
    just_before = LedgerEntry.objects.latest("recorded_at").recorded_at - timedelta(milliseconds=1)
    RollupMark.objects.update(recorded_until=just_before)
    assert rollups.roll(margin=timedelta(0)).hours == 1
    assert stats.totals().calls == 21


def test_nothing_is_left_of_an_hour_that_lost_its_entries() -> None:
    book(*some_entries(5, HOURS[:1]))
    rollups.roll()
    LedgerEntry.objects.all().delete()
    rollups.roll(everything=True)
    assert [table.objects.count() for table in TABLES] == [0, 0, 0, 0]


def test_a_hundred_thousand_projects_are_a_bounded_number_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollup_sql, "MAX_GROUPS", 10)
    entries = [make_priced(NOON, project=f"project {number}") for number in range(100)]
    book(*entries, *[make_priced(NOON + timedelta(minutes=5), project="payments") for _ in range(50)])
    rollups.roll()
    assert HourlyRollup.objects.count() == 11
    assert DailyRollup.objects.count() <= 11
    projects = stats.by("project")
    assert projects["payments"].calls == 50
    assert projects["other"].calls >= 91
    assert stats.totals().calls == 150


def test_labels_as_long_and_as_wide_as_they_may_be_are_rolled_up() -> None:
    wide = "\N{PILE OF POO}" * 200
    book(make_priced(NOON, project=wide, agent=wide, team=wide, key_label=wide, model=wide))
    rollups.roll()
    assert stats.totals().calls == 1


def test_one_run_at_a_time_and_a_dead_one_keeps_nobody_for_long() -> None:
    book(*some_entries(5, HOURS[:1]))
    rollups._claim("somebody")
    with pytest.raises(rollups.Busy):
        rollups.roll()
    assert stats.rolled_until() is None
    RollupMark.objects.update(busy_until=datetime.now(UTC) - timedelta(seconds=1))
    rollups.roll()
    assert stats.totals().calls == 5
    with pytest.raises(rollups.Busy):
        rollups._keep("somebody")
    assert stats.totals().calls == 5


def test_reasons_are_counted_over_requests() -> None:
    book(
        make_priced(NOON, reason="too_small"),
        make_priced(NOON, reason="too_small", attempt=1),
        make_priced(NOON, reason="no_gain", origin="retrieval"),
        make_priced(NOON, reason="not_a_prompt", is_billable=False),
    )
    rollups.roll()
    assert stats.reasons() == {"too_small": 1}
    assert stats.totals().requests == 1
