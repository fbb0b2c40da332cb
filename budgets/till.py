"""Admission by money: what a call may cost is set aside in every budget that it counts against, before it is sent."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from django.db import close_old_connections, connection, transaction

from budgets import balances, estimates, periods, snapshot
from budgets.balances import Grant, Holder
from budgets.estimates import Demand, Habits, Unbounded
from budgets.gate import Principal
from budgets.purse import DATABASE_AWAY, Purse, Refused, Run, Unreachable
from budgets.snapshot import Limit
from savings.pricing import PriceBook, PricedReceipt, Tariff
from savings.receipts import Reserved

log = logging.getLogger("headroom.budgets")

Unpriced = Literal["by_policy", "refuse", "allow"]
"""What happens to calls without a known price: `by_policy` refuses them for strict budgets only."""

TELLER_INTERVAL_S = 1.0
SWEEP_INTERVAL_S = 5.0
IDLE_S = 10.0
WARN_AGAIN_S = 600.0


class BudgetRefused(Exception):
    """A budget does not let this call through."""


class BudgetSpent(BudgetRefused):
    """There is not enough left. `resets_at_s` is `None` for a budget that never begins anew."""

    def __init__(
        self, limit: Limit, grant: Grant, needs_nano_usd: int, resets_at_s: float | None, now_s: float
    ) -> None:
        is_over = grant.spent_nano_usd >= grant.limit_nano_usd
        needs = "" if is_over else f", and this call may cost {_usd(needs_nano_usd)}"
        resets = f"resets {_when(resets_at_s)}" if resets_at_s is not None else "it does not reset"
        super().__init__(
            f"{limit.whose} spent {_usd(grant.spent_nano_usd)} of {_usd(grant.limit_nano_usd)} ({limit.kind}){needs}; {resets}"
        )
        self.resets_at_s = resets_at_s
        self.retry_after_s = None if resets_at_s is None else max(1, int(resets_at_s - now_s) + 1)


class BudgetHeld(BudgetRefused):
    """There is enough left, but it is held for calls that are under way: what they do not need is free again soon."""

    retry_after_s = 2

    def __init__(self, limit: Limit, grant: Grant, needs_nano_usd: int) -> None:
        super().__init__(
            f"{limit.whose} spent {_usd(grant.spent_nano_usd)} of {_usd(grant.limit_nano_usd)} ({limit.kind}), but "
            f"{_usd(grant.promised_nano_usd)} are held for calls that are under way, and this one may cost "
            f"{_usd(needs_nano_usd)}; try again when some of them have ended"
        )


class NoPrice(BudgetRefused):
    """A call without a known price, where only calls with one may pass."""

    def __init__(self, limit: Limit, what: str) -> None:
        super().__init__(f"{what} has no known price, and the budget of {limit.whose} takes only calls that have one")


class NoBound(BudgetRefused):
    """A call of which nobody can say what it costs at most, against a strict budget."""

    def __init__(self, limit: Limit, why: str) -> None:
        super().__init__(f"the budget of {limit.whose} is strict, and this call could cost any amount: {why}")


class BudgetUnreachable(Exception):
    """The database is away, and a budget is strict or has let pass what it may without it."""

    def __init__(self, limit: Limit) -> None:
        super().__init__(f"the budget of {limit.whose} cannot be read at the moment; try again soon")


@dataclass(frozen=True, slots=True)
class Hold:
    """What was set aside for one call. `is_strict`: at least one of its budgets is, and `at_most_nano_usd` is what that takes
    the call to cost at most."""

    reserved: tuple[Reserved, ...] = ()
    is_strict: bool = False
    at_most_nano_usd: int | None = None


NOTHING = Hold()


class Till:
    """The budgets of one worker. `admit` belongs to the loop, `post` to the flusher, the rest to a thread of its own."""

    def __init__(
        self,
        holder: Holder,
        journals: Path,
        prices: PriceBook,
        run: Run,
        *,
        unpriced: Unpriced = "by_policy",
        workers: int = 1,
        limits_of: Callable[[str, str], tuple[Limit, ...]] | None = None,
    ) -> None:
        self.holder = holder
        self.problem = ""
        """Why budgets could not be looked after at the last attempt; empty when they could."""
        self._journals = journals
        self._prices = prices
        self._run = run
        self._unpriced = unpriced
        self._workers = workers
        self._limits_of = limits_of or (lambda key_id, owner: snapshot.current().limits_of(key_id, owner))
        self._habits = Habits()
        self._purses: dict[tuple[int, float], Purse] = {}
        self._current: dict[int, Purse] = {}
        self._by_period: dict[int, Purse] = {}
        self._warned: dict[str, float] = {}
        self._next_sweep_s = 0.0
        self._stopping = threading.Event()
        self._called = threading.Event()
        self._teller = threading.Thread(target=self._tell, name="teller", daemon=True)

    # The road's side.

    def counts(self, principal: Principal) -> bool:
        """Whether any budget applies to this caller."""
        return bool(self._limits_of(principal.key_id, principal.owner))

    async def admit(self, demand: Demand, principal: Principal, now_s: float) -> Hold:
        """Set aside what this call may cost. Raises BudgetRefused or BudgetUnreachable, and then nothing is set aside."""
        limits = self._limits_of(principal.key_id, principal.owner)
        if not limits or demand.is_free:
            return NOTHING
        wishes = await self._wishes(limits, demand, principal, now_s)
        reserved: list[Reserved] = []
        try:
            for limit, nano_usd in wishes:
                if (one := await self._take(limit, nano_usd, now_s)) is not None:
                    reserved.append(one)
        except BaseException:
            self.release(Hold(tuple(reserved)))
            raise
        at_most = max((nano_usd for limit, nano_usd in wishes if limit.is_strict), default=None)
        return Hold(tuple(reserved), at_most is not None, at_most)

    def release(self, hold: Hold) -> None:
        """The call was not made after all."""
        for one in hold.reserved:
            purse = self._by_period.get(one.period)
            if purse is not None:
                purse.put_back(one)

    async def _wishes(
        self, limits: Sequence[Limit], demand: Demand, principal: Principal, now_s: float
    ) -> list[tuple[Limit, int]]:
        """What to set aside in each budget, in the order in which all calls ask."""
        if not self._prices.is_warm:
            await asyncio.to_thread(self._prices.warm)
        place = (demand.provider, demand.upstream, demand.model, now_s)
        tariff = self._prices.tariff(*place, demand.tier) if demand.model else None
        return [
            (limit, self._price(limit, tariff, demand, principal, now_s=now_s))
            for limit in sorted(limits, key=lambda one: one.id)
        ]

    def _price(self, limit: Limit, tariff: Tariff | None, demand: Demand, principal: Principal, *, now_s: float) -> int:
        if tariff is None:
            return self._without_price(limit, demand)
        if not limit.is_strict:
            usual = self._habits.usual_output_tokens(principal.key_id, demand.model)
            return estimates.usual_nano_usd(tariff, demand, usual)
        context = self._prices.context_tokens(demand.provider, demand.upstream, demand.model)
        try:
            bound = estimates.at_most_nano_usd(tariff, demand, context)
            if demand.tier:  # it may be served, and billed, as a standard one
                standard = self._prices.tariff(demand.provider, demand.upstream, demand.model, now_s)
                bound = max(bound, estimates.at_most_nano_usd(standard or tariff, demand, context))
            return bound
        except Unbounded as exc:
            raise NoBound(limit, str(exc)) from exc

    def _without_price(self, limit: Limit, demand: Demand) -> int:
        what = f"model {demand.model!r}" if demand.model else f"POST {demand.route}"
        is_refused = limit.is_strict or (not demand.model and not demand.is_known_route)
        if self._unpriced == "refuse" or (self._unpriced == "by_policy" and is_refused):
            raise NoPrice(limit, what)
        now_s = time.monotonic()
        if now_s - self._warned.get(what, -WARN_AGAIN_S) >= WARN_AGAIN_S:
            if len(self._warned) > 1000:
                self._warned.clear()
            self._warned[what] = now_s
            log.warning("%s has no known price: it counts as 0 against the budget of %s", what, limit.whose)
        return 0

    async def _take(self, limit: Limit, nano_usd: int, now_s: float) -> Reserved | None:
        purse = self._purse(limit, now_s)
        try:
            reserved = await purse.take(nano_usd)
        except Refused as exc:
            if exc.grant.spent_nano_usd + nano_usd <= exc.grant.limit_nano_usd:
                raise BudgetHeld(limit, exc.grant, nano_usd) from exc
            raise BudgetSpent(limit, exc.grant, nano_usd, purse.span.ends_s, now_s) from exc
        except Unreachable as exc:
            return self._unasked(purse, nano_usd, exc)
        finally:
            if purse.period_id is not None:
                self._by_period[purse.period_id] = purse
        return reserved

    def _unasked(self, purse: Purse, nano_usd: int, why: Unreachable) -> Reserved | None:
        """With the database away calls go on for a while against normal budgets, and not against strict ones."""
        if purse.limit.is_strict:
            raise BudgetUnreachable(purse.limit) from why
        try:
            reserved = purse.pass_unasked(nano_usd, self._workers)
        except Unreachable as exc:
            raise BudgetUnreachable(purse.limit) from exc
        log.warning("the budget of %s cannot be read (%s); the call is counted later", purse.limit.whose, why)
        return reserved

    def _purse(self, limit: Limit, now_s: float) -> Purse:
        purse = self._current.get(limit.id)
        if purse is None or not purse.span.has(now_s):
            span = periods.containing(limit.kind, limit.time_zone, now_s)
            place = (limit.id, span.starts_s)
            if place not in self._purses:
                self._purses[place] = Purse(limit, span, self.holder, self._run)
            purse = self._current[limit.id] = self._purses[place]
        return purse

    # The flusher's side.

    def post(self, entries: Sequence[PricedReceipt]) -> None:
        """Book entries inside their transaction; what they did not need of this worker's leases is free once it ends."""
        balances.post(entries)
        transaction.on_commit(lambda: self._after(entries))

    def _after(self, entries: Sequence[PricedReceipt]) -> None:
        for entry in entries:
            admission = entry.receipt.admission
            if entry.usage.output is not None and admission.is_billable and admission.origin != "response_cache":
                self._habits.note(admission.key_id, admission.model, entry.usage.output)
            if admission.holder != self.holder.name:
                continue
            for one in admission.reserved:
                purse = self._by_period.get(one.period)
                cost = entry.price.cost_nano_usd or 0
                if purse is not None and purse.settle(one, cost):
                    self._called.set()

    # The teller's side.

    def start(self) -> None:
        """Begin to look after leases, in a thread."""
        self._teller.start()

    async def close(self) -> None:
        """Stop asking; for the end, when the road is closed. `stop` comes after the last entries were posted."""
        for purse in list(self._purses.values()):
            await purse.finish()

    def stop(self) -> None:
        """Give everything back. What cannot be given back now is swept up by whoever comes next."""
        self._stopping.set()
        self._called.set()
        if self._teller.ident is not None:
            self._teller.join(10.0)
        try:
            self.tidy(is_last=True)
            self.sweep()
        except DATABASE_AWAY as exc:
            log.warning("leases could not be returned (%s); the next start does it", exc)
        finally:
            close_old_connections()

    def tidy(self, *, is_last: bool = False) -> None:
        """Return what is not needed: unused holds, leases that idle, that ended, that grew too large, or that
        others need near the limit."""
        purses = [purse for purse in list(self._purses.values()) if purse.period_id is not None]
        leasing = [purse.period_id for purse in purses if purse.available_nano_usd and purse.period_id is not None]
        near = balances.is_near(leasing) if leasing else set()
        for purse in purses:
            is_current = self._current.get(purse.limit.id) is purse
            is_idle = time.monotonic() - purse.used_at_s > IDLE_S
            if is_last or is_idle or not is_current or purse.period_id in near:
                self._give_back(purse, purse.empty())
            elif purse.unused or purse.is_overfull:
                self._give_back(purse, purse.empty(but_lease=True))
            if not is_current and purse.is_done_with:
                self._forget(purse)

    def _forget(self, purse: Purse) -> None:
        self._purses.pop((purse.limit.id, purse.span.starts_s), None)
        if purse.period_id is not None:
            self._by_period.pop(purse.period_id, None)

    def _give_back(self, purse: Purse, reserved: list[Reserved]) -> None:
        if not reserved:
            return
        try:
            balances.give_back(self.holder, reserved)
        except DATABASE_AWAY:
            purse.refill(reserved)
            raise

    def sweep(self) -> None:
        """Return what workers of this workspace had whose journals were recorded to the end."""
        count = balances.sweep(self.holder.workspace, lambda name: not (self._journals / name).exists())
        if count:
            log.info("%d shares of workers that are gone were returned to their budgets", count)

    def _tell(self) -> None:
        while True:
            self._called.wait(TELLER_INTERVAL_S)
            if self._stopping.is_set():
                break
            self._called.clear()
            try:
                self.tidy()
                if time.monotonic() >= self._next_sweep_s:
                    self.sweep()
                    self._next_sweep_s = time.monotonic() + SWEEP_INTERVAL_S
            except Exception as exc:  # noqa: BLE001 - the next round does the same work
                if not self.problem:
                    log.error("budgets cannot be looked after (%s: %s)", type(exc).__name__, exc)
                self.problem = f"{type(exc).__name__}: {exc}"
                connection.close()
            else:
                self.problem = ""
            finally:
                close_old_connections()
        connection.close()


def _usd(nano_usd: int) -> str:
    """Dollars to the cent, and finer where cents would say nothing."""
    return f"${nano_usd / 1e9:,.2f}" if nano_usd >= 10_000_000 or not nano_usd else f"${nano_usd / 1e9:.6f}"


def _when(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
