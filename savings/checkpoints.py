"""Checkpoints as they are read, and how old ones are thinned out. Written by `savings.tallies`."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Literal

from django.db import connection

from savings import tally_sql
from savings.models import SavingsCheckpoint

Mode = Literal["compact", "full", "none"]

COMPACT_POINTS = 500
NEWEST_POINTS = COMPACT_POINTS // 3
"""Of a compact list, so many are the newest there are; the others are spread evenly over the time before."""

FULL_POINTS = 10_000
"""What one answer holds at most: more would keep the server busy. Beyond it, `full` is spread out in the same way."""

EVERY_SECOND_FOR, EVERY_MINUTE_FOR = timedelta(days=1), timedelta(days=30)
DELETED_AT_ONCE = 500


def stored() -> int:
    """How many there are."""
    return SavingsCheckpoint.objects.count()


def read(mode: Mode) -> list[SavingsCheckpoint]:
    """Oldest first: as many as the mode allows."""
    if mode == "none":
        return []
    points = COMPACT_POINTS if mode == "compact" else FULL_POINTS
    newest_first = SavingsCheckpoint.objects.order_by("-at")
    if stored() <= points:
        return list(newest_first)[::-1]
    newest = list(newest_first[: points // 3])
    first = SavingsCheckpoint.objects.order_by("at").values_list("pk", "at")[0]
    step = (newest[-1].at - first[1]) / (points - len(newest))
    wanted = {first[0]} | _last_before([first[1] + number * step for number in range(1, points - len(newest))])
    wanted -= {one.pk for one in newest}
    return [*SavingsCheckpoint.objects.filter(pk__in=wanted).order_by("at"), *newest[::-1]]


def _last_before(times: list[datetime]) -> set[int]:
    """The ids of the last checkpoints at these times. Looked up one by one in the index: nothing in between is read."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(tally_sql.last_before(), [times])
        else:
            texts = [str(connection.ops.adapt_datetimefield_value(time)) for time in times]
            cursor.execute(tally_sql.last_before(), [json.dumps(texts)])
        return {row[0] for row in cursor.fetchall()}


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
