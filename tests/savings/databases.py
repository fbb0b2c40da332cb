"""Real databases: SQLite in a file, PostgreSQL on its server. Threads of the code under test use them too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dj_database_url
import pytest
from django.core.management import call_command
from django.db import connections

from headroom_site import settings

POOL = {"min_size": 1, "max_size": 4, "timeout": 3}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty database is."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"


@pytest.fixture
def database(database_url: str, django_db_blocker: Any) -> Iterator[str]:
    """The database of every thread of this test, with our tables; its vendor."""
    with django_db_blocker.unblock(), connected(database_url) as vendor:
        call_command("migrate", "savings", verbosity=0)
        call_command("migrate", "budgets", verbosity=0)
        yield vendor


class connected:
    """Point Django's default connection at a database, for all threads; gives everything back."""

    def __init__(self, url: str) -> None:
        parsed: dict[str, Any] = dict(dj_database_url.parse(url))
        if "sqlite" in parsed["ENGINE"]:
            self._config = settings._SQLITE | {"NAME": parsed["NAME"]}
        else:
            self._config = parsed | {"CONN_MAX_AGE": 0, "OPTIONS": {"pool": POOL, "connect_timeout": 2}}

    def __enter__(self) -> str:
        self._before = connections["default"]
        connections.settings["default"] = connections.configure_settings({"default": self._config})["default"]
        del connections["default"]
        return connections["default"].vendor

    def __exit__(self, *exc: object) -> None:
        connections["default"].close()
        if connections["default"].vendor == "postgresql":
            connections["default"].close_pool()
        connections.settings["default"] = self._before.settings_dict
        connections["default"] = self._before
