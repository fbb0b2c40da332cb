"""Keys and budgets on the dashboard: what is left, how fast it goes, and when it will be gone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from budgets import limits
from budgets.models import ApiKey, Budget, BudgetPeriod
from savings import stats
from savings.dashboard import parts
from savings.dashboard.definitions import Tile, tiles
from savings.dashboard.scope import Scope
from savings.figures import Figures

KEYS_WINDOW = timedelta(days=30)
MIN_ELAPSED = timedelta(minutes=5)
"""A rate over less time than this says nothing."""
NEAR_PERCENT, OVER_PERCENT = 80, 100


@dataclass(frozen=True, slots=True)
class Balance:
    """A budget with its running account. Percents are shares of the limit; `per_hour` and the rest are nano-dollars.

    `gone_at` is when it will be spent at the speed of this period so far, `None` where it lasts until the period's end.
    """

    budget: Budget
    period: BudgetPeriod | None
    spent: int
    set_aside: int
    limit: int
    per_hour: int | None
    gone_at: datetime | None

    @property
    def whose(self) -> str:
        """The name of the key or team that it is for."""
        owner = self.budget.key or self.budget.team
        return owner.name if owner is not None else "everybody"

    @property
    def left(self) -> int:
        return self.limit - self.spent - self.set_aside

    @property
    def spent_percent(self) -> float:
        return round(min(100.0, 100 * self.spent / self.limit), 2) if self.limit else 100.0

    @property
    def set_aside_percent(self) -> float:
        share = 100 * self.set_aside / self.limit if self.limit else 0.0
        return round(min(share, 100.0 - self.spent_percent), 2)

    @property
    def state(self) -> str:
        """`over`, `near` or nothing: the colour of the bar."""
        if self.limit and 100 * self.spent < NEAR_PERCENT * self.limit:
            return ""
        return "near" if self.limit and 100 * self.spent < OVER_PERCENT * self.limit else "over"


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key and what it did in the last thirty days."""

    key: ApiKey
    tiles: list[Tile]
    is_usable: bool


def keys_and_budgets(request: HttpRequest, scope: Scope) -> HttpResponse:
    """Balances of all budgets in force, and the keys with what they spent."""
    now = datetime.now(UTC)
    context = {
        "tab": "keys",
        "balances": [balance(budget, period, now) for budget, period in _budgets(scope)],
        "keys": _keys(scope, now),
        "columns": tiles(Figures(), parts.COLUMNS),
        "window": stats.Window.last(KEYS_WINDOW, now),
    }
    return render(request, "budgets/balances.html", context)


def balance(budget: Budget, period: BudgetPeriod | None, now: datetime) -> Balance:
    """How a budget stands, and where it is heading."""
    if period is None:
        return Balance(budget, None, 0, 0, budget.limit_nano_usd, None, None)
    set_aside = period.held_nano_usd + period.leased_nano_usd
    elapsed = now - (period.starts_at if budget.period != "total" else max(period.starts_at, budget.created_at))
    per_hour = gone_at = None
    if elapsed >= MIN_ELAPSED and period.spent_nano_usd > 0:
        per_hour = int(period.spent_nano_usd * 3600 / elapsed.total_seconds())
        gone_at = _gone_at(period, per_hour, now)
    return Balance(budget, period, period.spent_nano_usd, set_aside, period.limit_nano_usd, per_hour, gone_at)


def _gone_at(period: BudgetPeriod, per_hour: int, now: datetime) -> datetime | None:
    left = period.limit_nano_usd - period.spent_nano_usd
    if left <= 0:
        return now
    hours = left / per_hour if per_hour else float("inf")
    if hours > 24 * 365:
        return None
    gone_at = now + timedelta(hours=hours)
    return gone_at if period.ends_at is None or gone_at < period.ends_at else None


def _budgets(scope: Scope) -> list[tuple[Budget, BudgetPeriod | None]]:
    """Those that may be seen: a team sees its own and its keys', not what everybody shares."""
    found = limits.list_with_periods()
    if scope.team is None:
        return found
    return [(budget, period) for budget, period in found if _team_of(budget) == scope.team]


def _team_of(budget: Budget) -> str | None:
    if budget.team is not None:
        return budget.team.name
    if budget.key is not None and budget.key.team is not None:
        return budget.key.team.name
    return None


def _keys(scope: Scope, now: datetime) -> list[KeyRow]:
    keys = ApiKey.objects.select_related("team").order_by("revoked_at", "name")
    if scope.team is not None:
        keys = keys.filter(team__name=scope.team)
    spent = stats.by("key_id", stats.Window.last(KEYS_WINDOW, now), limit=None, **scope.labels)
    rows = []
    for key in keys[:500]:
        is_usable = key.revoked_at is None and (key.expires_at is None or key.expires_at > now)
        rows.append(KeyRow(key, tiles(spent.get(str(key.pk), Figures()), parts.COLUMNS), is_usable))
    return rows
