"""The pool of connections to PostgreSQL, when the server was away."""

from __future__ import annotations

import contextlib
import time
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg_pool import ConnectionPool, PoolTimeout

from headroom_site import settings
from tests.savings.forwarder import Forwarder

AWAY_S = 4.0
"""With pauses that double, the pool would not look again for three seconds more."""


@pytest.mark.postgres
def test_a_server_that_is_back_is_used_at_once(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "DATABASE_URL", postgres_url)
    options: dict[str, Any] = settings._database()["OPTIONS"]["pool"]
    # A crowded machine may take two seconds for anything, once.
    assert any(_is_used_once_back(postgres_url, options) for _ in range(3))


def _is_used_once_back(postgres_url: str, options: dict[str, Any]) -> bool:
    parts = urlsplit(postgres_url)
    cable = Forwarder((parts.hostname or "127.0.0.1", parts.port or 5432))
    url = urlunsplit(parts._replace(netloc=f"{parts.username}@127.0.0.1:{cable.port}"))
    with contextlib.ExitStack() as stack:
        stack.callback(cable.switch_off)
        pool = stack.enter_context(ConnectionPool(url, open=True, **options))
        with pool.connection() as connection:
            connection.execute("SELECT 1")
        cable.switch_off()
        back_at = time.monotonic() + AWAY_S
        while time.monotonic() < back_at:
            with contextlib.suppress(psycopg.OperationalError), pool.connection(timeout=0.2) as connection:
                connection.execute("SELECT 1")
        cable.switch_on()
        with contextlib.suppress(PoolTimeout), pool.connection() as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    return False
