"""Puts lifetime totals right where they are not what the ledger says: after a restored backup, or rows from before they were kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.db import connection, transaction

from savings import rollup_sql, sums, tallies
from savings.figures import NAMES, Figures
from savings.models import HourlyRollup, LedgerEntry, Tally


def repair() -> dict[str, int]:
    """Add what is missing to the past, or take off what is too much. Returns what differed, by column, in total.

    Reads the whole ledger, as it was at one moment. On SQLite nobody writes meanwhile.
    """
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        said = _by_model(_sealed()) + _by_model(_entries())
        counted = _by_model(Tally.objects.exclude(worker=tallies.IMPORTED).values())
        difference = _less(Figures.sum(one for _, one in said), Figures.sum(one for _, one in counted))
        if not any(difference.values()):
            return {}
        models = {label for label, _ in said + counted}
        for label in sorted(models):
            missing = _less(_of(said, label), _of(counted, label))
            if any(missing.values()):
                past, _ = Tally.objects.get_or_create(worker=tallies.PAST, provider=label[0], model=label[1])
                right = Figures.sum([Figures.of(vars(past)), replace(_of(said, label), **_NOTHING)])
                Tally.objects.filter(pk=past.pk).update(
                    **{
                        name: getattr(right, name) + missing[name] if name in missing else getattr(right, name)
                        for name in NAMES
                    }
                )
    return {name: value for name, value in difference.items() if value}


_Labelled = tuple[tuple[str, str], Figures]


def _entries() -> list[dict[str, Any]]:
    columns = ", ".join(f"{expression} AS {name}" for name, expression in sums.EXPRESSIONS.items())
    table = rollup_sql.table(LedgerEntry)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT provider, {sums.MODEL}, {columns} FROM {table} GROUP BY 1, 2")  # noqa: S608
        return [dict(zip(("provider", "model", *sums.EXPRESSIONS), row, strict=True)) for row in cursor.fetchall()]


def _sealed() -> Any:
    rows = HourlyRollup.objects.filter(source="sealed").values("provider", "model").order_by()
    return rows.annotate(**sums.AGGREGATES)


def _by_model(rows: Any) -> list[_Labelled]:
    return [((row["provider"], row["model"]), Figures.of(row)) for row in rows]


def _of(rows: list[_Labelled], label: tuple[str, str]) -> Figures:
    return Figures.sum(figures for found, figures in rows if found == label)


def _less(said: Figures, counted: Figures) -> dict[str, int]:
    """What is missing of each sum. The shortest and longest times are no sums."""
    return {name: getattr(said, name) - getattr(counted, name) for name in _NOTHING}


_NOTHING = {name: 0 for name in NAMES if not name.endswith(("_min_us", "_max_us"))}
