"""The one way from the road to the database: a few threads of our own, each job giving its connection back.

Nothing that every request needs goes this way; it is for what is new in a conversation and for our own routes.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.db import Error, InterfaceError, OperationalError, close_old_connections, connection, connections

from budgets import snapshot

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 4
JOB_TIMEOUT_S = 20.0

LOCK_TIMEOUT_S = 5
"""How long an agent waits for whoever keeps SQLite locked, or a table or row of PostgreSQL. The ledger waits longer: nobody
waits for it."""
RETRY_AFTER_S = 3.0
"""How long nobody asks a database that did not answer: every wait for it would be an agent's."""

LATELY_S = 10.0
"""So long after an outage something may be missing that other workers store late."""

_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="database")


class Away(OperationalError):
    """The database did not answer a moment ago, and it is not asked again yet."""


class Outage:
    """Whether the database is away, so that only one job at a time finds out again.

    `since_s` is when it was first missed (seconds since 1970), also for a moment after it is back; `None` when all is well.
    """

    def __init__(self) -> None:
        self._asked_again_at: float | None = None
        self._back_at: float | None = None
        self.since_s: float | None = None

    def check(self, now: float, *, is_known: bool = False) -> None:
        """Raise Away while nobody is to ask. Whoever gets through while it is away asks for all.

        `is_known`: somebody who is in no hurry found out already, so that no request need wait to learn it.
        """
        if self._asked_again_at is None and is_known:
            self._miss()
            self._asked_again_at = now + RETRY_AFTER_S
        if self._asked_again_at is None:
            return
        if now < self._asked_again_at:
            raise Away("the database did not answer a moment ago")
        self._asked_again_at = now + JOB_TIMEOUT_S

    def note(self, *, is_away: bool, now: float) -> None:
        """What a job found."""
        if is_away:
            self._miss()
        elif self.since_s is not None and self._back_at is None:
            self._back_at = now
        elif self._back_at is not None and now - self._back_at > LATELY_S:
            self.since_s = self._back_at = None
        self._asked_again_at = now + RETRY_AFTER_S if is_away else None

    def _miss(self) -> None:
        if self.since_s is None or self._back_at is not None:
            self.since_s = time.time()
        self._back_at = None


_outage = Outage()


async def run(job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a job that uses the ORM. Raises what it raises, TimeoutError, or Away."""
    _outage.check(time.monotonic(), is_known=snapshot.is_stale())
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(JOB_TIMEOUT_S):
            result = await loop.run_in_executor(_threads, lambda: _with_connection(job, *args, **kwargs))
    except (OperationalError, InterfaceError, TimeoutError):
        _outage.note(is_away=True, now=time.monotonic())
        raise
    _outage.note(is_away=False, now=time.monotonic())
    return result


def away_since_s() -> float | None:
    """When the database was first missed (seconds since 1970), if it is away or was until a moment ago."""
    return min(filter(None, (_outage.since_s, snapshot.stale_since_s())), default=None)


def _with_connection(job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        if connection.vendor == "postgresql":
            with _given_up_locks():
                return job(*args, **kwargs)
        if connection.connection is None:
            _be_brief()
        return job(*args, **kwargs)
    finally:
        # These threads live as long as the process: a file stays open in each, a pooled connection goes back.
        if not settings.IS_EMBEDDED:
            close_old_connections()


@contextlib.contextmanager
def _given_up_locks() -> Iterator[None]:
    """End a job that waits for a lock, and not only the wait for the job: what it stored later would contradict what was
    sent in the meantime. The connection is another's the next time, who may have to wait longer."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'")
    try:
        yield
    finally:
        if connection.connection is not None:
            with contextlib.suppress(Error), connection.cursor() as cursor:
                cursor.execute("RESET lock_timeout")


def _be_brief() -> None:
    """Wait for nothing that can be done without, or later.

    SQLite moves what is in its log to its place every 1,000 pages, in the commit that is made then: that takes
    milliseconds, on slow disks many more. Here agents wait for commits; the flusher makes as many, and nobody waits."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_autocheckpoint=0")
        cursor.execute(f"PRAGMA busy_timeout={1000 * LOCK_TIMEOUT_S}")


def close() -> None:
    """Close every thread's connection; for shutdown and tests."""
    for _ in range(THREADS):
        _threads.submit(connections.close_all).result(timeout=JOB_TIMEOUT_S)
