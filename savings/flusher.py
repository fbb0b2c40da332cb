"""Moves what the journal holds into the ledger, a few times a second, and finishes the journals of dead workers."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from django.db import close_old_connections, connection

from savings import adoption, journal_lines, ledger, tallies
from savings.journal import Batch, Journal
from savings.pricing import PriceBook, PricedReceipt

log = logging.getLogger("headroom.ledger")

INTERVAL_S = 0.15
ADOPTION_INTERVAL_S = 5.0
PRICES_INTERVAL_S = 2.0
WARM_AFTER_S = 3.0
FIRST_BACKOFF_S = 0.2
MAX_BACKOFF_S = 2.0
DRAIN_TIMEOUT_S = 10.0


class Source(Protocol):
    """A journal as the flusher sees it: our own, or one left behind."""

    def acknowledge(self, batch: Batch) -> None:
        """The batch is recorded."""

    def set_aside(self, lines: list[bytes]) -> None:
        """Keep what cannot be recorded."""


class Flusher:
    """A thread between the journal and the ledger. While the database is away it waits, and the journal keeps."""

    def __init__(
        self,
        journal: Journal,
        *,
        post_balances: ledger.PostBalances | None = None,
        counter: tallies.Counter | None = None,
        prices: PriceBook | None = None,
        interval_s: float = INTERVAL_S,
        adoption_interval_s: float = ADOPTION_INTERVAL_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.prices = prices or PriceBook()
        self.problem = ""
        """Why the database took nothing at the last attempt; empty when it did."""
        self.recorded_rows = 0
        self.interrupted_rows = 0
        self._journal = journal
        self._post_balances = post_balances
        self._counter = counter
        self._interval_s = interval_s
        self._adoption_interval_s = adoption_interval_s
        self._clock = clock
        self._next_adoption_s = self._next_prices_s = self._warm_at_s = 0.0
        self._backoff_s = 0.0
        self._stopping = threading.Event()
        self._drain_until_s = 0.0
        self._thread = threading.Thread(target=self._run, name="flusher", daemon=True)

    def start(self) -> None:
        """Begin. Dead workers' journals come first."""
        self._thread.start()

    def stop(self, *, drain: bool = True, timeout_s: float = DRAIN_TIMEOUT_S) -> bool:
        """End, after recording what is there if `drain`; True when nothing was left. Call it once the road is closed.

        What is left after `timeout_s` stays in the journal, and whoever starts next finishes it.
        """
        self._drain_until_s = time.monotonic() + (timeout_s if drain else 0.0)
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s + 5.0)
        if self._thread.is_alive():
            return False
        self._journal.close()
        return not self._journal.directory.exists()

    def flush(self) -> int:
        """Record everything there is, now, in the calling thread (instead of `start`); returns the number of new rows."""
        before = self.recorded_rows
        while self._flush(self._journal, self._journal.read_batch()):
            pass
        return self.recorded_rows - before

    def _run(self) -> None:
        self._warm_at_s = time.monotonic() + WARM_AFTER_S
        try:
            while not self._stopping.wait(self._backoff_s or self._interval_s):
                self._turn()
            while time.monotonic() < self._drain_until_s and self._turn():
                time.sleep(self._backoff_s)
        finally:
            connection.close()

    def _turn(self) -> bool:
        """One round; False when all is recorded. The one place that survives every error: the money depends on it."""
        try:
            self._refresh_prices()
            more = True
            while more and not self._is_late():
                more = self._flush(self._journal, self._journal.read_batch())
            self._adopt()
            if self._counter is not None:
                self._counter.turn()
            if time.monotonic() > self._warm_at_s:
                self.prices.warm()
        except Exception as exc:  # noqa: BLE001 - whatever it is, the journal still has every line
            self._fail(exc)
            return True
        else:
            self._recover()
            return more
        finally:
            close_old_connections()

    def _is_late(self) -> bool:
        return self._stopping.is_set() and time.monotonic() > self._drain_until_s

    def _fail(self, exc: Exception) -> None:
        problem = f"{type(exc).__name__}: {exc}".strip()
        if not self.problem:
            log.error("the ledger takes no rows (%s); the journal keeps them", problem)
        self.problem = problem
        self._backoff_s = min(self._backoff_s * 2 or FIRST_BACKOFF_S, MAX_BACKOFF_S)
        try:
            connection.close()
            pool = getattr(connection, "pool", None)
            if pool is not None:
                pool.check()  # the pool would hand out each of its broken connections once
        except Exception as close_exc:  # noqa: BLE001 - closing what is broken already
            log.debug("closing the broken connection: %s", close_exc)

    def _recover(self) -> None:
        if self.problem:
            log.warning("the ledger takes rows again")
        self.problem = ""
        self._backoff_s = 0.0

    def _refresh_prices(self) -> None:
        if time.monotonic() >= self._next_prices_s:
            self.prices.refresh()
            self._next_prices_s = time.monotonic() + PRICES_INTERVAL_S

    def _adopt(self) -> None:
        if time.monotonic() < self._next_adoption_s or self._stopping.is_set():
            return
        for leftover in adoption.claim(self._journal.directory.parent, own=self._journal.directory):
            try:
                while not leftover.is_finished:
                    self._flush(leftover, leftover.read_batch(now=self._clock()))
                    self._flush(self._journal, self._journal.read_batch())
                    if self._stopping.is_set():
                        return
                leftover.remove()
            finally:
                leftover.release()
            tallies.gone(leftover.directory.name)
            self.interrupted_rows += leftover.interrupted_calls
            log.log(
                logging.WARNING if leftover.interrupted_calls else logging.INFO,
                "finished the journal of a worker that is gone (%s): %d calls had been interrupted",
                leftover.directory.name,
                leftover.interrupted_calls,
            )
        self._next_adoption_s = time.monotonic() + self._adoption_interval_s

    def _flush(self, source: Source, batch: Batch) -> bool:
        """Price and record one batch; True when there may be another."""
        priced = [self.prices.priced(receipt) for receipt in batch.receipts]
        for start in range(0, len(priced), ledger.MAX_ROWS):
            self._record(source, priced[start : start + ledger.MAX_ROWS])
        source.acknowledge(batch)
        return bool(priced) or batch.bytes_read > 0

    def _post(self, entries: Sequence[PricedReceipt]) -> None:
        if self._post_balances is not None:
            self._post_balances(entries)
        if self._counter is not None:
            self._counter.post(entries)

    def _record(self, source: Source, entries: Sequence[PricedReceipt]) -> None:
        try:
            self.recorded_rows += ledger.record_many(entries, post_balances=self._post)
        except ledger.RowsRefused as exc:
            if len(entries) > 1:
                middle = len(entries) // 2
                self._record(source, entries[:middle])
                self._record(source, entries[middle:])
                return
            receipt = entries[0].receipt
            log.error("the ledger refused call %s and set it aside: %s", receipt.admission.call_id, exc)
            source.set_aside([journal_lines.admitted(receipt.admission), journal_lines.settled(receipt.settlement)])
