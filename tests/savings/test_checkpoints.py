from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from savings import checkpoints
from savings.models import SavingsCheckpoint

pytestmark = pytest.mark.usefixtures("emptied")
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


def make(*times: datetime, is_imported: bool = False) -> None:
    SavingsCheckpoint.objects.bulk_create(
        SavingsCheckpoint(at=at, requests=number, is_imported=is_imported) for number, at in enumerate(times)
    )


def test_a_compact_list_has_the_newest_and_the_others_evenly() -> None:
    make(*(NOON + timedelta(seconds=20 * number) for number in range(2000)))
    found, stored = checkpoints.read("compact")
    requests = [one.requests for one in found]
    assert len(found) <= 500
    assert requests == sorted(requests)
    assert requests[0] == 0
    assert requests[-166:] == list(range(1834, 2000))
    gaps = {after - before for before, after in zip(requests[:-166], requests[1:-165], strict=True)}
    assert max(gaps) <= 7
    assert len(checkpoints.read("full")[0]) == stored == 2000
    assert checkpoints.read("none") == ([], 2000)


def test_a_short_list_is_whole() -> None:
    assert checkpoints.read("compact") == ([], 0)
    make(NOON, NOON + timedelta(days=9))
    found, stored = checkpoints.read("compact")
    assert ([one.requests for one in found], stored) == ([0, 1], 2)
    assert found[0].at == NOON


def test_old_ones_are_thinned_out_and_the_last_of_a_time_stays() -> None:
    recent, minutes, hours = NOON - timedelta(hours=2), NOON - timedelta(days=3), NOON - timedelta(days=40)
    make(*(start + timedelta(seconds=20 * number) for start in (hours, minutes, recent) for number in range(9)))
    make(hours + timedelta(seconds=1), is_imported=True)
    assert checkpoints.thin(NOON) == 6 + 8
    assert checkpoints.thin(NOON) == 0
    left = list(SavingsCheckpoint.objects.filter(is_imported=False).order_by("at").values_list("requests", flat=True))
    assert left == [8, 11, 14, 17, *range(18, 27)]
