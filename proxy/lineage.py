"""Processes that we start must not outlive the one that started them, even when it was killed."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from multiprocessing import connection


def when_parent_dies(act: Callable[[], None]) -> None:
    """In a child of multiprocessing: call `act` from a thread once the parent is gone. Elsewhere do nothing."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_wait, args=(parent.sentinel, act), name="lineage", daemon=True).start()


def _wait(sentinel: int, act: Callable[[], None]) -> None:
    connection.wait([sentinel])
    act()
