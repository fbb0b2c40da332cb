"""Totals and history in the file and shape of the reference product, for programs that read it."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from django.db import DatabaseError, close_old_connections

from savings import checkpoints, foreign, history, live

log = logging.getLogger("headroom.savings")

EVERY_S = 30.0


class Mirror:
    """Writes the file every half a minute, and once more at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)
        self._problem = ""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Write the last time."""
        self._stopping.set()
        self._thread.join(5)

    def write(self) -> None:
        """Write it now: whole or not at all, for its owner only."""
        draft = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(orjson.dumps(document(datetime.now(UTC)), option=orjson.OPT_INDENT_2))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except BaseException:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise

    def _run(self) -> None:
        is_last = False
        while not is_last:
            is_last = self._stopping.wait(EVERY_S)
            try:
                self.write()
            except (OSError, DatabaseError) as exc:
                if str(exc) != self._problem:
                    log.warning("the savings file %s was not written: %s", self._path, exc)
                self._problem = str(exc)
            else:
                self._problem = ""
            finally:
                close_old_connections()


def document(now: datetime) -> dict[str, Any]:
    """What the file holds."""
    session, lifetime = live.both()
    return {
        "schema_version": history.SCHEMA_VERSION,
        "generator": foreign.GENERATOR,
        "saved_at": history.timestamp(now),
        "lifetime": history.totals(lifetime.figures),
        "display_session": {
            **history.totals(session.figures),
            "started_at": session.started_at and history.timestamp(session.started_at),
        },
        "history": history.points(checkpoints.read("compact")[0]),
        "projects": history.projects(),
        "by_model": {name: history.totals(figures) for name, figures in lifetime.by_model.items()},
    }
