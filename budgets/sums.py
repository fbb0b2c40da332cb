"""What accounts must have spent, summed over the ledger in one pass, however many accounts there are."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import connection

from budgets import balances
from budgets.models import BudgetPeriod
from savings.models import LedgerEntry, SealedCost

QUARTER_S = 900
"""Every zone's clock differs from UTC by a multiple of a quarter of an hour, and so do the moments at which periods begin."""
ROWS_AT_ONCE = 10_000

# Whichever is quickest, as it is worked out for every entry.
_QUARTERS = {
    "postgresql": f"date_bin('{QUARTER_S} seconds', admitted_at, '1970-01-01 00:00:00+00')",
    "sqlite": f"cast(strftime('%%s', admitted_at) as integer) / {QUARTER_S}",
}


@dataclass(slots=True)
class _Row:
    """The periods of one budget one after the other: where each begins, and where it ends (`None` is never)."""

    starts: list[int] = field(default_factory=list)
    ends: list[int | None] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)

    def at(self, quarter: int) -> int | None:
        """The period in which a quarter lies."""
        place = bisect_right(self.starts, quarter) - 1
        if place < 0:
            return None
        end = self.ends[place]
        return self.ids[place] if end is None or quarter < end else None


def spent_of(periods: Sequence[BudgetPeriod]) -> dict[int, int]:
    """What the ledger says that each account has spent, in nano-dollars."""
    whole = [period for period in periods if _is_whole(period.starts_at) and _is_whole(period.ends_at)]
    spent = {period.pk: 0 for period in whole}
    rows = _rows(whole)
    if rows:
        for key_id, owner, quarter, cost in _sums(min(period.starts_at for period in whole)):
            for whose in {"", f"key:{key_id}", owner}:
                for row in rows.get(whose, ()):
                    if (period_id := row.at(quarter)) is not None:
                        spent[period_id] += cost
    for period in periods:
        if period.pk not in spent:
            spent[period.pk] = balances.spent_by_entries(period.budget, period.starts_at, period.ends_at)
    return spent


def _rows(periods: Sequence[BudgetPeriod]) -> dict[str, list[_Row]]:
    """The rows of periods by whose calls they count: "" is everybody's, `key:<id>`, `team:<number>`."""
    rows: dict[int, _Row] = defaultdict(_Row)
    found: dict[str, list[_Row]] = defaultdict(list)
    for period in sorted(periods, key=lambda one: one.starts_at):
        budget = period.budget
        if budget.pk not in rows:
            whose = {"key": f"key:{budget.key_id}", "team": f"team:{budget.team_id}"}.get(budget.scope, "")
            found[whose].append(rows[budget.pk])
        row = rows[budget.pk]
        row.starts.append(int(period.starts_at.timestamp()) // QUARTER_S)
        row.ends.append(int(period.ends_at.timestamp()) // QUARTER_S if period.ends_at else None)
        row.ids.append(period.pk)
    return found


def _sums(since: datetime) -> Iterator[tuple[str, str, int, int]]:
    """(key, owner, quarter of an hour, cost) of all entries since then that cost anything, deleted ones included."""
    table = connection.ops.quote_name(LedgerEntry._meta.db_table)
    query = (
        f"SELECT key_id, owner, {_QUARTERS[connection.vendor]}, sum(cost_nano_usd) FROM {table} "  # noqa: S608 - our own names
        "WHERE cost_nano_usd > 0 AND admitted_at >= %s GROUP BY 1, 2, 3"
    )
    with connection.cursor() as cursor:
        cursor.execute(query, [connection.ops.adapt_datetimefield_value(since)])
        while rows := cursor.fetchmany(ROWS_AT_ONCE):
            for key_id, owner, quarter, cost in rows:
                yield key_id, owner, _number(quarter), int(cost)
    sealed = SealedCost.objects.filter(starts_at__gte=since, cost_nano_usd__gt=0)
    for key_id, owner, quarter, cost in sealed.values_list("key_id", "owner", "starts_at", "cost_nano_usd").iterator():
        yield key_id, owner, _number(quarter), cost


def _number(quarter: int | datetime) -> int:
    return quarter if isinstance(quarter, int) else int(quarter.timestamp()) // QUARTER_S


def _is_whole(moment: datetime | None) -> bool:
    return moment is None or moment.timestamp() % QUARTER_S == 0
