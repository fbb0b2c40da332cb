"""The only writer of `BudgetPeriod` and `BudgetShare`: money is taken, given back, and booked as spent, nowhere else.

Whoever changes a period locks its row first, periods in the order of their ids, then its shares: nobody waits in a circle.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from django.db import connection, transaction
from django.db.models import F, QuerySet, Sum
from django.utils import timezone

from budgets import account_sql, alerts
from budgets.models import Budget, BudgetPeriod, BudgetShare
from budgets.periods import Span
from savings import retention
from savings.lists_sql import listed
from savings.models import LedgerEntry
from savings.pricing import PricedReceipt
from savings.receipts import Reserved

ALERT_PERCENT = 80
NEAR_SHARE = 10
"""The last tenth of a limit is given out call by call."""
LEASE_SHARE_OF_LIMIT = 50
LEASE_SHARE_OF_ROOM = 20
STRICT_HOLDS_LEFT = 100
ACCOUNTS_AT_ONCE = 100
KEEP_EMPTY_SHARES = timedelta(days=2)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Holder:
    """A worker: the name of its journal, and the folder of journals that this is one of."""

    workspace: str
    name: str


@dataclass(frozen=True, slots=True)
class Grant:
    """What was given for a list of wishes: which of them, what on top for later wishes, and how the period stands."""

    is_granted: tuple[bool, ...]
    leased_nano_usd: int
    limit_nano_usd: int
    spent_nano_usd: int
    promised_nano_usd: int
    """Held and leased, by all workers, after this."""

    @property
    def is_near(self) -> bool:
        """So near the limit that every call asks for itself."""
        room = self.limit_nano_usd - self.spent_nano_usd - self.promised_nano_usd
        return room * NEAR_SHARE < self.limit_nano_usd


def open_period(budget_id: int, span: Span) -> int:
    """The id of a budget's account for a period, opened if it is not there: with what was spent in that time already."""
    found = BudgetPeriod.objects.filter(budget_id=budget_id, starts_at=span.starts_at).values_list("pk", flat=True)
    if (known := found.first()) is not None:
        return known
    with transaction.atomic():
        _keep_entries_out()
        budget = Budget.objects.select_related("team", "key").get(pk=budget_id)
        period, _ = BudgetPeriod.objects.get_or_create(
            budget=budget,
            starts_at=span.starts_at,
            defaults={
                "ends_at": span.ends_at,
                "limit_nano_usd": budget.limit_nano_usd,
                "spent_nano_usd": spent_by_entries(budget, span.starts_at, span.ends_at),
            },
        )
    return period.pk


def _keep_entries_out() -> None:
    """No entry may be written between the sum and the account that goes on from it. SQLite has one writer anyway."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            table = connection.ops.quote_name(LedgerEntry._meta.db_table)
            cursor.execute(f"LOCK TABLE {table} IN SHARE MODE")


def spent_by_entries(budget: Budget, starts_at: datetime, ends_at: datetime | None) -> int:
    """What the ledger says that a budget's scope cost in a time, entries included that were deleted since."""
    entries = entries_of(budget).filter(admitted_at__gte=starts_at)
    if ends_at is not None:
        entries = entries.filter(admitted_at__lt=ends_at)
    total: int | None = entries.aggregate(total=Sum("cost_nano_usd"))["total"]
    return int(total or 0) + retention.sealed_cost(starts_at, ends_at, **_whose(budget))


def _whose(budget: Budget) -> dict[str, str]:
    if budget.scope == "key":
        return {"key_id": str(budget.key_id)}
    return {"owner": f"team:{budget.team_id}"} if budget.scope == "team" else {}


def entries_of(budget: Budget) -> QuerySet[LedgerEntry]:
    """The entries that count against a budget, of any time."""
    return LedgerEntry.objects.filter(**_whose(budget))


