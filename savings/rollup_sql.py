"""The SQL of rollups, for PostgreSQL and SQLite: entries into hours, hours into days.

Every statement takes the span of time as its two parameters, start included and end excluded, as often as `spans` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from savings import sums
from savings.models import BucketTotal, DailyRollup, HourlyReason, HourlyRollup, LedgerEntry, SealedCost

MAX_GROUPS = 1000
"""Combinations of labels in one bucket. Labels come from clients: the rarest ones beyond this are counted as `other`."""

OTHER = "other"
LIVE = ("ledger", "sealed")

_LABELS = ", ".join(sums.LABELS)
_COLUMNS = ", ".join(sums.COLUMNS)
_AGAIN = ", ".join(f"{sums.again(name)} AS {name}" for name in sums.COLUMNS)
_CLIENTS_LABELS = ("model", "agent", "project")


@dataclass(frozen=True, slots=True)
class Statement:
    """Rows that a SELECT gives and a table gets."""

    model: type[Any]
    names: str
    select: str

    @property
    def insert(self) -> str:
        """Both in one."""
        return f"INSERT INTO {table(self.model)} ({self.names}) {self.select}"

    @property
    def insert_values(self) -> str:
        """For rows that were read before."""
        marks = ", ".join(["%s"] * len(self.names.split(",")))
        return f"INSERT INTO {table(self.model)} ({self.names}) VALUES ({marks})"


def most_in_a_bucket(model: type[Any], grain: str) -> str:
    """How many rows the fullest bucket of a span has: no more than that can be the groups in it."""
    column = "admitted_at" if model is LedgerEntry else "starts_at"
    return (
        f"SELECT COALESCE(MAX(calls), 0) FROM (SELECT COUNT(*) AS calls FROM {table(model)}"
        f" WHERE {column} >= %s AND {column} < %s GROUP BY {_bucket(grain, column)}) AS buckets"
    )


def hours_of_entries(source: str = "ledger", which: str = "", *, is_bounded: bool = True) -> Statement:
    """Entries summed up by hour and labels. Where there cannot be too many groups, it is quicker not to look."""
    labels = ", ".join(f"{sums.MODEL} AS model" if label == "model" else label for label in sums.LABELS)
    columns = ", ".join(f"{expression} AS {name}" for name, expression in sums.EXPRESSIONS.items())
    return _bounded(
        HourlyRollup,
        f"SELECT {_bucket('hour', 'admitted_at')} AS starts_at, {labels}, {columns} FROM {table(LedgerEntry)}"
        f" WHERE admitted_at >= %s AND admitted_at < %s {which} GROUP BY 1, 2, 3, 4, 5, 6, 7, 8",
        source,
        is_bounded=is_bounded,
    )


def days_of_hours(*, is_bounded: bool = True) -> Statement:
    """Hours summed up by day and labels."""
    return _bounded(
        DailyRollup,
        f"SELECT {_bucket('day', 'starts_at')} AS starts_at, {_LABELS}, {_AGAIN} FROM {table(HourlyRollup)}"
        f" WHERE starts_at >= %s AND starts_at < %s AND source IN {LIVE} GROUP BY 1, {_LABELS}",
        is_bounded=is_bounded,
    )


def reasons_of_entries(source: str = "ledger", which: str = "") -> Statement:
    """Requests that went out as they came, counted by hour and reason."""
    return Statement(
        HourlyReason,
        "starts_at, source, reason, calls",
        f"SELECT {_bucket('hour', 'admitted_at')}, '{source}', reason, COUNT(*) FROM {table(LedgerEntry)}"
        f" WHERE admitted_at >= %s AND admitted_at < %s {which} AND reason <> '' AND {sums.IS_REQUEST}"
        " GROUP BY 1, reason",
    )


def removal(model: type[Any]) -> str:
    """Delete what was summed up out of the ledger before."""
    return f"DELETE FROM {table(model)} WHERE starts_at >= %s AND starts_at < %s AND source = 'ledger'"


def totals(grain: str, model: type[HourlyRollup | DailyRollup]) -> Statement:
    """Buckets summed up over all labels."""
    return Statement(
        BucketTotal,
        f"grain, starts_at, source, {_COLUMNS}",
        f"SELECT '{grain}', starts_at, 'ledger', {_AGAIN} FROM {table(model)}"
        f" WHERE starts_at >= %s AND starts_at < %s AND source IN {LIVE} GROUP BY starts_at",
    )


def seals() -> tuple[str, ...]:
    """Sums of entries that are about to be deleted, added to those of earlier ones. Parameters: start, end, recorded before."""
    which = "AND recorded_at < %s"
    groups, reasons = hours_of_entries("sealed", which), reasons_of_entries("sealed", which)
    costs = Statement(
        SealedCost,
        "starts_at, key_id, owner, calls, cost_nano_usd",
        f"SELECT {_quarter('admitted_at')}, key_id, owner, COUNT(*), COALESCE(SUM(cost_nano_usd), 0)"
        f" FROM {table(LedgerEntry)} WHERE admitted_at >= %s AND admitted_at < %s {which} GROUP BY 1, key_id, owner",
    )
    return (
        f"{groups.insert} {adding(HourlyRollup, 'starts_at, source, digest', sums.COLUMNS)}",
        f"{reasons.insert} {adding(HourlyReason, 'starts_at, source, reason', ('calls',))}",
        f"{costs.insert} {adding(SealedCost, 'starts_at, key_id, owner', ('calls', 'cost_nano_usd'))}",
    )


def adding(model: type[Any], unique: str, columns: tuple[str, ...]) -> str:
    """What becomes of a row that is there already: the new one is added to it."""
    added = ", ".join(f"{name} = {sums.added(name, table(model))}" for name in columns)
    return f"ON CONFLICT ({unique}) DO UPDATE SET {added}"


def _quarter(column: str) -> str:
    """The quarter of an hour that a time falls into."""
    if connection.vendor == "postgresql":
        minutes = f"FLOOR(EXTRACT(MINUTE FROM {column}) / 15) * INTERVAL '15 minutes'"
        return f"{_bucket('hour', column)} + {minutes}"
    minute = f"PRINTF('%%02d', CAST(SUBSTR({column}, 15, 2) AS INTEGER) / 15 * 15)"
    return f"SUBSTR({column}, 1, 14) || {minute} || ':00'"


def hours_recorded_since() -> str:
    """The hours of the entries that were recorded since a time, the one parameter."""
    return f"SELECT DISTINCT {_bucket('hour', 'admitted_at')} FROM {table(LedgerEntry)} WHERE recorded_at >= %s"


def all_hours() -> str:
    """The hours of all entries, and of rollups whose entries may be gone."""
    return (
        f"SELECT DISTINCT {_bucket('hour', 'admitted_at')} FROM {table(LedgerEntry)}"
        f" UNION SELECT DISTINCT starts_at FROM {table(HourlyRollup)} WHERE source = 'ledger'"
    )


def table(model: type[Any]) -> str:
    """A model's table, quoted."""
    return connection.ops.quote_name(model._meta.db_table)


