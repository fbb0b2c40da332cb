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

from savings import sums
from savings.models import BucketTotal, DailyRollup, HourlyReason, HourlyRollup, LedgerEntry, RollupMark

MARGIN = timedelta(seconds=60)
"""An entry appears when its transaction ends, and bears the time when it was written: so long it may take in between."""

LEASE = timedelta(seconds=20)
"""How long a run that gives no sign keeps others away; a killed one for no longer than that."""

MAX_GROUPS = 1000
"""Combinations of labels in one bucket. Labels come from clients: the rarest ones beyond this are counted as `other`."""

OTHER = "other"
LIVE = ("ledger", "sealed")

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
        due = [(hour, _roll_hour) for hour in hours] + [(day, _roll_day) for day in days]
        for done, (bucket, roll_one) in enumerate(due, 1):
            roll_one(bucket, holder)
            if on_progress is not None:
                on_progress(done, len(due))
        _finish(holder, recorded_until, has_changed=bool(hours))
    except BaseException:
        _release(holder)
        raise
    return Rolled(len(hours), len(days), recorded_until)


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
    """The hours whose entries were recorded since then; without a time, all hours of entries and of rollups."""
    entries = f"SELECT DISTINCT {_hour_of('admitted_at')} FROM {_table(LedgerEntry)}"  # noqa: S608 - our own names
    with connection.cursor() as cursor:
        if since is None:
            rolled = f"SELECT DISTINCT {_hour_of('starts_at')} FROM {_table(HourlyRollup)} WHERE source = 'ledger'"  # noqa: S608
            cursor.execute(f"{entries} UNION {rolled}")
        else:
            cursor.execute(f"{entries} WHERE recorded_at >= %s", [_time(since)])
        return sorted(_read_hour(row[0]) for row in cursor.fetchall())


def _hour_of(column: str) -> str:
    return f"DATE_TRUNC('hour', {column}, 'UTC')" if connection.vendor == "postgresql" else f"SUBSTR({column}, 1, 13)"


def _read_hour(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime.strptime(value, "%Y-%m-%d %H").replace(tzinfo=UTC)


def _table(model: type[Any]) -> str:
    return connection.ops.quote_name(model._meta.db_table)


def _time(moment: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(moment)


def _roll_hour(hour: datetime, holder: str) -> None:
    within = [_time(hour), _time(hour + timedelta(hours=1))]
    groups = _Rows(HourlyRollup, _groups_of_entries(), [*within, _time(hour)])
    reasons = _Rows(HourlyReason, _REASONS.format(table=_table(LedgerEntry)), [_time(hour), *within])
    for rows in (groups, reasons):
        rows.read()
    with transaction.atomic():
        _keep(holder)
        for rows in (groups, reasons):
            rows.model.objects.filter(starts_at=hour, source="ledger").delete()
            rows.write()
        _total("hour", hour, HourlyRollup)


def _roll_day(day: datetime, holder: str) -> None:
    within = [_time(day), _time(day + timedelta(days=1))]
    groups = _Rows(DailyRollup, _groups_of_hours(), [*within, _time(day)])
    groups.read()
    with transaction.atomic():
        _keep(holder)
        DailyRollup.objects.filter(starts_at=day, source="ledger").delete()
        groups.write()
        _total("day", day, DailyRollup)


def _total(grain: str, starts_at: datetime, model: type[HourlyRollup | DailyRollup]) -> None:
    rows = model._default_manager.filter(starts_at=starts_at, source__in=LIVE)
    BucketTotal.objects.filter(grain=grain, starts_at=starts_at, source="ledger").delete()
    total = rows.aggregate(**sums.AGGREGATES)
    if total["calls"]:
        BucketTotal.objects.create(grain=grain, starts_at=starts_at, source="ledger", **total)


class _Rows:
    """Rows that a SELECT gives and a table gets. PostgreSQL does it within itself; SQLite reads first, as it has one writer."""

    def __init__(self, model: type[Any], select: str, parameters: list[Any]) -> None:
        self.model = model
        names = {
            HourlyReason: ("starts_at", "source", "reason", "calls"),
        }.get(model, ("starts_at", "source", "digest", *sums.LABELS, *sums.COLUMNS))
        self._into = f"INSERT INTO {_table(model)} ({', '.join(names)})"
        self._marks = ", ".join(["%s"] * len(names))
        self._select = select
        self._parameters = parameters
        self._rows: list[tuple[Any, ...]] = []

    def read(self) -> None:
        if connection.vendor != "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(self._select, self._parameters)
                self._rows = cursor.fetchall()

    def write(self) -> None:
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute(f"{self._into} {self._select}", self._parameters)
            else:
                cursor.executemany(f"{self._into} VALUES ({self._marks})", self._rows)


_REASONS = (
    "SELECT %s, 'ledger', reason, COUNT(*) FROM {table}"  # noqa: S608 - our own names
    f" WHERE admitted_at >= %s AND admitted_at < %s AND reason <> '' AND {sums.IS_REQUEST} GROUP BY reason"
)
_LABELS = ", ".join(sums.LABELS)
_CLIENTS_LABELS = ("model", "agent", "project")


def _groups_of_entries() -> str:
    labels = ", ".join(f"{sums.MODEL} AS model" if label == "model" else label for label in sums.LABELS)
    columns = ", ".join(f"{expression} AS {name}" for name, expression in sums.EXPRESSIONS.items())
    return _bounded(
        f"SELECT {labels}, {columns} FROM {_table(LedgerEntry)}"  # noqa: S608 - our own names
        " WHERE admitted_at >= %s AND admitted_at < %s GROUP BY 1, 2, 3, 4, 5, 6, 7"
    )


def _groups_of_hours() -> str:
    columns = ", ".join(f"{sums.again(name)} AS {name}" for name in sums.COLUMNS)
    return _bounded(
        f"SELECT {_LABELS}, {columns} FROM {_table(HourlyRollup)}"  # noqa: S608 - our own names
        f" WHERE starts_at >= %s AND starts_at < %s AND source IN {LIVE} GROUP BY {_LABELS}"
    )


def _bounded(grouped: str) -> str:
    """The groups with the rarest ones counted as one where there are too many. One more parameter: the bucket's start."""
    labels = ", ".join(
        f"CASE WHEN place <= {MAX_GROUPS} THEN {label} ELSE '{OTHER}' END AS {label}"
        if label in _CLIENTS_LABELS
        else label
        for label in sums.LABELS
    )
    again = ", ".join(sums.again(name) for name in sums.COLUMNS)
    separator = "CHR(31)" if connection.vendor == "postgresql" else "CHAR(31)"
    digest = f"MD5({f' || {separator} || '.join(sums.LABELS)})"
    columns = ", ".join(sums.COLUMNS)
    return (
        f"WITH grouped AS ({grouped}), ranked AS (SELECT grouped.*, ROW_NUMBER() OVER"  # noqa: S608 - our own names
        f" (ORDER BY calls DESC, cost_nano_usd DESC, {_LABELS}) AS place FROM grouped),"
        f" bounded AS (SELECT {labels}, {columns} FROM ranked)"
        f" SELECT %s, 'ledger', {digest}, {_LABELS}, {again} FROM bounded GROUP BY {_LABELS}"
    )
