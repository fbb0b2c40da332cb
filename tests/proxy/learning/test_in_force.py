"""What workers know of policy versions, also while the database is away."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import connection

from proxy.learning import in_force, versions
from proxy.learning.in_force import InForce, Reader
from proxy.models import PolicyVersion
from tests.live.proxies import eventually

pytestmark = pytest.mark.usefixtures("road_database")


def make_version() -> PolicyVersion:
    return PolicyVersion.objects.create(rules=[["Bash", "log", "deep"]], created_at=datetime.now(UTC))


def test_an_adopted_version_is_known_soon_and_while_the_database_is_away(caplog: pytest.LogCaptureFixture) -> None:
    reader = Reader(interval_s=0.05)
    reader.poller.start()
    try:
        assert reader.found.number == 1
        version = make_version()
        versions.adopt(version.pk)
        eventually(lambda: reader.found.number, lambda number: number == version.pk)
        assert reader.found.rules[version.pk] == {("Bash", "log", "deep")}
    finally:
        reader.poller.stop()

    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE proxy_policyversion RENAME TO proxy_away")
    for _ in range(3):
        reader.poller.refresh()
    assert reader.found.number == version.pk
    assert sum("cannot be read" in record.message for record in caplog.records) == 1, "it is said once"


def test_a_process_that_no_longer_serves_knows_the_built_in_policy_alone() -> None:
    versions.adopt(make_version().pk)
    in_force.start()
    assert in_force.current().number > in_force.BUILT_IN
    in_force.stop()
    assert in_force.current() == InForce()