def take(
    period_id: int,
    holder: Holder,
    wishes: Sequence[int],
    *,
    lease_for: int = 0,
    is_strict: bool = False,
    unbooked: int = 0,
) -> Grant:
    """Set money aside for those wishes that fit, in their order. Far from the limit there is a lease on top.

    `lease_for` is what a call needs that leases are wanted for, 0 for none; `unbooked` is what calls of this worker may cost
    that nothing was set aside for, and that are not in the ledger yet.
    """
    with transaction.atomic():
        period = BudgetPeriod.objects.select_for_update().get(pk=period_id)
        promised = period.held_nano_usd + period.leased_nano_usd + unbooked
        room = period.limit_nano_usd - period.spent_nano_usd - promised
        is_granted, held = [], 0
        for wish in wishes:
            fits = wish <= room - held
            held += wish if fits else 0
            is_granted.append(fits)
        leased = _lease(period.limit_nano_usd, room - held, lease_for, is_strict)
        if held or leased:
            # The condition says again what the locked row said: no mistake above may ever go over a limit.
            changed = BudgetPeriod.objects.filter(
                pk=period_id,
                limit_nano_usd__gte=F("spent_nano_usd") + F("held_nano_usd") + F("leased_nano_usd") + held + leased,
            ).update(held_nano_usd=F("held_nano_usd") + held, leased_nano_usd=F("leased_nano_usd") + leased)
            if not changed:
                raise AssertionError(f"period {period_id} has no room for what was found to fit")
            _add_to_share(period_id, holder, held, leased)
    return Grant(
        tuple(is_granted),
        leased,
        period.limit_nano_usd,
        period.spent_nano_usd,
        promised + held + leased,
    )


