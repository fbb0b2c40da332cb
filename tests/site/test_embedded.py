"""Periodic work without Redis: real processes, really killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from django.core.management import call_command

from headroom_site.embedded import Embedded
from savings import rollups
from tests.live.proxies import ROOT, START_S, eventually
from tests.savings.databases import connected

SCHEDULE = "celery/schedule"

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


@pytest.mark.postgres
def test_a_run_that_was_killed_half_way_is_healed_by_the_next_one(postgres_url, tmp_path, django_db_blocker):
    environment = {**os.environ, "HEADROOM_DATABASE_URL": postgres_url, "HEADROOM_WORKSPACE_DIR": str(tmp_path)}
    rolled = "select count(*), sum(calls) from savings_buckettotal where grain = 'hour'"
    with (
        closing(psycopg.connect(postgres_url, autocommit=True)) as database,
        django_db_blocker.unblock(),
        connected(postgres_url),
    ):
        call_command("migrate", verbosity=0)
        database.execute(ENTRIES)
        run = subprocess.Popen([sys.executable, "manage.py", "rollups"], cwd=ROOT, env=environment)
        eventually(lambda: database.execute(rolled).fetchone()[0] > 20, bool, START_S)
        run.kill()
        run.wait()
        assert database.execute(rolled).fetchone()[0] < 5000
        assert database.execute("select recorded_until from savings_rollupmark").fetchone() == (None,)
        # A day goes by in which beat is stopped, and what keeps others away has long expired.
        database.execute("update savings_rollupmark set busy_until = busy_until - interval '1 day'")
        database.execute("update savings_ledgerentry set recorded_at = recorded_at - interval '1 day'")
        rollups.roll()
        assert database.execute(rolled).fetchone() == (5000, 10000)
        days = "select sum(calls), sum(cost_nano_usd) from savings_dailyrollup"
        assert database.execute(days).fetchone() == (10000, 70000)


ENTRIES = """
    insert into savings_ledgerentry (id, request_id, attempt, provider, upstream, route, model_asked, model_answered,
        session, agent, project, "user", owner, key_id, key_label, team, origin, conversation, is_observed, is_streaming,
        status, error, provider_request_id, basis, reason, transforms, savings_basis, cache_outcome, price_source,
        price_version, cost_nano_usd, admitted_at, settled_at)
    select gen_random_uuid(), gen_random_uuid(), 0, 'anthropic', '', '', 'm', 'm', '', '', '', '', '', '', '', '',
        'client', '', false, false, 'complete', '', '', 'measured', '', '[]', '', '', 'override', '', 7, at, at
    from generate_series(timestamptz '2026-01-01 00:10Z', timestamptz '2026-01-01 00:10Z' + interval '4999 hours',
        interval '1 hour') as at, generate_series(1, 2)
"""