def moment(value: datetime | str) -> datetime:
    """A time as a raw query gives it: SQLite has no zones, and text where it computed something."""
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _bucket(grain: str, column: str) -> str:
    """The start of the hour or day that a time falls into."""
    if connection.vendor == "postgresql":
        return f"DATE_TRUNC('{grain}', {column}, 'UTC')"
    return f"SUBSTR({column}, 1, 13) || ':00:00'" if grain == "hour" else f"SUBSTR({column}, 1, 10) || ' 00:00:00'"


def _bounded(model: type[Any], grouped: str, source: str = "ledger", *, is_bounded: bool) -> Statement:
    """Groups with the rarest ones of a bucket counted as one where there are too many."""
    separator = "CHR(31)" if connection.vendor == "postgresql" else "CHAR(31)"
    digest = f"MD5({f' || {separator} || '.join(sums.LABELS)})"
    names = f"starts_at, source, digest, {_LABELS}, {_COLUMNS}"
    if not is_bounded:
        return Statement(
            model,
            names,
            f"SELECT starts_at, '{source}', {digest}, {_LABELS}, {_COLUMNS} FROM ({grouped}) AS grouped WHERE true",
        )
    labels = ", ".join(
        f"CASE WHEN place <= {MAX_GROUPS} THEN {label} ELSE '{OTHER}' END AS {label}"
        if label in _CLIENTS_LABELS
        else label
        for label in sums.LABELS
    )
    return Statement(
        model,
        names,
        f"WITH grouped AS ({grouped}), ranked AS (SELECT grouped.*, ROW_NUMBER() OVER (PARTITION BY starts_at"
        f" ORDER BY calls DESC, cost_nano_usd DESC, {_LABELS}) AS place FROM grouped),"
        f" bounded AS (SELECT starts_at, {labels}, {_COLUMNS} FROM ranked)"
        f" SELECT starts_at, '{source}', {digest}, {_LABELS}, {_AGAIN} FROM bounded"
        f" WHERE true GROUP BY starts_at, {_LABELS}",
    )