def _lease(limit: int, room: int, call: int, is_strict: bool) -> int:
    """How much a worker gets on top, to promise it on without asking; 0 near the limit."""
    if not call or room * NEAR_SHARE < limit or (is_strict and room < call * STRICT_HOLDS_LEFT):
        return 0
    slice_ = min(limit // LEASE_SHARE_OF_LIMIT, room // LEASE_SHARE_OF_ROOM)
    return slice_ if slice_ >= call else 0


def _add_to_share(period_id: int, holder: Holder, held: int, leased: int) -> None:
    mine = BudgetShare.objects.filter(period_id=period_id, holder=holder.name)
    if not mine.update(
        held_nano_usd=F("held_nano_usd") + held,
        leased_nano_usd=F("leased_nano_usd") + leased,
        changed_at=timezone.now(),
    ):
        BudgetShare.objects.create(
            period_id=period_id,
            workspace=holder.workspace,
            holder=holder.name,
            held_nano_usd=held,
            leased_nano_usd=leased,
        )


def give_back(holder: Holder, reserved: Iterable[Reserved]) -> None:
    """Return what was set aside and is not needed."""
    back: dict[tuple[int, str], _Change] = defaultdict(_Change)
    for one in reserved:
        change = back[one.period, holder.name]
        if one.is_leased:
            change.leased += one.nano_usd
        else:
            change.held += one.nano_usd
    if back:
        with transaction.atomic():
            _lock(period_id for period_id, _ in back)
            _apply(back, {})


@dataclass(slots=True)
class _Change:
    held: int = 0
    leased: int = 0


def post(entries: Sequence[PricedReceipt]) -> None:
    """Book entries that are new in the ledger, inside their transaction: spent goes up, what was set aside goes down.

    What counts as spent is read off the entries themselves and not off what was set aside for them, so that an account is
    always the sum of its entries.
    """
    spent: dict[int, int] = defaultdict(int)
    released: dict[tuple[int, str], _Change] = defaultdict(_Change)
    accounts = _accounts_of(entries)
    for entry in entries:
        admission, cost = entry.receipt.admission, entry.price.cost_nano_usd or 0
        if cost and accounts:
            for whose in {"", f"key:{admission.key_id.replace('-', '')}", admission.owner}:
                for account, span in accounts.get(whose, ()):
                    if span.has(admission.admitted_at):
                        spent[account] += cost
        for one in admission.reserved:
            change = released[one.period, admission.holder]
            if one.is_leased:
                change.leased += min(cost, one.nano_usd)  # the rest stays in the worker's lease
            else:
                change.held += one.nano_usd
    if spent or released:
        _apply(released, spent)


def _accounts_of(entries: Sequence[PricedReceipt]) -> dict[str, list[tuple[int, Span]]]:
    """The accounts that entries may count against or release something of, by whose calls they count; locked."""
    admissions = [entry.receipt.admission for entry in entries]
    times = [admission.admitted_at for admission in admissions]
    keys = {key for one in {admission.key_id for admission in admissions} if (key := _uuid(one)) is not None}
    owners = {admission.owner for admission in admissions}
    parameters = [
        listed(keys),
        listed({int(owner[5:]) for owner in owners if _is_team(owner)}),
        *(
            connection.ops.adapt_datetimefield_value(datetime.fromtimestamp(at_s, UTC))
            for at_s in (max(times), min(times))
        ),
        listed({one.period for admission in admissions for one in admission.reserved}),
    ]
    found: dict[str, list[tuple[int, Span]]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(account_sql.lock(), parameters)
        for account, whose, starts_s, ends_s in cursor.fetchall():
            found[whose].append((account, Span(starts_s, ends_s)))
    return found


def _lock(period_ids: Iterable[int]) -> None:
    accounts = BudgetPeriod.objects.select_for_update().filter(pk__in=set(period_ids)).order_by("pk")
    list(accounts.values_list("pk", flat=True))


def _apply(released: dict[tuple[int, str], _Change], spent: dict[int, int]) -> None:
    """Change accounts that are locked. A share that is gone has been given back whole: its period is left as it is."""
    held: dict[int, int] = defaultdict(int)
    leased: dict[int, int] = defaultdict(int)
    with connection.cursor() as cursor:
        for some in _in_parts(list(released.items())):
            rows = [value for (account, name), one in some for value in (account, name, one.held, one.leased)]
            now = connection.ops.adapt_datetimefield_value(timezone.now())
            cursor.execute(account_sql.release(len(some)), [now, *rows])
            for account, name in cursor.fetchall():
                held[account] += released[account, name].held
                leased[account] += released[account, name].leased
        after: list[tuple[int, int, int, int]] = []
        for accounts in _in_parts(sorted({*held, *spent})):
            rows = [value for pk in accounts for value in (pk, spent.get(pk, 0), held.get(pk, 0), leased.get(pk, 0))]
            cursor.execute(account_sql.move(len(accounts)), rows)
            after += cursor.fetchall()
    for account, has_spent, limit, alerted_percent in after:
        percent = 100 if has_spent >= limit else ALERT_PERCENT if has_spent * 100 >= limit * ALERT_PERCENT else 0
        if account in spent and percent > alerted_percent:
            _alert(account, percent)


def _in_parts(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """A batch may be of as many keys as it has rows."""
    for start in range(0, len(values), ACCOUNTS_AT_ONCE):
        yield values[start : start + ACCOUNTS_AT_ONCE]


def _alert(account: int, percent: int) -> None:
    """Say once that 80 % and once that all of a budget is spent."""
    BudgetPeriod.objects.filter(pk=account).update(alerted_percent=percent)
    alerts.budget_reached(BudgetPeriod.objects.select_related("budget__key", "budget__team").get(pk=account), percent)


def sweep(workspace: str, is_recorded: Any) -> int:
    """Return what workers of this workspace hold whose journals were recorded to the end; how many shares that were.

    `is_recorded(holder)` says that its journal is gone: then every call it ever sent is in the ledger, and what it still
    has was never used.
    """
    gone = [
        share
        for share in BudgetShare.objects.filter(workspace=workspace).values_list("pk", "period_id", "holder")
        if is_recorded(share[2])
    ]
    for pk, period_id, _ in gone:
        with transaction.atomic():
            _lock([period_id])
            share = BudgetShare.objects.filter(pk=pk).first()
            if share is not None:
                BudgetPeriod.objects.filter(pk=period_id).update(
                    held_nano_usd=F("held_nano_usd") - share.held_nano_usd,
                    leased_nano_usd=F("leased_nano_usd") - share.leased_nano_usd,
                )
                share.delete()
    BudgetShare.objects.filter(
        workspace=workspace, held_nano_usd=0, leased_nano_usd=0, period__ends_at__lt=timezone.now() - KEEP_EMPTY_SHARES
    ).delete()
    return len(gone)


def is_near(period_ids: Collection[int]) -> set[int]:
    """Those periods that are so near their limit that leases should go back."""
    promised = F("spent_nano_usd") + F("held_nano_usd") + F("leased_nano_usd")
    near = BudgetPeriod.objects.filter(pk__in=period_ids, limit_nano_usd__lt=(promised * NEAR_SHARE) / (NEAR_SHARE - 1))
    return set(near.values_list("pk", flat=True))


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text) if text else None
    except ValueError:
        return None


def _is_team(owner: str) -> bool:
    return owner.startswith("team:") and owner[5:].isdigit() and len(owner) < 20
