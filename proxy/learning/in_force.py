"""The adopted policy versions in memory, as they were two seconds ago at most: the road asks here and never the database."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from django.db import close_old_connections, connection

from proxy.learning import versions
from proxy.learning.judgement import Rule
from proxy.learning.models import PolicyVersion

log = logging.getLogger("headroom.learning")

INTERVAL_S = 2.0
BUILT_IN = 1


@dataclass(frozen=True, slots=True)
class InForce:
    """The number of the version that new conversations begin with, and the rules of all that ever were in force.

    `horizons` are their shares of the turns so far that are counted on to follow, where they say another one than usual.
    """

    number: int = BUILT_IN
    rules: Mapping[int, frozenset[Rule]] = field(default_factory=lambda: {BUILT_IN: frozenset()})
    horizons: Mapping[int, float] = field(default_factory=dict)


def load() -> InForce:
    """Read the adopted versions."""
    rows = list(PolicyVersion.objects.filter(state="adopted").order_by("decided_at", "pk"))
    rules = {row.pk: frozenset(versions.rules_of(row)) for row in rows}
    horizons = {row.pk: row.horizon_share for row in rows if row.horizon_share is not None}
    return InForce(rows[-1].pk if rows else BUILT_IN, {BUILT_IN: frozenset(), **rules}, horizons)


class Reader:
    """Keeps what is in force fresh in a thread. While the database is away what was read last stays."""

    def __init__(self, *, interval_s: float = INTERVAL_S) -> None:
        self.found = InForce()
        self._interval_s = interval_s
        self._problem = ""
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Read once in the calling thread, then again and again in a thread of our own."""
        self._stopping.clear()
        self.refresh()
        self._thread = threading.Thread(target=self._run, name="policies", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; new conversations begin with the built-in policy again."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(10.0)
        self.found = InForce()

    def refresh(self) -> None:
        """One look at the database. Never raises: the road lives on with what it knows. Problems are logged when they change."""
        try:
            found = load()
            if found.number != self.found.number:
                log.info("new conversations begin with policy version %d", found.number)
            self.found = found
            self._problem = ""
        except Exception as exc:  # noqa: BLE001 - whatever a database that is away raises
            if type(exc).__name__ != self._problem:
                self._problem = type(exc).__name__
                log.warning("policy versions cannot be read (%s); those read last stay in force", self._problem)
            connection.close()
        finally:
            close_old_connections()

    def _run(self) -> None:
        while not self._stopping.wait(self._interval_s):
            self.refresh()
        connection.close()


_reader = Reader()


def start() -> None:
    """Open the reader of this process."""
    _reader.start()


def stop() -> None:
    """Close it."""
    _reader.stop()


def refresh() -> None:
    """Look at the database now."""
    _reader.refresh()


def current() -> InForce:
    """What is in force. No I/O."""
    return _reader.found
