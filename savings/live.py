"""What the running workers have done since their server started, all of them together. A few small rows, no scan."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection

from savings import rollup_sql, tallies, tally_sql
from savings.figures import NAMES, Figures
from savings.models import ServingWorker, Tally, TallyReason


@dataclass(frozen=True, slots=True)
class Live:
    """The figures of every run that has a living worker, since its start. `refused` counts errors of ours by code."""

    started_at: datetime | None = None
    workers: int = 0
    figures: Figures = Figures()
    by_model: dict[str, Figures] = field(default_factory=dict)
    by_provider: dict[str, Figures] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lifetime:
    """The figures of all time. `imported` is the part of them that another program had counted."""

    figures: Figures
    imported: Figures
    by_model: dict[str, Figures]


def live() -> Live:
    """What is going on."""
    return _live(_tallies())


def lifetime() -> Lifetime:
    """Everything that was ever recorded, to the last transaction."""
    return _lifetime(_tallies())


def version() -> tuple[Any, ...]:
    """Something that changes whenever `live` or `lifetime` do: with each call that is booked, each sign of life."""
    workers, counted = rollup_sql.table(ServingWorker), rollup_sql.table(Tally)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT calls, tallies, seen_at, workers FROM (SELECT SUM(calls) AS calls, COUNT(*) AS tallies FROM {counted})"  # noqa: S608
            f" AS counted, (SELECT MAX(seen_at) AS seen_at, COUNT(*) AS workers FROM {workers}) AS serving"
        )
        return tuple(cursor.fetchone())


def both() -> tuple[Live, Lifetime]:
    """The two of one moment."""
    rows = _tallies()
    return _live(rows), _lifetime(rows)


@dataclass(frozen=True, slots=True)
class _Row:
    worker: str
    provider: str
    model: str
    figures: Figures


def _tallies() -> list[_Row]:
    """All of them, in plain SQL: putting fifty columns together takes an ORM longer than the query takes."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT worker, provider, model, {_COLUMNS} FROM {rollup_sql.table(Tally)}")  # noqa: S608
        return [_Row(row[0], row[1], row[2], Figures(*row[3:])) for row in cursor.fetchall()]


_COLUMNS = ", ".join(NAMES)


def _live(rows: list[_Row]) -> Live:
    workers = _serving()
    names = {name for name, _, _ in workers}
    mine = [row for row in rows if row.worker in names]
    refused: dict[str, int] = defaultdict(int)
    for _, _, counts in workers:
        for code, count in json.loads(counts).items():
            refused[code] += count
    return Live(
        started_at=min((started_at for _, started_at, _ in workers), default=None),
        workers=len(workers),
        figures=Figures.sum(row.figures for row in mine),
        by_model=_by((row.model, row.figures) for row in mine),
        by_provider=_by((row.provider, row.figures) for row in mine),
        reasons=_reasons(),
        refused=dict(sorted(refused.items())),
    )


def _serving() -> list[tuple[str, datetime, str]]:
    """The workers of every run that has a living one: name, start, and what they refused as JSON."""
    with connection.cursor() as cursor:
        workers = rollup_sql.table(ServingWorker)
        cursor.execute(f"SELECT name, started_at, refused FROM {workers} WHERE {_is_serving()}", [])  # noqa: S608
        return [(name, rollup_sql.moment(started_at), refused) for name, started_at, refused in cursor.fetchall()]


def _is_serving() -> str:
    return tally_sql.is_serving(tallies.ALIVE_WITHIN.total_seconds())


def _reasons() -> dict[str, int]:
    names = f"SELECT name FROM {rollup_sql.table(ServingWorker)} WHERE {_is_serving()}"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT reason, SUM(calls) FROM {rollup_sql.table(TallyReason)} WHERE worker IN ({names})"  # noqa: S608
            " GROUP BY reason ORDER BY 2 DESC, reason",
            [],
        )
        return {reason: int(calls) for reason, calls in cursor.fetchall()}


def _lifetime(rows: list[_Row]) -> Lifetime:
    return Lifetime(
        figures=Figures.sum(row.figures for row in rows),
        imported=Figures.sum(row.figures for row in rows if row.worker == tallies.IMPORTED),
        by_model=_by((row.model, row.figures) for row in rows),
    )


def _by(labelled: Iterable[tuple[str, Figures]]) -> dict[str, Figures]:
    parts: dict[str, list[Figures]] = defaultdict(list)
    for label, figures in labelled:
        parts[label].append(figures)
    found = {name: Figures.sum(some) for name, some in parts.items()}
    return dict(sorted(found.items(), key=lambda item: (-item[1].cost_nano_usd, -item[1].calls, item[0])))
