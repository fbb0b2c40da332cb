"""When periodic work was last done, kept in a file that may be lost."""

from __future__ import annotations

import logging
from pathlib import Path

from celery.beat import PersistentScheduler

logger = logging.getLogger("headroom.worker")


class Schedule(PersistentScheduler):  # type: ignore[misc]
    """Celery's own, but for a broken file: whatever is wrong with it, a new one takes its place."""

    def setup_schedule(self) -> None:
        """Read the file. Without it, everything is due when its interval has passed from now."""
        try:
            super().setup_schedule()
        except Exception as exc:  # noqa: BLE001 - each kind of database file breaks in ways of its own
            logger.warning("the schedule %s cannot be read and is begun anew: %s", self.schedule_filename, exc)
            self._store = None
            path = Path(self.schedule_filename)
            for file in path.parent.iterdir():  # some kinds of database add endings to the name
                if file.name.startswith(path.name):
                    file.unlink()
            super().setup_schedule()
