"""What the running workers have done since their server started, all of them together. A few small rows, no scan."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models.functions import Now

from savings import rollup_sql, tallies
from savings.figures import NAMES, Figures
from savings.models import SavingsCheckpoint, ServingWorker, Tally, TallyReason


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
            f"SELECT (SELECT SUM(calls) FROM {counted}), (SELECT COUNT(*) FROM {counted}),"  # noqa: S608
            f" (SELECT MAX(seen_at) FROM {workers}), (SELECT COUNT(*) FROM {workers})"
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
    alive = ServingWorker.objects.filter(seen_at__gte=Now() - tallies.ALIVE_WITHIN)
    workers = list(ServingWorker.objects.filter(run__in=alive.values("run")))
    names = {worker.name for worker in workers}
    mine = [row for row in rows if row.worker in names]
    reasons: dict[str, int] = defaultdict(int)
    for reason, calls in TallyReason.objects.filter(worker__in=names).values_list("reason", "calls"):
        reasons[reason] += calls
    refused: dict[str, int] = defaultdict(int)
    for worker in workers:
        for code, count in worker.refused.items():
            refused[code] += count
    return Live(
        started_at=min((worker.started_at for worker in workers), default=None),
        workers=len(workers),
        figures=Figures.sum(row.figures for row in mine),
        by_model=_by((row.model, row.figures) for row in mine),
        by_provider=_by((row.provider, row.figures) for row in mine),
        reasons=dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        refused=dict(sorted(refused.items())),
    )


def _lifetime(rows: list[_Row]) -> Lifetime:
    return Lifetime(
        figures=Figures.sum(row.figures for row in rows),
        imported=Figures.sum(row.figures for row in rows if row.worker == tallies.IMPORTED),
        by_model=_by((row.model, row.figures) for row in rows),
    )


def tokens_saved_since(started_at: datetime | None, points: int) -> list[tuple[datetime, int]]:
    """How tokens saved grew since a time: the newest points, oldest first."""
    if started_at is None:
        return []
    checkpoints = SavingsCheckpoint.objects.values_list("at", "tokens_saved")
    before = checkpoints.filter(at__lt=started_at).order_by("-at").first()
    base = before[1] if before else 0
    newest = list(checkpoints.filter(at__gte=started_at).order_by("-at")[:points])
    return [(at, tokens - base) for at, tokens in reversed(newest)]


def _by(labelled: Iterable[tuple[str, Figures]]) -> dict[str, Figures]:
    parts: dict[str, list[Figures]] = defaultdict(list)
    for label, figures in labelled:
        parts[label].append(figures)
    found = {name: Figures.sum(some) for name, some in parts.items()}
    return dict(sorted(found.items(), key=lambda item: (-item[1].cost_nano_usd, -item[1].calls, item[0])))
