"""Real databases: SQLite in a file, PostgreSQL on its server. Threads of the code under test use them too."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dj_database_url
import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connections

from headroom_site import settings
from tests.conftest import fresh_postgres

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


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def migrated(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any
) -> Iterator[str]:
    """A database of a whole module, with our tables; its vendor."""
    with contextlib.ExitStack() as stack:
        if request.param == "postgres":
            url = stack.enter_context(fresh_postgres())
        else:
            url = f"sqlite:///{tmp_path_factory.mktemp('database') / 'ledger.sqlite3'}"
        stack.enter_context(django_db_blocker.unblock())
        vendor = stack.enter_context(connected(url))
        call_command("migrate", "savings", verbosity=0)
        call_command("migrate", "budgets", verbosity=0)
        yield vendor


@pytest.fixture
def emptied(migrated: str) -> str:
    """The module's database without a row in it; its vendor."""
    for model in [*apps.get_app_config("budgets").get_models(), *apps.get_app_config("savings").get_models()]:
        model._base_manager.all().delete()
    return migrated


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
