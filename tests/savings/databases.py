"""Real databases: SQLite in a file, PostgreSQL on its server. Threads of the code under test use them too.

Each is a copy of one that was migrated once for all tests of a process. Copies on PostgreSQL are used again, as making one and
dropping it takes a tenth of a second of processor time, and emptying one next to nothing.
"""

from __future__ import annotations

import atexit
import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connections

from headroom_site import settings
from tests.conftest import create_postgres, drop_postgres, fresh_postgres
from tests.savings.copies import Copies


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path, django_db_blocker: Any) -> Iterator[str]:
    """Where a database is that has our tables and nothing in them."""
    with django_db_blocker.unblock():
        if request.param == "postgres":
            with _copies().lent() as url:
                yield url
        else:
            shutil.copy(_migrated_sqlite(), tmp_path / "ledger.sqlite3")
            yield f"sqlite:///{tmp_path / 'ledger.sqlite3'}"


@pytest.fixture
def database(database_url: str, django_db_blocker: Any) -> Iterator[str]:
    """The database of every thread of this test; its vendor."""
    with django_db_blocker.unblock(), connected(database_url) as vendor:
        yield vendor


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def migrated(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any
) -> Iterator[str]:
    """A database of a whole module, with our tables; its vendor."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(django_db_blocker.unblock())
        if request.param == "postgres":
            url = stack.enter_context(_copies().lent())
        else:
            path = tmp_path_factory.mktemp("database") / "ledger.sqlite3"
            shutil.copy(_migrated_sqlite(), path)
            url = f"sqlite:///{path}"
        yield stack.enter_context(connected(url))


@pytest.fixture
def emptied(migrated: str) -> str:
    """The module's database without a row in it; its vendor."""
    for app in ("budgets", "savings"):
        for model in reversed(list(apps.get_app_config(app).get_models())):  # what refers to others comes after them
            model._base_manager.all().delete()
    return migrated


@lru_cache
def _migrated_sqlite() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="headroom-tests-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    path = directory / "migrated.sqlite3"
    with connected(f"sqlite:///{path}"):
        call_command("migrate", verbosity=0)
        with connections["default"].cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@pytest.fixture
def migrated_postgres_url(django_db_blocker: Any) -> Iterator[str]:
    """A database of this test's own on PostgreSQL, as `headroom migrate` leaves it, for programs that it starts."""
    with django_db_blocker.unblock(), fresh_postgres(template=migrated_postgres()) as url:
        yield url


@lru_cache
def _copies() -> Copies:
    return Copies(migrated_postgres())


@lru_cache
def migrated_postgres() -> str:
    """The name of the one that is copied. Needs Django's connections unblocked."""
    url = create_postgres()
    atexit.register(drop_postgres, url)
    with connected(url):
        call_command("migrate", verbosity=0)
    return urlsplit(url).path.removeprefix("/")


class connected:
    """Point Django's default connection at a database, for all threads; gives everything back.

    A server that does not answer is given up on after `patience_s`.
    """

    def __init__(self, url: str, *, patience_s: int = 30) -> None:
        parsed: dict[str, Any] = dict(dj_database_url.parse(url))
        if "sqlite" in parsed["ENGINE"]:
            self._config = settings._SQLITE | {"NAME": parsed["NAME"]}
        else:
            pool = {"min_size": 1, "max_size": 4, "timeout": patience_s}
            self._config = parsed | {"CONN_MAX_AGE": 0, "OPTIONS": {"pool": pool, "connect_timeout": patience_s}}

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
