"""The ground under every other test: nothing of whoever runs them is touched."""

from __future__ import annotations

import tempfile
from pathlib import Path

import psycopg
import pytest
import redis
from django.conf import settings


def test_settings_use_a_workspace_that_is_thrown_away():
    workspace = Path(settings.WORKSPACE_DIR)
    assert workspace.is_relative_to(tempfile.gettempdir())
    assert Path.home() / ".headroom" not in (workspace, *workspace.parents)


@pytest.mark.postgres
def test_postgres_database_is_empty_and_ours(postgres_url):
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("select count(*) from pg_tables where schemaname = 'public'").fetchone() == (0,)


@pytest.mark.redis
def test_redis_database_is_empty_and_ours(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 1  # the claim itself
        client.set("left behind", 1)
