"""What workers know of policy versions, also while the database is away."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from django.db import connection

from proxy.learning import versions
from proxy.learning.in_force import InForce, Reader
from proxy.models import PolicyVersion

pytestmark = pytest.mark.usefixtures("road_database")


def make_version() -> PolicyVersion:
    return PolicyVersion.objects.create(rules=[["Bash", "log", "deep"]], created_at=datetime.now(UTC))


def test_an_adopted_version_is_known_soon_and_while_the_database_is_away(caplog: pytest.LogCaptureFixture) -> None:
    reader = Reader(interval_s=0.05)
    reader.start()
    try:
        assert reader.found.number == 1
        version = make_version()
        versions.adopt(version.pk)
        until = time.monotonic() + 10
        while reader.found.number != version.pk:
            assert time.monotonic() < until
            time.sleep(0.02)
        assert reader.found.rules[version.pk] == {("Bash", "log", "deep")}
    finally:
        reader.stop()
    assert reader.found == InForce()

    reader.refresh()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE proxy_policyversion RENAME TO proxy_away")
    for _ in range(3):
        reader.refresh()
    assert reader.found.number == version.pk
    assert sum("cannot be read" in record.message for record in caplog.records) == 1, "it is said once"
