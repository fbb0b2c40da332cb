"""Checkpoints as they are read, and how old ones are thinned out. Written by `savings.tallies`."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from django.db import connection

from savings import rollup_sql, tally_sql
from savings.models import SavingsCheckpoint

Mode = Literal["compact", "full", "none"]

COMPACT_POINTS = 500
NEWEST_PART = 3
"""Of a list that is not whole, a third are the newest there are; the others are spread evenly over the time before."""

FULL_POINTS = 10_000
"""What one answer holds at most: more would keep the server busy. Beyond it, `full` is spread out in the same way."""

EVERY_SECOND_FOR, EVERY_MINUTE_FOR = timedelta(days=1), timedelta(days=30)
DELETED_AT_ONCE = 500


class Checkpoint(NamedTuple):
    """The totals of all time at one moment, as `SavingsCheckpoint` has them. `is_imported` is 0 or 1 on SQLite.

    A tuple, as hundreds are made for one answer and a frozen dataclass takes nine times as long to fill.
    """

    at: datetime
    is_imported: bool
    provider: str
    agent: str
    model: str
    requests: int
    tokens_saved: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cost_nano_usd: int
    output_cost_nano_usd: int
    saved_nano_usd: int
    avoided_nano_usd: int


def newest(points: int) -> list[Checkpoint]:
    """So many, newest first."""
    return _fetch("ORDER BY at DESC LIMIT %s", [points])


def read(mode: Mode) -> tuple[list[Checkpoint], int]:
    """As many as the mode allows, oldest first, and how many are stored."""
    stored = SavingsCheckpoint.objects.count()
    points = {"none": 0, "compact": COMPACT_POINTS, "full": FULL_POINTS}[mode]
    if stored <= points or mode == "none":
        return newest(points)[::-1], stored
    latest = newest(points // NEWEST_PART)[::-1]
    first = _fetch("ORDER BY at LIMIT 1", [])[0]
    step = (latest[0].at - first.at) / (points - len(latest))
    times = [first.at + number * step for number in range(1, points - len(latest))]
    between = [one for one in _last_before(times) if first.at < one.at < latest[0].at]
    return [first, *between, *latest], stored


def _last_before(times: list[datetime]) -> list[Checkpoint]:
    """The last checkpoints at these times. Looked up one by one in the index: nothing in between is read."""
    parameter: Any = times
    if connection.vendor != "postgresql":
        parameter = json.dumps([str(connection.ops.adapt_datetimefield_value(time)) for time in times])
    return _fetch(f"WHERE id IN ({tally_sql.last_before()}) ORDER BY at", [parameter])


def _fetch(which: str, parameters: list[Any]) -> list[Checkpoint]:
    """In plain SQL: an ORM takes longer to put hundreds of rows together than the database to find them."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_COLUMNS} FROM {rollup_sql.table(SavingsCheckpoint)} {which}", parameters)  # noqa: S608
        return [Checkpoint(rollup_sql.moment(at), *rest) for at, *rest in cursor.fetchall()]


_COLUMNS = ", ".join(Checkpoint._fields)


def thin(now: datetime) -> int:
    """Keep every one for a day, then one a minute for a month, then one an hour. Returns how many went."""
    minutes_from, minutes_until = now - EVERY_MINUTE_FOR, now - EVERY_SECOND_FOR
    start = now.replace(year=2000)
    return _thin("minute", minutes_from, minutes_until) + _thin("hour", start, minutes_from)


def _thin(bucket: str, since: datetime, until: datetime) -> int:
    thinned = 0
    adapted = [connection.ops.adapt_datetimefield_value(time) for time in (since, until)]
    while True:
        with connection.cursor() as cursor:
            cursor.execute(tally_sql.thin(bucket), [*adapted, DELETED_AT_ONCE])
            ids = [row[0] for row in cursor.fetchall()]
        if not ids:
            return thinned
        thinned += SavingsCheckpoint.objects.filter(pk__in=ids).delete()[0]
