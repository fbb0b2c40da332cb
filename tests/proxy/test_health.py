from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from proxy import health

NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    ("is_done", "rolled_at", "status"),
    [
        (lambda: True, None, "healthy"),
        (lambda: False, NOW, "degraded"),
        (None, None, "disabled"),
        (None, NOW - timedelta(minutes=2), "healthy"),
        (None, NOW - timedelta(minutes=20), "degraded"),
    ],
)
def test_periodic_work_is_seen_by_its_process_or_by_what_it_did(
    settings: Any, is_done: Any, rolled_at: Any, status: str
):
    settings.REDIS_URL, settings.IS_EMBEDDED = "redis://elsewhere", False
    here: Any = SimpleNamespace(is_periodic_work_done=is_done)
    assert health._periodic_work(here, rolled_at)["status"] == status
