"""Periodic work without Redis: real processes, really killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from headroom_site.celery import app
from headroom_site.embedded import Embedded
from headroom_site.schedule import Schedule
from savings import rollups, stats
from savings.figures import Figures
from savings.models import BucketTotal, LedgerEntry, RollupMark
from tests.live.proxies import ROOT, START_S, eventually
from tests.savings.databases import database, database_url
from tests.savings.test_rollups import everything

__all__ = ["database", "database_url"]

SCHEDULE = "celery/schedule"
HOURS = {"postgresql": 3000, "sqlite": 500}
"""Enough to be in the middle of it for a while."""

pytestmark = pytest.mark.crash


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def test_a_killed_child_is_started_again_and_its_broken_schedule_replaced(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADROOM_WORKSPACE_DIR", str(tmp_path))
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "headroom_site.settings")
    (tmp_path / "celery").mkdir()
    for ending in ("", ".dat", ".dir", ".db"):
        (tmp_path / (SCHEDULE + ending)).write_bytes(os.urandom(300))
    embedded = Embedded(start_after_s=0)
    assert embedded.is_working()
    embedded.start()
    try:
        eventually(lambda: (tmp_path / f"{SCHEDULE}.dat").exists(), bool, START_S)
        eventually(lambda: b"headroom.roll" in read(tmp_path), bool, START_S)
        killed = embedded.pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        eventually(embedded.is_working, lambda is_working: not is_working)
        eventually(embedded.is_working, bool)
        assert embedded.pid != killed
    finally:
        embedded.stop()
    assert not is_running(embedded.pid or 0)


def read(workspace: Path) -> bytes:
    return b"".join(path.read_bytes() for path in workspace.glob(SCHEDULE + "*"))


def test_the_child_ends_with_its_parent_however_that_one_ends(tmp_path):
    parent = textwrap.dedent(
        """
        import os, signal, time
        from headroom_site.embedded import Embedded
        embedded = Embedded(start_after_s=0)
        embedded.start()
        while embedded.pid is None:
            time.sleep(0.02)
        print(embedded.pid, flush=True)
        os.read(0, 1)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    environment = {
        **os.environ,
        "HEADROOM_WORKSPACE_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "headroom_site.settings",
    }
    with subprocess.Popen(
        [sys.executable, "-c", parent], cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        child = int(process.stdout.readline())
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.wait(START_S) == -signal.SIGKILL
    eventually(lambda: is_running(child), lambda is_there: not is_there, START_S)


def test_a_day_without_beat_and_a_kill_half_way_are_healed_by_the_next_run(
    tmp_path: Path, database: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADROOM_WORKSPACE_DIR", str(tmp_path))
    monkeypatch.setenv("HEADROOM_DATABASE_URL", database_url)
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "headroom_site.settings")
    yesterday = datetime.now(UTC) - timedelta(days=1)
    make_entries(range(100))
    rollups.roll()
    LedgerEntry.objects.update(recorded_at=yesterday)
    RollupMark.objects.update(recorded_until=yesterday, rolled_at=yesterday)
    count = HOURS[database]
    make_entries(range(50, count))
    leave_schedule(tmp_path, yesterday)

    hours = BucketTotal.objects.filter(grain="hour")
    embedded = Embedded(start_after_s=0)
    embedded.start()
    try:
        eventually(hours.count, lambda found: found > 120, START_S)
        assert embedded.pid is not None
        os.kill(embedded.pid, signal.SIGKILL)
        assert hours.count() < count
        assert RollupMark.objects.get().recorded_until == yesterday
        # What keeps other runs away from a dead one's expires in a moment.
        RollupMark.objects.update(busy_until=yesterday)
        eventually(lambda: RollupMark.objects.get().recorded_until, lambda until: until > yesterday, START_S)
    finally:
        embedded.stop()
    assert Figures.sum(bucket.figures for bucket in stats.series("daily")).calls == 100 + count - 50
    RollupMark.objects.update(busy_until=None)  # the run of another task may have ended with the child
    healed = everything()
    rollups.roll(everything=True)
    assert everything() == healed


def make_entries(hours: range) -> None:
    """A call in each of these hours."""
    now = datetime.now(UTC)
    LedgerEntry.objects.bulk_create(
        LedgerEntry(
            id=uuid.uuid4(),
            request_id=uuid.uuid4(),
            attempt=0,
            provider="anthropic",
            status="complete",
            basis="measured",
            price_source="override",
            cost_nano_usd=7,
            admitted_at=now - timedelta(hours=hour),
            settled_at=now,
        )
        for hour in hours
    )


def leave_schedule(workspace: Path, last_run_at: datetime) -> None:
    """The file that beat leaves behind when it is stopped."""
    (workspace / "celery").mkdir()
    schedule = Schedule(app, schedule_filename=str(workspace / SCHEDULE), lazy=True)
    schedule.setup_schedule()
    for entry in schedule.schedule.values():
        entry.last_run_at = last_run_at
    schedule.close()
