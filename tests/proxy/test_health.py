from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from proxy import health


@pytest.mark.parametrize(
    ("is_done", "rolled_ago", "status"),
    [
        (lambda: True, None, "healthy"),
        (lambda: False, timedelta(), "degraded"),
        (None, None, "disabled"),
        (None, timedelta(minutes=2), "healthy"),
        (None, timedelta(minutes=20), "degraded"),
    ],
)
def test_periodic_work_is_seen_by_its_process_or_by_what_it_did(
    settings: Any, is_done: Any, rolled_ago: timedelta | None, status: str
):
    settings.REDIS_URL, settings.IS_EMBEDDED = "redis://elsewhere", False
    here: Any = SimpleNamespace(is_periodic_work_done=is_done)
    rolled_at = None if rolled_ago is None else datetime.now(UTC) - rolled_ago
    assert health._periodic_work(here, rolled_at)["status"] == status
