"""Deletes what is older than it has to be. Of ledger entries their sums stay: rollups for ever, and costs by quarter of an hour.

So a rebuild of all rollups and an audit of all budgets find after it what they found before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection, transaction
from django.db.models import QuerySet, Sum

from savings import rollup_sql, rollups
from savings.models import CallBody, LedgerEntry, SealedCost

AFTER_RECORDED = timedelta(hours=1)
"""Entries that were recorded so lately stay, however old their calls: no run of rollups can have missed the others."""

BODIES_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Deleted:
    """What went."""

    entries: int = 0
    bodies: int = 0


def prune(
    now: datetime,
    *,
    keep_entries: timedelta | None,
    keep_bodies: timedelta,
    may_go_on: Callable[[], bool] = lambda: True,
) -> Deleted:
    """Seal and delete what is too old; `None` keeps entries for ever. Raises Busy while rollups are being made."""
    bodies = _prune_bodies(now - keep_bodies)
    entries = _prune_entries(now - keep_entries, may_go_on) if keep_entries is not None else 0
    return Deleted(entries, bodies)


def sealed_cost(starts_at: datetime, ends_at: datetime | None, **whose: str) -> int:
    """What entries that were deleted had cost in a time, whose bounds are quarters of an hour."""
    rows: QuerySet[SealedCost] = SealedCost.objects.filter(starts_at__gte=starts_at, **whose)
    if ends_at is not None:
        rows = rows.filter(starts_at__lt=ends_at)
    return int(rows.aggregate(total=Sum("cost_nano_usd"))["total"] or 0)


def _prune_bodies(before: datetime) -> int:
    deleted = 0
    while batch := list(CallBody.objects.filter(recorded_at__lt=before).values_list("pk", flat=True)[:BODIES_AT_ONCE]):
        deleted += CallBody.objects.filter(pk__in=batch).delete()[0]
    return deleted


def _prune_entries(before: datetime, may_go_on: Callable[[], bool]) -> int:
    before = before.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    deleted = 0
    with rollups.alone() as run:
        recorded_before = run.recorded_until - AFTER_RECORDED
        old = LedgerEntry.objects.filter(admitted_at__lt=before, recorded_at__lt=recorded_before)
        while may_go_on() and (first := old.order_by("admitted_at").values_list("admitted_at", flat=True).first()):
            hour = first.replace(minute=0, second=0, microsecond=0)
            deleted += _seal(hour, recorded_before, run)
    return deleted


def _seal(hour: datetime, recorded_before: datetime, run: rollups.Run) -> int:
    """One hour, in one transaction: sums go where they stay, entries go, and what came late is summed up anew."""
    end = hour + rollups.HOUR
    which = [connection.ops.adapt_datetimefield_value(moment) for moment in (hour, end, recorded_before)]
    with transaction.atomic():
        run.keep()
        with connection.cursor() as cursor:
            for statement in rollup_sql.seals():
                cursor.execute(statement, which)
        gone = LedgerEntry.objects.filter(admitted_at__gte=hour, admitted_at__lt=end, recorded_at__lt=recorded_before)
        # No related rows and no signals: one DELETE, without reading them first.
        deleted = gone._raw_delete(gone.db)
        rollups.replace_hour(hour)
    return int(deleted)
