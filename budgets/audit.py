"""Do the accounts still say what the ledger says? Everything is summed anew; any difference is a bug or a hand in the database."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Q, Sum

from budgets import sums
from budgets.models import BudgetPeriod, BudgetShare

log = logging.getLogger("headroom.audit")

LONGEST_CALL = timedelta(hours=24)
"""What is set aside for longer than any call takes was forgotten, or its worker is lost with its workspace."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure of one account that is not the sum of its parts."""

    period_id: int
    account: str
    figure: str
    stored_nano_usd: int
    summed_nano_usd: int


@dataclass(frozen=True, slots=True)
class OldHold:
    """Money that has been set aside for too long. `workspace` and `holder` say where its journal should be."""

    period_id: int
    account: str
    workspace: str
    holder: str
    nano_usd: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found. `periods` accounts were summed."""

    periods: int
    differences: tuple[Difference, ...]
    old_holds: tuple[OldHold, ...]

    @property
    def is_clean(self) -> bool:
        return not self.differences and not self.old_holds


def audit(now: datetime, *, since: datetime | None = None) -> Audit:
    """Sum everything anew, of accounts that ended after `since` (all by default), as it was at one moment."""
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        which = Q() if since is None else Q(ends_at__isnull=True) | Q(ends_at__gt=since)
        periods = list(BudgetPeriod.objects.filter(which).select_related("budget__key", "budget__team").order_by("pk"))
        spent, shares = sums.spent_of(periods), _shares()
        differences = tuple(
            difference
            for period in periods
            for difference in _differences(period, spent[period.pk], *shares.get(period.pk, (0, 0)))
        )
        old_holds = tuple(map(_old_hold, _old_shares(now)))
    return Audit(len(periods), differences, old_holds)


def _shares() -> dict[int, tuple[int, int]]:
    """What all workers hold and lease, by account."""
    rows = BudgetShare.objects.values_list("period_id").annotate(Sum("held_nano_usd"), Sum("leased_nano_usd"))
    return {period_id: (held, leased) for period_id, held, leased in rows}


def _differences(period: BudgetPeriod, spent: int, held: int, leased: int) -> list[Difference]:
    figures = (
        ("spent", period.spent_nano_usd, spent),
        ("held", period.held_nano_usd, held),
        ("leased", period.leased_nano_usd, leased),
    )
    return [
        Difference(period.pk, str(period), figure, stored, summed)
        for figure, stored, summed in figures
        if stored != summed or summed < 0
    ]


def _old_shares(now: datetime) -> list[BudgetShare]:
    something = ~Q(held_nano_usd=0) | ~Q(leased_nano_usd=0)
    return list(
        BudgetShare.objects.filter(something, changed_at__lt=now - LONGEST_CALL)
        .select_related("period__budget__key", "period__budget__team")
        .order_by("pk")
    )


def _old_hold(share: BudgetShare) -> OldHold:
    return OldHold(
        share.period_id,
        str(share.period),
        share.workspace,
        share.holder,
        share.held_nano_usd + share.leased_nano_usd,
        share.changed_at,
    )


def report(found: Audit) -> list[str]:
    """What was found, one line each."""
    lines = [
        f"{one.account}: {one.figure} is {one.stored_nano_usd:,} nano-dollars, its parts sum up to {one.summed_nano_usd:,}"
        for one in found.differences
    ]
    lines += [
        f"{one.account}: {one.nano_usd:,} nano-dollars are set aside for worker {one.holder} of workspace {one.workspace} "
        f"since {one.since:%Y-%m-%d %H:%M}"
        for one in found.old_holds
    ]
    return lines
