"""A worker's own money of one period: leased for later calls, or asked for call by call."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from django.db import DatabaseError, InterfaceError

from budgets import balances
from budgets.balances import Grant, Holder
from budgets.periods import Span
from budgets.snapshot import Limit
from savings.receipts import Reserved

Run = Callable[..., Awaitable[Any]]
"""Runs a function that uses the ORM somewhere else than on the loop."""

WISHES_AT_ONCE = 4
"""What one question takes for calls that are not sent yet is what a worker killed at that moment keeps from the others."""
LEASES_KEPT = 2
"""Calls are leased for at their highest price: many at once leave the most of it when they end, which others may need."""
DATABASE_AWAY = (DatabaseError, InterfaceError, TimeoutError)


class Refused(Exception):
    """The period has no room for the wish; `grant` is how it stands."""

    def __init__(self, grant: Grant) -> None:
        super().__init__("no room")
        self.grant = grant


class Unreachable(Exception):
    """The database does not say whether there is room."""


@dataclass(slots=True)
class _Wish:
    nano_usd: int
    future: asyncio.Future[Reserved]


@dataclass(slots=True)
class Purse:
    """Money of one period. `lock` guards what the loop, the flusher and the teller change; nothing waits while it is held."""

    limit: Limit
    span: Span
    holder: Holder
    run: Run
    period_id: int | None = None
    available_nano_usd: int = 0
    """Leased and not promised to a call."""
    outstanding: int = 0
    """Calls that something is set aside for and whose end was not seen yet."""
    unused: list[Reserved] = field(default_factory=list)
    """Set aside for calls that were not made; the teller takes it back."""
    unasked_nano_usd: int = 0
    """What calls may cost that passed while nobody could be asked, and whose end was not seen yet."""
    used_at_s: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)
    _wishes: list[_Wish] = field(default_factory=list)
    _asking: asyncio.Task[None] | None = None
    _is_near: bool = True
    _last_lease: int = 0
    _unasked_calls: int = 0
    _room_nano_usd: int | None = None

    async def take(self, nano_usd: int) -> Reserved:
        """Set so much aside. Raises Refused or Unreachable."""
        reserved = self._from_lease(nano_usd)
        if reserved is not None:
            if not self._is_near and self.available_nano_usd * 2 < self._last_lease:
                self._ask(nano_usd)  # before it runs out, so that no call waits for it
            return reserved
        wish = _Wish(nano_usd, asyncio.get_running_loop().create_future())
        self._wishes.append(wish)
        self._ask(nano_usd)
        try:
            return await wish.future
        except asyncio.CancelledError:
            if wish.future.done() and not wish.future.cancelled() and wish.future.exception() is None:
                self.put_back(wish.future.result())
            raise

    def _from_lease(self, nano_usd: int) -> Reserved | None:
        with self.lock:
            if self.period_id is None or nano_usd > self.available_nano_usd:
                return None
            self.available_nano_usd -= nano_usd
            self.outstanding += 1
            self.used_at_s = time.monotonic()
            return Reserved(self.period_id, nano_usd, is_leased=True)

    def pass_unasked(self, nano_usd: int, workers: int) -> Reserved | None:
        """Let a call pass of which nobody can be asked: out of a worker's part of what was left when somebody last could.

        Of an account that was never seen, all is taken to be left. Raises Unreachable when that part is used up.
        """
        with self.lock:
            room = self.limit.nano_usd if self._room_nano_usd is None else self._room_nano_usd
            if self.unasked_nano_usd + nano_usd > room // workers:
                raise Unreachable("what this worker may spend unasked is used up")
            self.unasked_nano_usd += nano_usd
            if self.period_id is None:
                return None
            self.outstanding += 1
            self._unasked_calls += 1
            return Reserved(self.period_id, 0, is_leased=True)

    def put_back(self, reserved: Reserved) -> None:
        """The call was not made."""
        with self.lock:
            self._end_of(reserved)
            if reserved.is_leased:
                self.available_nano_usd += reserved.nano_usd
            else:
                self.unused.append(reserved)

    def settle(self, reserved: Reserved, cost_nano_usd: int) -> bool:
        """The call was booked: what it left of the lease is free again. What was held for it alone, the booking released.

        True where it was dearer than expected and the limit may be near by that, so that leases should go back.
        """
        more = cost_nano_usd - reserved.nano_usd
        with self.lock:
            self._end_of(reserved)
            if reserved.is_leased:
                self.available_nano_usd += max(0, -more)
            if more <= 0 or self._room_nano_usd is None:
                return more > 0
            self._room_nano_usd = max(0, self._room_nano_usd - more)
            return self._room_nano_usd * balances.NEAR_SHARE < self.limit.nano_usd

    def _end_of(self, reserved: Reserved) -> None:
        self.outstanding -= 1
        if not reserved.nano_usd and self._unasked_calls:
            self.unasked_nano_usd -= self.unasked_nano_usd // self._unasked_calls
            self._unasked_calls -= 1

    @property
    def is_done_with(self) -> bool:
        """Nothing is in it, out of it, or on its way to it."""
        return not (self.outstanding or self.available_nano_usd or self.unused or self._wishes or self._asking)

    @property
    def is_overfull(self) -> bool:
        """Whether calls that ended left more than what later ones are likely to need."""
        return self.available_nano_usd > LEASES_KEPT * self._last_lease

    def empty(self, *, but_lease: bool = False) -> list[Reserved]:
        """Everything that can go back to the database, as it is no longer in this purse."""
        with self.lock:
            unused, self.unused = self.unused, []
            kept = min(self.available_nano_usd, LEASES_KEPT * self._last_lease) if but_lease else 0
            available, self.available_nano_usd = self.available_nano_usd - kept, kept
        if available and self.period_id is not None:
            unused.append(Reserved(self.period_id, available, is_leased=True))
        return unused

    def refill(self, reserved: list[Reserved]) -> None:
        """What `empty` gave and the database did not take."""
        with self.lock:
            self.available_nano_usd += sum(one.nano_usd for one in reserved if one.is_leased)
            self.unused += [one for one in reserved if not one.is_leased]

    def _ask(self, lease_for: int) -> None:
        if self._asking is None:
            self._asking = asyncio.get_running_loop().create_task(self._ask_database(lease_for))

    async def _ask_database(self, lease_for: int) -> None:
        """Ask for all wishes that are waiting, and again for those that came meanwhile."""
        try:
            while True:
                wishes, self._wishes = self._wishes[:WISHES_AT_ONCE], self._wishes[WISHES_AT_ONCE:]
                try:
                    grant = await self._grant([wish.nano_usd for wish in wishes], lease_for)
                except DATABASE_AWAY as exc:
                    _refuse(wishes, Unreachable(f"{type(exc).__name__}: {exc}"))
                else:
                    self._share_out(wishes, grant)
                if not self._wishes:
                    return
        except BaseException:
            _refuse([*wishes, *self._wishes], Unreachable("asking was cut short"))
            raise
        finally:
            self._asking = None

    async def _grant(self, wishes: list[int], lease_for: int) -> Grant:
        if self.period_id is None:
            self.period_id = await self.run(balances.open_period, self.limit.id, self.span)
        grant: Grant = await self.run(
            balances.take,
            self.period_id,
            self.holder,
            wishes,
            lease_for=lease_for,
            is_strict=self.limit.is_strict,
            unbooked=self.unasked_nano_usd,
        )
        return grant

    def _share_out(self, wishes: list[_Wish], grant: Grant) -> None:
        assert self.period_id is not None
        with self.lock:
            self.available_nano_usd += grant.leased_nano_usd
            self._room_nano_usd = max(0, grant.limit_nano_usd - grant.spent_nano_usd - grant.promised_nano_usd)
            if not self._unasked_calls:  # those of an account that was not known leave no trace but in the ledger
                self.unasked_nano_usd = 0
        self._is_near, self._last_lease = grant.leased_nano_usd == 0, grant.leased_nano_usd
        for wish, is_granted in zip(wishes, grant.is_granted, strict=True):
            if is_granted:
                with self.lock:
                    self.outstanding += 1
                self._hand_over(wish, Reserved(self.period_id, wish.nano_usd, is_leased=False))
            elif wish.future.done():
                continue
            elif (from_lease := self._from_lease(wish.nano_usd)) is not None:
                wish.future.set_result(from_lease)
            else:
                wish.future.set_exception(Refused(grant))

    def _hand_over(self, wish: _Wish, reserved: Reserved) -> None:
        if wish.future.done():  # its client is gone
            self.put_back(reserved)
        else:
            wish.future.set_result(reserved)

    async def finish(self) -> None:
        """Wait until nothing is being asked for."""
        if self._asking is not None:
            await asyncio.wait([self._asking], timeout=5)


def _refuse(wishes: list[_Wish], exc: Exception) -> None:
    for wish in wishes:
        if not wish.future.done():
            wish.future.set_exception(exc)
