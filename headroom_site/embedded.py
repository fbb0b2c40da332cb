"""Periodic work without Redis: one Celery process beside the server, started again when it dies."""

from __future__ import annotations

import importlib
import logging
import multiprocessing
import threading
import time
from multiprocessing.context import SpawnProcess

logger = logging.getLogger("headroom.worker")

START_AFTER_S = 3.0
"""The first requests after a start should not share the processor with it."""
FIRST_BACKOFF_S = 1.0
MAX_BACKOFF_S = 60.0
STEADY_AFTER_S = 60.0
"""One that lived so long and died is started again at once."""
STOP_TIMEOUT_S = 5.0


class Embedded:
    """The supervised child. It ends with this process, however this one ends."""

    def __init__(self, *, start_after_s: float = START_AFTER_S) -> None:
        self._start_after_s = start_after_s
        self._process: SpawnProcess | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name="embedded", daemon=True)
        self._started_at = time.monotonic()

    def start(self) -> None:
        """Start it, in a moment."""
        self._thread.start()

    def is_working(self) -> bool:
        """Whether it runs, or has not been due yet."""
        process = self._process
        if process is None:
            return time.monotonic() < self._started_at + self._start_after_s + MAX_BACKOFF_S
        return process.is_alive()

    @property
    def pid(self) -> int | None:
        """The process that does the work, where there is one."""
        return self._process.pid if self._process is not None else None

    def stop(self) -> None:
        """End it. What it was doing is done by the next one."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_TIMEOUT_S + 1)

    def _supervise(self) -> None:
        wait_s = self._start_after_s
        backoff_s = 0.0
        while not self._stopping.wait(wait_s):
            started = time.monotonic()
            process = multiprocessing.get_context("spawn").Process(target=_main, name="headroom-worker")
            process.start()
            self._process = process
            while process.is_alive() and not self._stopping.wait(0.2):
                pass
            if self._stopping.is_set():
                _end(process)
                return
            is_steady = time.monotonic() - started > STEADY_AFTER_S
            backoff_s = FIRST_BACKOFF_S if is_steady else min(backoff_s * 2 or FIRST_BACKOFF_S, MAX_BACKOFF_S)
            wait_s = backoff_s
            logger.warning(
                "the process for periodic work ended with %s; another one starts in %.0f s", process.exitcode, wait_s
            )


def _end(process: SpawnProcess) -> None:
    process.terminate()
    process.join(STOP_TIMEOUT_S)
    if process.is_alive():
        process.kill()
        process.join()


def _main() -> None:
    # Not at the top of this file: the serving process has no use for Celery, which takes 20 MB.
    importlib.import_module("headroom_site.celery_child").run()
