"""The SQL of tallies, for PostgreSQL and SQLite."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from django.db import connection

from savings import sums
from savings.lists_sql import among
from savings.models import LedgerEntry, SavingsCheckpoint, ServingWorker, Tally, TallyReason
from savings.rollup_sql import OTHER, adding, table

PAST = "past"
_COLUMNS = ", ".join(sums.COLUMNS)
_AGAIN = ", ".join(sums.again(name) for name in sums.COLUMNS)
_CHECKPOINT = {
    "requests": "requests",
    "tokens_saved": "tokens_saved",
    "input_tokens": "input_fresh_tokens + cache_read_tokens + cache_write_5m_tokens + cache_write_1h_tokens",
    "output_tokens": "output_tokens",
    "cache_read_tokens": "cache_read_tokens",
    "cost_nano_usd": "cost_nano_usd",
    "output_cost_nano_usd": "output_cost_nano_usd",
    "saved_nano_usd": "saved_nano_usd",
    "avoided_nano_usd": "avoided_nano_usd",
}


def count() -> str:
    """Add entries to a worker's tally. Parameters: the worker, the models that are counted apart, the entries."""
    return _worded(_count, connection.vendor)


def count_reasons() -> str:
    """Add entries to a worker's reasons. Parameters: the worker, the entries."""
    return _worded(_count_reasons, connection.vendor)


@cache
def _worded(word: Callable[[], str], _vendor: str) -> str:
    """A statement that runs with every batch, in the words of a kind of database."""
    return word()


def _count() -> str:
    model = f"CASE WHEN {among(sums.MODEL, 'text')} THEN {sums.MODEL} ELSE '{OTHER}' END"
    return (
        f"INSERT INTO {table(Tally)} (worker, provider, model, {_COLUMNS})"
        f" SELECT %s, provider, {model}, {', '.join(sums.EXPRESSIONS.values())} FROM {table(LedgerEntry)}"
        f" WHERE {among('id', 'uuid')} GROUP BY 2, 3 {adding(Tally, 'worker, provider, model', sums.COLUMNS)}"
    )


def _count_reasons() -> str:
    return (
        f"INSERT INTO {table(TallyReason)} (worker, reason, calls)"
        f" SELECT %s, reason, COUNT(*) FROM {table(LedgerEntry)}"
        f" WHERE {among('id', 'uuid')} AND reason <> '' AND {sums.IS_REQUEST} GROUP BY 2"
        f" {adding(TallyReason, 'worker, reason', ('calls',))}"
    )


def fold(rows: int, models: int) -> str:
    """Add tallies to the past. Parameters: the models that are counted apart (none: all), the rows."""
    model = f"CASE WHEN model IN ({_marks(models)}) THEN model ELSE '{OTHER}' END" if models else "model"
    return (
        f"INSERT INTO {table(Tally)} (worker, provider, model, {_COLUMNS})"
        f" SELECT '{PAST}', provider, {model}, {_AGAIN} FROM {table(Tally)}"
        f" WHERE id IN ({_marks(rows)}) GROUP BY 2, 3 {adding(Tally, 'worker, provider, model', sums.COLUMNS)}"
    )


def fold_reasons(rows: int) -> str:
    """Add reasons to the past. Parameters: the rows."""
    return (
        f"INSERT INTO {table(TallyReason)} (worker, reason, calls)"
        f" SELECT '{PAST}', reason, SUM(calls) FROM {table(TallyReason)}"
        f" WHERE id IN ({_marks(rows)}) GROUP BY reason {adding(TallyReason, 'worker, reason', ('calls',))}"
    )


def checkpoint() -> str:
    """Write down the totals as of this second, unless somebody has. Parameters: provider, agent and model."""
    totals = ", ".join(f"COALESCE(SUM({expression}), 0)" for expression in _CHECKPOINT.values())
    return (
        f"INSERT INTO {table(SavingsCheckpoint)} (at, is_imported, provider, agent, model, {', '.join(_CHECKPOINT)})"
        f" SELECT {_this_second()}, {_false()}, %s, %s, %s, {totals} FROM {table(Tally)} WHERE true"
        " ON CONFLICT (at) DO NOTHING"
    )


def is_serving(within_s: float) -> str:
    """Whether a worker belongs to a run that has a living one: one that gave a sign within so many seconds."""
    if connection.vendor == "postgresql":
        since = f"STATEMENT_TIMESTAMP() - INTERVAL '{within_s} seconds'"
    else:
        since = f"STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'now', '-{within_s} seconds')"
    return f"run IN (SELECT run FROM {table(ServingWorker)} WHERE seen_at >= {since})"


def _this_second() -> str:
    if connection.vendor == "postgresql":
        return "DATE_TRUNC('second', STATEMENT_TIMESTAMP())"
    return "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%S', 'now')"


def _false() -> str:
    return "false" if connection.vendor == "postgresql" else "0"


def _marks(count: int) -> str:
    return ", ".join(["%s"] * count)


def last_before() -> str:
    """The ids of the last checkpoints at some times. The parameter: a list of them, for SQLite as JSON."""
    times = "UNNEST(%s::timestamptz[]) AS time"
    if connection.vendor != "postgresql":
        times = "(SELECT value AS time FROM JSON_EACH(%s)) AS times"
    checkpoints = table(SavingsCheckpoint)
    return f"SELECT (SELECT id FROM {checkpoints} WHERE at <= time ORDER BY at DESC LIMIT 1) FROM {times}"


def thin(bucket: str) -> str:
    """Checkpoints of a time that are not the last of their minute or hour. Parameters: since, until, how many at most."""
    if connection.vendor == "postgresql":
        start = f"DATE_TRUNC('{bucket}', at)"
    else:
        start = f"SUBSTR(at, 1, {16 if bucket == 'minute' else 13})"
    return (
        "SELECT id FROM (SELECT id, ROW_NUMBER() OVER"
        f" (PARTITION BY {start} ORDER BY at DESC) AS place FROM {table(SavingsCheckpoint)}"
        f" WHERE at >= %s AND at < %s AND is_imported = {_false()}) AS placed WHERE place > 1 LIMIT %s"
    )
