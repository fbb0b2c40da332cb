"""Periodic work: it does what it says, and the worker of docker-compose.yml really does it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from django.contrib.sessions.models import Session

from budgets import people
from budgets.models import LoginLink
from headroom_site import tasks
from headroom_site.celery import app
from proxy import decisions
from proxy.models import Decision

ROOT = Path(__file__).resolve().parents[2]
WORKER_TIMEOUT_S = 120


def make_decision(key: str, used_at: datetime) -> Decision:
    return Decision.objects.create(
        key=key,
        tokens_before=10,
        tokens_after=10,
        level="balanced",
        policy_version=1,
        engine_version=1,
        created_at=used_at,
        used_at=used_at,
    )


def test_beat_writes_into_the_workspace_and_not_where_it_is_started(settings):
    assert Path(app.conf.beat_schedule_filename).parent == Path(settings.WORKSPACE_DIR)


@pytest.mark.django_db
def test_decisions_that_nobody_used_for_a_lifetime_are_forgotten():
    now = datetime.now(UTC)
    make_decision("old", now - decisions.lifetime() - timedelta(hours=1))
    make_decision("recent", now - decisions.lifetime() + timedelta(hours=1))
    assert tasks.forget_unused.apply().get() == 1
    assert [decision.key for decision in Decision.objects.all()] == ["recent"]
    assert tasks.forget_unused.apply().get() == 0


@pytest.mark.django_db
def test_sessions_and_links_that_have_ended_are_forgotten():
    now = datetime.now(UTC)
    for name, hours in (("ended", -1), ("running", 1)):
        Session.objects.create(session_key=name, session_data="", expire_date=now + timedelta(hours=hours))
        people.login_token(people.create(name, "owner"), lifetime=timedelta(hours=hours))
    tasks.forget_unused.apply().get()
    assert [session.session_key for session in Session.objects.all()] == ["running"]
    assert [link.user.username for link in LoginLink.objects.all()] == ["running"]


def test_every_periodic_task_exists():
    app.loader.import_default_modules()
    assert {entry["task"] for entry in app.conf.beat_schedule.values()} <= set(app.tasks)


@pytest.mark.postgres
@pytest.mark.redis
def test_worker_on_redis_does_the_work_in_postgres(postgres_url, redis_url, tmp_path):
    environment = {
        **os.environ,
        "HEADROOM_DATABASE_URL": postgres_url,
        "HEADROOM_REDIS_URL": redis_url,
        "HEADROOM_WORKSPACE_DIR": str(tmp_path),
    }
    celery = [sys.executable, "-m", "celery", "--app", "headroom_site.celery"]
    subprocess.run([sys.executable, "manage.py", "migrate"], cwd=ROOT, env=environment, check=True, capture_output=True)
    with psycopg.connect(postgres_url, autocommit=True) as database:
        database.execute(
            "insert into proxy_decision (key, label, reason, tokens_before, tokens_after, original_hash, level,"
            " policy_version, engine_version, created_at, used_at)"
            " values ('old', '', '', 1, 1, '', 'balanced', 1, 1, now(), now() - interval '30 days')"
        )
        subprocess.run(
            [*celery, "call", "headroom.forget_unused"], cwd=ROOT, env=environment, check=True, capture_output=True
        )
        with (tmp_path / "worker.log").open("wb") as log:
            worker = subprocess.Popen(
                [*celery, "worker", "--loglevel", "info", "--pool", "solo"],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=log,
            )
        try:
            deadline = time.monotonic() + WORKER_TIMEOUT_S
            while database.execute("select count(*) from proxy_decision").fetchone() != (0,):
                assert worker.poll() is None and time.monotonic() < deadline, (tmp_path / "worker.log").read_text()
                time.sleep(0.1)
        finally:
            worker.terminate()
            worker.wait(WORKER_TIMEOUT_S)
