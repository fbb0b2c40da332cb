"""The only writer of rollups: hours summed up from the ledger, days from hours, whenever entries come, however late.

A bucket is summed anew as a whole and never counted up, so that running twice, or after a crash in the middle, changes
nothing. Which buckets are due is found by when their entries were recorded, by the database's clock.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Q

from savings import rollup_sql
from savings.models import BucketTotal, DailyRollup, HourlyRollup, LedgerEntry, RollupMark
from savings.rollup_sql import Statement

MARGIN = timedelta(seconds=60)
"""An entry appears when its transaction ends, and bears the time when it was written: so long it may take in between."""

LEASE = timedelta(seconds=20)
"""How long a run that gives no sign keeps others away; a killed one for no longer than that."""

MAX_HOURS = {"postgresql": 24, "sqlite": 1}
"""How much is summed up in one transaction. SQLite has one writer for all, and must give way after milliseconds."""

MAX_DAYS = {"postgresql": 31, "sqlite": 1}

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

Progress = Callable[[int, int], None]
"""Called after every bucket: how many are done, of how many."""


class Busy(RuntimeError):
    """Another run is at it, or has taken over."""


@dataclass(frozen=True, slots=True)
class Rolled:
    """What a run did: how many hours and days it summed up, and until when the ledger is rolled up now."""

    hours: int
    days: int
    recorded_until: datetime


class Run:
    """The right to write rollups, until somebody takes it away. `mark` says how far they are."""

    def __init__(self, mark: RollupMark) -> None:
        self.mark = mark
        self.recorded_until = mark.recorded_until or LONG_AGO

    def keep(self) -> None:
        """Inside a transaction: nobody else writes rollups until it ends. Raises Busy when somebody took over."""
        _keep(self.mark.holder)


@contextlib.contextmanager
def alone() -> Iterator[Run]:
    """Hold the right to write rollups for the length of a block. Raises Busy while somebody else has it."""
    holder = uuid.uuid4().hex
    mark = _claim(holder)
    try:
        yield Run(mark)
    finally:
        _release(holder)


def roll(*, margin: timedelta = MARGIN, everything: bool = False, on_progress: Progress | None = None) -> Rolled:
    """Sum up every hour that got entries since the last run, or every hour there is. Raises Busy."""
    with alone() as run:
        recorded_until = _database_now()
        since = None if everything or run.mark.recorded_until is None else run.mark.recorded_until - margin
        hours = _hours(since)
        days = sorted({hour.replace(hour=0) for hour in hours})
        spans = _spans(hours, HOUR, MAX_HOURS[connection.vendor]) + _spans(days, DAY, MAX_DAYS[connection.vendor])
        done = 0
        for span in spans:
            _replace(span, run)
            done += span.buckets
            if on_progress is not None:
                on_progress(done, len(hours) + len(days))
        _finish(run, recorded_until, has_changed=bool(hours))
    return Rolled(len(hours), len(days), recorded_until)


def replace_hour(hour: datetime) -> None:
    """Sum up one hour anew, inside a transaction that keeps others out."""
    _write(_Span(hour, HOUR, 1), None)


@dataclass(frozen=True, slots=True)
class _Span:
    """Some hours of one day, or some days, without a gap."""

    start: datetime
    step: timedelta
    buckets: int

    @property
    def end(self) -> datetime:
        return self.start + self.buckets * self.step

    @property
    def within(self) -> list[Any]:
        return [_time(self.start), _time(self.end)]

    def statements(self) -> list[Statement]:
        """What to put in the place of its rows. Asks the database how full its fullest bucket is."""
        model, grain = (LedgerEntry, "hour") if self.step == HOUR else (HourlyRollup, "day")
        most = _fetch(rollup_sql.most_in_a_bucket(model, grain), self.within)[0][0]
        is_bounded = most > rollup_sql.MAX_GROUPS
        if self.step == DAY:
            return [rollup_sql.days_of_hours(is_bounded=is_bounded)]
        return [rollup_sql.hours_of_entries(is_bounded=is_bounded), rollup_sql.reasons_of_entries()]


def _spans(starts: list[datetime], step: timedelta, longest: int) -> list[_Span]:
    spans: list[_Span] = []
    for start in starts:
        last = spans[-1] if spans else None
        if last is not None and last.end == start and last.buckets < longest:
            spans[-1] = _Span(last.start, step, last.buckets + 1)
        else:
            spans.append(_Span(start, step, 1))
    return spans


def _claim(holder: str) -> RollupMark:
    RollupMark.objects.get_or_create(pk=1)
    now = datetime.now(UTC)
    is_free = Q(busy_until__isnull=True) | Q(busy_until__lt=now) | Q(busy_until__gt=now + 2 * LEASE)
    if not RollupMark.objects.filter(is_free, pk=1).update(holder=holder, busy_until=now + LEASE):
        raise Busy("rollups are being made already")
    return RollupMark.objects.get(pk=1)


def _keep(holder: str) -> None:
    """Inside a transaction: nobody else writes rollups until it ends. Raises Busy when somebody took over."""
    if not RollupMark.objects.filter(pk=1, holder=holder).update(busy_until=datetime.now(UTC) + LEASE):
        raise Busy("another run has taken over")


def _finish(run: Run, recorded_until: datetime, *, has_changed: bool) -> None:
    now = datetime.now(UTC)
    RollupMark.objects.filter(pk=1, holder=run.mark.holder).update(
        recorded_until=recorded_until,
        rolled_at=now,
        revision=int(now.timestamp() * 1e6) if has_changed else F("revision"),
    )


def _release(holder: str) -> None:
    RollupMark.objects.filter(pk=1, holder=holder).update(holder="", busy_until=None)


def _database_now() -> datetime:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT STATEMENT_TIMESTAMP()")
            now: datetime = cursor.fetchone()[0]
            return now
        cursor.execute("SELECT STRFTIME('%Y-%m-%d %H:%M:%f', 'now')")
        return datetime.fromisoformat(cursor.fetchone()[0]).replace(tzinfo=UTC)


def _hours(since: datetime | None) -> list[datetime]:
    with connection.cursor() as cursor:
        if since is None:
            cursor.execute(rollup_sql.all_hours())
        else:
            cursor.execute(rollup_sql.hours_recorded_since(), [_time(since)])
        return sorted(rollup_sql.moment(row[0]) for row in cursor.fetchall())


def _time(moment: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(moment)


def _replace(span: _Span, run: Run) -> None:
    """Put new rows in the place of a span's old ones. PostgreSQL does it by itself; SQLite reads before it locks."""
    read = None
    if connection.vendor != "postgresql":
        statements = span.statements()
        read = [(statement, _fetch(statement.select, span.within)) for statement in statements]
    with transaction.atomic():
        run.keep()
        _write(span, read)


def _write(span: _Span, read: list[tuple[Statement, list[tuple[Any, ...]]]] | None) -> None:
    """Inside a transaction: the rows that were read before, or those that the database finds now."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL jit = off")  # to compile fifty sums takes longer than to add them up
        for statement, values in read if read is not None else [(one, None) for one in span.statements()]:
            cursor.execute(rollup_sql.removal(statement.model), span.within)
            if values is None:
                cursor.execute(statement.insert, span.within)
            else:
                cursor.executemany(statement.insert_values, values)
        grain = "hour" if span.step == HOUR else "day"
        cursor.execute(f"{rollup_sql.removal(BucketTotal)} AND grain = %s", [*span.within, grain])
        cursor.execute(rollup_sql.totals(grain, HourlyRollup if span.step == HOUR else DailyRollup).insert, span.within)


def _fetch(select: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(select, parameters)
        return list(cursor.fetchall())
