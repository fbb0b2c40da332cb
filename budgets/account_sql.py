"""The SQL that books entries on accounts, for PostgreSQL and SQLite.

It runs several times a second in every worker, beside the road: built by the ORM it took longer than in the database.
"""

from __future__ import annotations

from django.db import connection

from budgets.models import Budget, BudgetPeriod, BudgetShare
from savings.lists_sql import among

_SECONDS = {
    "postgresql": "CAST(EXTRACT(EPOCH FROM {}) AS bigint)",
    "sqlite": "CAST(STRFTIME('%%s', {}) AS integer)",
}


def lock() -> str:
    """Lock accounts in the order of their ids: (id, whose calls it counts, start, end) of each, times in whole seconds.

    Whose is "" for everybody's, `key:<hex>` or `team:<number>`. Parameters: ids of keys, ids of teams, the last and the
    first moment of the entries, ids of accounts.
    """
    seconds = _SECONDS[connection.vendor]
    for_update = " FOR UPDATE OF p" if connection.vendor == "postgresql" else ""
    return (
        "SELECT p.id, CASE b.scope WHEN 'global' THEN '' WHEN 'team' THEN 'team:' || b.team_id"
        f" ELSE 'key:' || REPLACE(CAST(b.key_id AS text), '-', '') END,"
        f" {seconds.format('p.starts_at')}, {seconds.format('p.ends_at')}"
        f" FROM {_table(BudgetPeriod)} p JOIN {_table(Budget)} b ON b.id = p.budget_id"
        f" WHERE ((b.scope = 'global' OR {among('b.key_id', 'uuid')} OR {among('b.team_id', 'bigint')})"
        f" AND p.starts_at <= %s AND (p.ends_at IS NULL OR p.ends_at > %s)) OR {among('p.id', 'bigint')}"
        f" ORDER BY p.id{for_update}"
    )


def release(count: int) -> str:
    """Take from what workers hold and lease, and say (account, worker) of each whose share is still there.

    Parameters: the time, then account, worker, held and leased of each.
    """
    return (
        f"UPDATE {_table(BudgetShare)} SET held_nano_usd = held_nano_usd - move.column3,"
        f" leased_nano_usd = leased_nano_usd - move.column4, changed_at = %s"
        f" FROM (VALUES {_rows(count, 'bigint text bigint bigint')}) AS move"
        " WHERE period_id = move.column1 AND holder = move.column2 RETURNING period_id, holder"
    )


def move(count: int) -> str:
    """Spend, and let go of what was held and leased: (id, spent, limit, alerted percent) of each account after that.

    Parameters: account, spent, held and leased of each.
    """
    return (
        f"UPDATE {_table(BudgetPeriod)} SET spent_nano_usd = spent_nano_usd + move.column2,"
        " held_nano_usd = held_nano_usd - move.column3, leased_nano_usd = leased_nano_usd - move.column4"
        f" FROM (VALUES {_rows(count, 'bigint bigint bigint bigint')}) AS move WHERE id = move.column1"
        " RETURNING id, spent_nano_usd, limit_nano_usd, alerted_percent"
    )


def _rows(count: int, kinds: str) -> str:
    row = ", ".join(f"CAST(%s AS {_kind(kind)})" for kind in kinds.split())
    return ", ".join([f"({row})"] * count)


def _kind(kind: str) -> str:
    return "integer" if kind == "bigint" and connection.vendor == "sqlite" else kind


def _table(model: type[Budget] | type[BudgetPeriod] | type[BudgetShare]) -> str:
    return connection.ops.quote_name(model._meta.db_table)
