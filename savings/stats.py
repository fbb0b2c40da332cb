"""Figures for pages and APIs, out of rollups. Times are UTC; a window begins and ends on whole hours.

All of it is for threads: a handful of indexed rows per question, however long the ledger is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from django.db import connection
from django.db.models import Case, F, QuerySet, Sum, Value, When

from savings import rollup_sql, sums
from savings.figures import Figures
from savings.models import BucketTotal, DailyRollup, HourlyReason, HourlyRollup, RollupMark
from savings.rollup_sql import LIVE, OTHER

Dimension = Literal["team", "key_id", "key_label", "provider", "model", "agent", "project"]
Grain = Literal["hourly", "daily", "weekly", "monthly"]

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
EARLIEST, LATEST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` (included) to `end` (excluded)."""

    start: datetime = EARLIEST
    end: datetime = LATEST

    @classmethod
    def last(cls, length: timedelta, now: datetime) -> Window:
        """The hours of so long a time, the running one included; whole UTC days where it is whole days."""
        if length >= DAY:
            return cls(_day(now) + DAY - length, _day(now) + DAY)
        return cls(_hour(now) + HOUR - length, _hour(now) + HOUR)


EVER = Window()


@dataclass(frozen=True, slots=True)
class Bucket:
    """The figures of the time that begins at `starts_at`. `is_imported` where a part of it comes from another program."""

    starts_at: datetime
    figures: Figures
    is_imported: bool = False


def totals(window: Window = EVER, *, with_imported: bool = False, **labels: str) -> Figures:
    """Everything in a window, of calls with these labels: `totals(window, project="payments")`."""
    if not labels:
        sources = (*LIVE, "imported") if with_imported else LIVE
        return Figures.sum(Figures.of(rows.aggregate(**sums.AGGREGATES)) for rows in _total_rows(window, sources))
    return Figures.sum(Figures.of(rows.filter(**labels).aggregate(**sums.AGGREGATES)) for rows in _rollup_rows(window))


def by(
    dimension: Dimension,
    window: Window = EVER,
    *,
    limit: int | None = None,
    columns: Sequence[str] = sums.COLUMNS,
    **labels: str,
) -> dict[str, Figures]:
    """Figures for each value of a label, the dearest first; those beyond `limit` together as "other".

    With `columns`, only these are summed up and the others are 0: adding up fifty is most of the work.
    """
    aggregates = {column: sums.AGGREGATES[column] for column in {"calls", "cost_nano_usd", *columns}}
    name: Any = F(dimension)
    if limit is not None:
        shown = _dearest(dimension, window, limit, labels)
        name = Case(When(**{f"{dimension}__in": shown}, then=name), default=Value(OTHER))
    found: dict[str, Figures] = {}
    for rows in _rollup_rows(window):
        for row in rows.filter(**labels).values(name=name).order_by("name").annotate(**aggregates):
            figures, known = Figures.of(row), found.get(row["name"])
            found[row["name"]] = Figures.sum((known, figures)) if known else figures
    names = sorted(found, key=lambda name: (name == OTHER, -found[name].cost_nano_usd, -found[name].calls, name))
    return {name: found[name] for name in names}


def _dearest(dimension: Dimension, window: Window, limit: int, labels: dict[str, str]) -> list[str]:
    """The names worth showing. There may be a hundred thousand, so only these come out of the database."""
    parts = [
        rows.filter(**labels).exclude(**{dimension: OTHER}).values_list(dimension, "cost_nano_usd", "calls")
        for rows in _rollup_rows(window)
    ]
    together, parameters = parts[0].union(*parts[1:], all=True).query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {dimension} FROM ({together}) AS found GROUP BY {dimension}"  # noqa: S608
            f" ORDER BY SUM(cost_nano_usd) DESC, SUM(calls) DESC, {dimension} LIMIT %s",
            [*parameters, limit],
        )
        return [name for (name,) in cursor.fetchall()]


def series(grain: Grain, window: Window = EVER, *, with_imported: bool = False, **labels: str) -> list[Bucket]:
    """One bucket for each hour, day, week (from Monday) or month in which there was a call, oldest first."""
    sources = (*LIVE, "imported") if with_imported else LIVE
    model: Any = HourlyRollup if grain == "hourly" else DailyRollup
    rows = model.objects.filter(source__in=sources, **labels)
    if not labels:
        rows = BucketTotal.objects.filter(grain="hour" if grain == "hourly" else "day", source__in=sources)
    parts: dict[datetime, list[Figures]] = defaultdict(list)
    imported = set()
    summed = _within(rows, window).values("starts_at", "source").annotate(**sums.AGGREGATES)
    for row in summed.order_by("starts_at"):
        starts_at = start_of(grain, row["starts_at"])
        parts[starts_at].append(Figures.of(row))
        if row["source"] == "imported":
            imported.add(starts_at)
    return [
        Bucket(starts_at, Figures.sum(some) if len(some) > 1 else some[0], starts_at in imported)
        for starts_at, some in parts.items()
    ]


def reasons(window: Window = EVER) -> dict[str, int]:
    """How many requests were sent as they came, by reason, the most frequent first."""
    rows = _within(HourlyReason.objects.filter(source__in=LIVE), window)
    return dict(rows.values_list("reason").annotate(total=Sum("calls")).order_by("-total", "reason"))


def rolled_until() -> datetime | None:
    """Until when entries are in these figures; `None` before the first run."""
    return RollupMark.objects.filter(pk=1).values_list("recorded_until", flat=True).first()


def rolled_at() -> datetime | None:
    """When somebody last looked for new entries, whether there were any or not."""
    return RollupMark.objects.filter(pk=1).values_list("rolled_at", flat=True).first()


def revision() -> int:
    """A number that changes whenever these figures may have. In plain SQL, as each open page asks for it every second."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT revision FROM {rollup_sql.table(RollupMark)} WHERE id = 1")  # noqa: S608
        found = cursor.fetchone()
    return int(found[0]) if found else 0


def _total_rows(window: Window, sources: tuple[str, ...]) -> Iterator[QuerySet[BucketTotal]]:
    for grain, part in _parts(window):
        yield _within(BucketTotal.objects.filter(grain=grain, source__in=sources), part)


def _rollup_rows(window: Window) -> Iterator[QuerySet[Any]]:
    for grain, part in _parts(window):
        model: Any = DailyRollup if grain == "day" else HourlyRollup
        yield _within(model.objects.filter(source__in=LIVE), part)


def _parts(window: Window) -> Iterator[tuple[str, Window]]:
    """A window as whole days with the hours before and after them."""
    start, end = _hour(window.start), _ceil(window.end)
    first_day, last_day = _day(start + DAY - timedelta(microseconds=1)), _day(end)
    if first_day >= last_day:
        yield "hour", Window(start, end)
        return
    yield "day", Window(first_day, last_day)
    if start < first_day:
        yield "hour", Window(start, first_day)
    if last_day < end:
        yield "hour", Window(last_day, end)


def _within(rows: QuerySet[Any], window: Window) -> QuerySet[Any]:
    return rows.filter(starts_at__gte=_hour(window.start), starts_at__lt=_ceil(window.end))


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _ceil(moment: datetime) -> datetime:
    hour = _hour(moment)
    return hour if hour == moment else hour + HOUR


def _day(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def start_of(grain: Grain, moment: datetime) -> datetime:
    """The beginning of the day's, week's or month's bucket that an hour or a day falls into; hours and days stay."""
    if grain == "weekly":
        return _day(moment) - timedelta(days=moment.weekday())
    return _day(moment).replace(day=1) if grain == "monthly" else moment
