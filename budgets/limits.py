"""The only writer of `Budget`: the command line, the admin and the settings all come here."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, cast

from django.db import transaction
from django.db.models import Prefetch, QuerySet
from django.utils import timezone

from budgets import balances, dollars, keys, periods, trail, versions
from budgets.models import ApiKey, Budget, BudgetPeriod, Team
from budgets.periods import Kind

Policy = Literal["normal", "strict"]
POLICIES: tuple[Policy, ...] = ("normal", "strict")

MAX_USD = 10_000_000
MAX_PER_SCOPE = 6
"""A call is counted against six budgets of its key, six of its team and six for everybody at most."""
SETTINGS = "settings"


class BadBudget(ValueError):
    """A limit, period or policy that cannot be meant."""


class NoSuchBudget(LookupError):
    """No budget in force has this id."""


def create(
    limit_usd: Decimal,
    period: Kind,
    *,
    key: ApiKey | None = None,
    team: Team | None = None,
    time_zone: str = "UTC",
    policy: Policy = "normal",
    by: str = trail.COMMAND_LINE,
) -> Budget:
    """A new budget for a key, a team, or everybody when neither is given. Raises BadBudget or periods.NoSuchZone."""
    if period not in periods.KINDS:
        raise BadBudget(f"a period is one of {', '.join(periods.KINDS)}, not {period!r}")
    if policy not in POLICIES:
        raise BadBudget(f"a policy is one of {', '.join(POLICIES)}, not {policy!r}")
    if key is not None and team is not None:
        raise BadBudget("a budget is for a key or for a team, not for both")
    budget = Budget(
        scope="key" if key else "team" if team else "global",
        key=key,
        team=team,
        limit_nano_usd=nano_usd(limit_usd),
        period=period,
        time_zone=periods.check_zone(time_zone),
        policy=policy,
        origin=SETTINGS if by == trail.START else "admin",
    )
    with transaction.atomic():
        others = Budget.objects.filter(scope=budget.scope, key=key, team=team, ended_at__isnull=True).count()
        if others >= MAX_PER_SCOPE:
            raise BadBudget(f"there are {others} budgets for this already; end one first")
        budget.save(force_insert=True)
        trail.record("began", budget, by=by, time_zone=time_zone, policy=policy)
        keys.changed()
    return budget


def set_limit(budget_id: int, limit_usd: Decimal, *, seen: str = "", by: str = trail.COMMAND_LINE) -> Budget:
    """Raise or lower a limit, for the running period too. Below what is spent it refuses all until the next period.

    `seen` is the budget's version when it was looked at; raises versions.ChangedMeanwhile when it has another one.
    """
    limit = nano_usd(limit_usd)
    with transaction.atomic():
        budget = _in_force(budget_id)
        versions.check(budget, seen)
        before = budget.limit_nano_usd
        _set_limit(budget, limit)
        trail.record("limit set", budget, by=by, from_usd=dollars.exact(before), to_usd=dollars.exact(limit))
        keys.changed()
    return budget


def top_up(budget_id: int, extra_usd: Decimal, *, by: str = trail.COMMAND_LINE) -> BudgetPeriod:
    """More room in the running period only: the next one begins with the budget's own limit again."""
    extra = nano_usd(extra_usd)
    if not extra:
        raise BadBudget("a top-up is more than 0 USD")
    with transaction.atomic():
        budget = _in_force(budget_id)
        account = _running_account(budget)
        if account.limit_nano_usd + extra > MAX_USD * dollars.NANO_PER_USD:
            raise BadBudget(f"a limit is from 0 to {MAX_USD:,} USD")
        account.limit_nano_usd += extra
        account.alerted_percent = 0
        account.save(update_fields=["limit_nano_usd", "alerted_percent"])
        trail.record("topped up", budget, by=by, extra_usd=dollars.exact(extra), period_from=account.starts_at)
        keys.changed()
    return account


def reset_alert(budget_id: int, *, by: str = trail.COMMAND_LINE) -> BudgetPeriod:
    """Have the running period say again when 80 % and when all of it is spent."""
    with transaction.atomic():
        budget = _in_force(budget_id)
        account = _running_account(budget)
        account.alerted_percent = 0
        account.save(update_fields=["alerted_percent"])
        trail.record("alert reset", budget, by=by, period_from=account.starts_at)
    return account


