"""A look at the database again and again, for what the road needs in memory."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from django.db import close_old_connections, connection


class Poller:
    """Looks at once, then at an interval in a thread of its own. While the database is away what was seen last stays.

    `what` names it in the log, where problems are told when they begin and when they end.
    """

    def __init__(
        self, look: Callable[[], None], *, name: str, interval_s: float, what: str, log: logging.Logger
    ) -> None:
        self._look = look
        self._name = name
        self._interval_s = interval_s
        self._what = what
        self._log = log
        self._problem = ""
        self.stale_since_s: float | None = None
        """When the database could first not be read (seconds since 1970), `None` when it could at the last look."""
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_stale(self) -> bool:
        """Whether the database could not be read at the last look."""
        return bool(self._problem)

    def start(self) -> None:
        """Look in the calling thread, as far as the database lets us, then begin the thread."""
        self._stopping.clear()
        self.refresh()
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread. It may be started again."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(10.0)

    def refresh(self) -> None:
        """Look now. Never raises."""
        try:
            self._look()
        except Exception as exc:  # noqa: BLE001 - the road lives on with what it knows
            if not self._problem:
                problem = f"{type(exc).__name__}: {exc}"
                self._log.error("%s cannot be read (%s); those read last stay in force", self._what, problem)
            self._problem = type(exc).__name__
            self.stale_since_s = self.stale_since_s or time.time()
            connection.close()
        else:
            if self._problem:
                self._log.warning("%s can be read again", self._what)
            self._problem, self.stale_since_s = "", None
        finally:
            close_old_connections()

    def _run(self) -> None:
        while not self._stopping.wait(self._interval_s):
            self.refresh()
        connection.close()
