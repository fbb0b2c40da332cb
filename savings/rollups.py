"""The only writer of rollups: hours summed up from the ledger, days from hours, whenever entries come, however late.

A bucket is summed anew as a whole and never counted up, so that running twice, or after a crash in the middle, changes
nothing. Which buckets are due is found by when their entries were recorded, by the database's clock.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Q

from savings import rollup_sql
from savings.models import BucketTotal, DailyRollup, HourlyRollup, RollupMark
from savings.rollup_sql import Statement

MARGIN = timedelta(seconds=60)
"""An entry appears when its transaction ends, and bears the time when it was written: so long it may take in between."""

LEASE = timedelta(seconds=20)
"""How long a run that gives no sign keeps others away; a killed one for no longer than that."""

MAX_HOURS = {"postgresql": 24, "sqlite": 1}
"""How much is summed up in one transaction. SQLite has one writer for all, and must give way after milliseconds."""

MAX_DAYS = {"postgresql": 31, "sqlite": 1}

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


def roll(*, margin: timedelta = MARGIN, everything: bool = False, on_progress: Progress | None = None) -> Rolled:
    """Sum up every hour that got entries since the last run, or every hour there is. Raises Busy."""
    holder = uuid.uuid4().hex
    mark = _claim(holder)
    try:
        recorded_until = _database_now()
        since = None if everything or mark.recorded_until is None else mark.recorded_until - margin
        hours = _hours(since)
        days = sorted({hour.replace(hour=0) for hour in hours})
        spans = _spans(hours, HOUR, MAX_HOURS[connection.vendor]) + _spans(days, DAY, MAX_DAYS[connection.vendor])
        done = 0
        for span in spans:
            (_roll_hours if span.step == HOUR else _roll_days)(span, holder)
            done += span.buckets
            if on_progress is not None:
                on_progress(done, len(hours) + len(days))
        _finish(holder, recorded_until, has_changed=bool(hours))
    except BaseException:
        _release(holder)
        raise
    return Rolled(len(hours), len(days), recorded_until)


@dataclass(frozen=True, slots=True)
class _Span:
    """Some hours of one day, or some days, without a gap."""

    start: datetime
    step: timedelta
    buckets: int

    @property
    def end(self) -> datetime:
        return self.start + self.buckets * self.step


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


def _finish(holder: str, recorded_until: datetime, *, has_changed: bool) -> None:
    RollupMark.objects.filter(pk=1, holder=holder).update(
        recorded_until=recorded_until,
        rolled_at=datetime.now(UTC),
        revision=F("revision") + (1 if has_changed else 0),
        holder="",
        busy_until=None,
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
        return sorted(_read_time(row[0]) for row in cursor.fetchall())


def _time(moment: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(moment)


def _read_time(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(value).replace(tzinfo=UTC)


def _roll_hours(span: _Span, holder: str) -> None:
    _replace(span, holder, [rollup_sql.hours_of_entries(), rollup_sql.reasons_of_entries()])


def _roll_days(span: _Span, holder: str) -> None:
    _replace(span, holder, [rollup_sql.days_of_hours()])


def _replace(span: _Span, holder: str, statements: list[Statement]) -> None:
    """Put new rows in the place of a span's old ones. PostgreSQL does it by itself; SQLite reads before it locks."""
    within = [_time(span.start), _time(span.end)]
    has_one_writer = connection.vendor != "postgresql"
    read = [_fetch(statement.select, within) if has_one_writer else [] for statement in statements]
    rows = {"starts_at__gte": span.start, "starts_at__lt": span.end, "source": "ledger"}
    with transaction.atomic():
        _keep(holder)
        for statement, values in zip(statements, read, strict=True):
            statement.model._default_manager.filter(**rows).delete()
            with connection.cursor() as cursor:
                if has_one_writer:
                    cursor.executemany(statement.insert_values, values)
                else:
                    cursor.execute(statement.insert, within)
        grain = "hour" if span.step == HOUR else "day"
        BucketTotal.objects.filter(grain=grain, **rows).delete()
        with connection.cursor() as cursor:
            cursor.execute(rollup_sql.totals(grain, HourlyRollup if span.step == HOUR else DailyRollup).insert, within)


def _fetch(select: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(select, parameters)
        return list(cursor.fetchall())
