"""A serving process's eye on itself: a journal that fills up is said, and alerts that are due are sent."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta

from django.db import DatabaseError, InterfaceError, close_old_connections
from django.utils import timezone

from budgets import alerts, webhook
from budgets.alert_models import Alert
from savings.journal import Journal

log = logging.getLogger("headroom.alerts")

EVERY_S = 5.0
HALF = 0.5
AGAIN_BELOW = 0.4
RETRY_UNSTORED = timedelta(seconds=30)


class Watch:
    """A thread of its own, as a webhook may be slow and whoever looks after money must not wait for it."""

    def __init__(self, journal: Journal, *, every_s: float = EVERY_S) -> None:
        self._journal = journal
        self._every_s = every_s
        self._is_over_half = False
        self._unstored: list[Alert] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; what is due is sent by whoever comes next."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(webhook.TIMEOUT_S + 1)

    def look(self) -> None:
        """One round. The database may be away, which is when journals fill up: then the webhook hears of it directly."""
        self._look_at_journal()
        try:
            self._store()
            alerts.deliver_due(timezone.now())
        except (DatabaseError, InterfaceError, TimeoutError):
            self._send_unstored()
        finally:
            close_old_connections()

    def _look_at_journal(self) -> None:
        status = self._journal.status()
        if status.share >= HALF and not self._is_over_half:
            self._is_over_half = True
            message = (
                f"journal {self._journal.directory.name} is {status.share:.0%} full: {status.used_bytes:,} of "
                f"{status.max_bytes:,} bytes wait for the database, the oldest for {status.oldest_unflushed_s:.0f} s"
            )
            log.error("%s", message)
            details = {"journal": self._journal.directory.name, "used_bytes": status.used_bytes, "share": status.share}
            self._unstored.append(alerts.event("journal.half_full", message, details))
        elif status.share < AGAIN_BELOW:
            self._is_over_half = False

    def _store(self) -> None:
        while self._unstored:
            alerts.store(self._unstored[0])
            del self._unstored[0]

    def _send_unstored(self) -> None:
        now = timezone.now()
        for alert in self._unstored:
            if alert.next_attempt_at is None or alert.next_attempt_at > now:
                continue
            alert.problem = alerts.send(alert, now)
            alert.attempts += 1
            alert.next_attempt_at = now + RETRY_UNSTORED if alert.problem else None
            alert.delivered_at = None if alert.problem else now

    def _run(self) -> None:
        while not self._stopping.wait(self._every_s):
            try:
                self.look()
            except Exception:
                log.exception("alerts cannot be looked after; the next round does the same work")
