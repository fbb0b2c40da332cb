from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budgets import periods

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Havana",
    "Asia/Beirut",
    "Australia/Lord_Howe",
    "Pacific/Apia",
]


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("kind", "zone", "moment", "starts", "ends"),
    [
        ("hourly", "Asia/Kolkata", "2026-05-05T10:59:59Z", "2026-05-05T10:00Z", "2026-05-05T11:00Z"),
        ("daily", "UTC", "2026-05-05T00:00Z", "2026-05-05T00:00Z", "2026-05-06T00:00Z"),
        ("daily", "America/New_York", "2026-05-05T03:59Z", "2026-05-04T04:00Z", "2026-05-05T04:00Z"),
        ("weekly", "UTC", "2026-05-10T23:59Z", "2026-05-04T00:00Z", "2026-05-11T00:00Z"),
        ("monthly", "Europe/Berlin", "2026-12-31T23:30Z", "2026-12-31T23:00Z", "2027-01-31T23:00Z"),
        ("monthly", "UTC", "2028-02-29T12:00Z", "2028-02-01T00:00Z", "2028-03-01T00:00Z"),
    ],
)
def test_a_period_is_what_people_there_call_it(kind, zone, moment, starts, ends) -> None:
    assert periods.containing(kind, zone, at(moment)) == periods.Span(at(starts), at(ends))


@pytest.mark.parametrize(
    ("zone", "moment", "hours"),
    [
        ("Europe/Berlin", "2026-03-29T12:00Z", 23),
        ("Europe/Berlin", "2026-10-25T12:00Z", 25),
        ("Australia/Lord_Howe", "2026-10-04T02:00Z", 23.5),
        ("Asia/Beirut", "2026-03-29T12:00Z", 23),  # there is no midnight on that day
        ("America/Havana", "2026-11-01T12:00Z", 25),  # there are two
    ],
)
def test_days_on_which_clocks_change_are_shorter_or_longer(zone, moment, hours) -> None:
    span = periods.containing("daily", zone, at(moment))
    assert span.ends_s is not None
    assert span.ends_s - span.starts_s == hours * 3600


def test_a_total_has_no_end() -> None:
    span = periods.containing("total", "UTC", at("2026-05-05T00:00Z"))
    assert (span.starts_at, span.ends_at) == (datetime(1970, 1, 1, tzinfo=UTC), None)


@given(st.sampled_from(periods.KINDS), st.sampled_from(ZONES), st.integers(1_230_000_000, 2_110_000_000))
def test_periods_follow_each_other_without_gap_or_overlap(kind, zone, second) -> None:
    span = periods.containing(kind, zone, second)
    assert span.has(second)
    if span.ends_s is not None:
        assert periods.containing(kind, zone, span.ends_s).starts_s == span.ends_s
        assert periods.containing(kind, zone, span.ends_s - 1) == span
        assert periods.containing(kind, zone, span.starts_s) == span


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "a\x00b", "europe"])
def test_what_is_no_zone_is_refused(name) -> None:
    with pytest.raises(periods.NoSuchZone):
        periods.check_zone(name)