def end(budget_id: int, *, seen: str = "", by: str = trail.COMMAND_LINE) -> Budget:
    """A budget that counts no more. Its accounts stay."""
    with transaction.atomic():
        budget = _in_force(budget_id)
        versions.check(budget, seen)
        budget.ended_at = timezone.now()
        budget.save(update_fields=["ended_at"])
        trail.record("ended", budget, by=by)
        keys.changed()
    return budget


def list_budgets() -> list[Budget]:
    """All budgets in force, with whom they are for."""
    return list(
        Budget.objects.filter(ended_at__isnull=True).select_related("key__team", "team").order_by("scope", "pk")
    )


def list_with_periods() -> list[tuple[Budget, BudgetPeriod | None]]:
    """All budgets in force with their running accounts, `None` where nothing was asked of one yet in this period."""
    by_budget = {period.budget_id: period for period in running_periods()}
    return [(budget, by_budget.get(budget.pk)) for budget in list_budgets()]


def apply_settings(limit_usd: Decimal | None, period: Kind, *, time_zone: str, policy: Policy) -> Budget | None:
    """Make the one budget of the start's settings what they say; without a limit there is none."""
    with transaction.atomic():
        present = Budget.objects.select_for_update().filter(origin=SETTINGS, ended_at__isnull=True).first()
        if present is not None and limit_usd is not None and _is_alike(present, period, time_zone, policy):
            if present.limit_nano_usd != (limit := nano_usd(limit_usd)):
                _set_limit(present, limit)
                keys.changed()
            return present
        if present is not None:
            end(present.pk, by=trail.START)
        if limit_usd is None:
            return None
        return create(limit_usd, period, time_zone=time_zone, policy=policy, by=trail.START)


def nano_usd(usd: Decimal) -> int:
    """Dollars as nano-dollars. Raises BadBudget for what is negative, absurd or finer than that."""
    if not usd.is_finite() or not 0 <= usd <= MAX_USD:
        raise BadBudget(f"a limit is from 0 to {MAX_USD:,} USD, not {usd}")
    nano = usd * dollars.NANO_PER_USD
    if nano != nano.to_integral_value():
        raise BadBudget(f"{usd} USD has more than 9 decimals")
    return int(nano)


def running_periods() -> QuerySet[BudgetPeriod]:
    """The accounts that calls of this moment are booked to."""
    now = timezone.now()
    return BudgetPeriod.objects.filter(starts_at__lte=now).exclude(ends_at__lte=now)


def with_accounts(budgets: QuerySet[Budget]) -> QuerySet[Budget]:
    """The budgets with their running account, in one query more."""
    return budgets.prefetch_related(Prefetch("periods", running_periods(), to_attr="running"))


def account(budget: Budget) -> BudgetPeriod | None:
    """The running account of a budget that came from `with_accounts`; `None` where nothing was asked of it yet."""
    running: list[BudgetPeriod] = budget.running  # type: ignore[attr-defined]
    return running[0] if running else None


def _running_account(budget: Budget) -> BudgetPeriod:
    span = periods.containing(cast(Kind, budget.period), budget.time_zone, timezone.now().timestamp())
    return BudgetPeriod.objects.select_for_update().get(pk=balances.open_period(budget.pk, span))


def _is_alike(budget: Budget, period: Kind, time_zone: str, policy: Policy) -> bool:
    return (budget.period, budget.time_zone, budget.policy) == (period, time_zone, policy)


def _in_force(budget_id: int) -> Budget:
    budget = Budget.objects.select_for_update().filter(pk=budget_id, ended_at__isnull=True).first()
    if budget is None:
        raise NoSuchBudget(f"no budget in force has the id {budget_id}")
    return budget


def _set_limit(budget: Budget, limit_nano_usd: int) -> None:
    """Not only for periods to come: those that have not ended follow."""
    budget.limit_nano_usd = limit_nano_usd
    budget.save(update_fields=["limit_nano_usd"])
    running = BudgetPeriod.objects.filter(budget=budget).exclude(ends_at__lte=timezone.now())
    for pk in running.order_by("pk").values_list("pk", flat=True):
        BudgetPeriod.objects.filter(pk=pk).update(limit_nano_usd=limit_nano_usd, alerted_percent=0)
