"""What every test may rely on: a workspace of its own, and the real servers where a test asks for them."""

from __future__ import annotations

import atexit
import contextlib
import gc
import math
import os
import shutil
import tempfile
import uuid
from collections import Counter
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import django
import psycopg
import pytest
import redis
from hypothesis import settings

from tests.examples import examples

ROOT = Path(__file__).parent.parent
POSTGRES_URL = os.environ.get("HEADROOM_TEST_POSTGRES_URL", "postgresql://root@127.0.0.1:5432/postgres")
REDIS_URL = os.environ.get("HEADROOM_TEST_REDIS_URL", "redis://127.0.0.1:6379")
REQUIRED = frozenset(os.environ.get("HEADROOM_TEST_REQUIRE", "").replace(",", " ").split())
REDIS_CLAIM = "headroom-tests-claim"
CONNECT_TIMEOUT_S = 30
LONGEST_RUN_S = 3600
DROPPING = ThreadPoolExecutor(1, "dropping")


def pytest_xdist_auto_num_workers() -> int:
    """Half more processes than processors: much of a test with servers is waiting for them."""
    return math.ceil(1.5 * (os.cpu_count() or 1))


def _enter_own_workspace() -> None:
    """Point the settings at a folder that is thrown away, whatever the environment of whoever runs the tests says."""
    for name in list(os.environ):
        if name.startswith("HEADROOM_") and not name.startswith("HEADROOM_TEST_"):
            del os.environ[name]
    for name in ("DATABASE_URL", "ANTHROPIC_TARGET_API_URL", "OPENAI_TARGET_API_URL"):
        os.environ.pop(name, None)
    directory = tempfile.mkdtemp(prefix="headroom-tests-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    os.environ["HEADROOM_WORKSPACE_DIR"] = directory
    # Each of the providers' clients would read the certificates of the world, for 50 ms; no test speaks TLS with anybody.
    os.environ["SSL_CERT_DIR"] = directory


def _start_django() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "headroom_site.settings"
    django.setup()
    # pytest-django would load the settings of parallel test processes before this file could give them a workspace.
    del os.environ["DJANGO_SETTINGS_MODULE"]


def _shown() -> set[str]:
    """What the top of the checkout shows."""
    return {path.name for path in ROOT.iterdir() if not path.name.startswith((".", "__"))}


_enter_own_workspace()
_start_django()
settings.register_profile("headroom", examples(30))
settings.load_profile("headroom")
SHOWN_BEFORE = _shown()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that leaves something in the checkout."""
    if not hasattr(session.config, "workerinput") and (left := _shown() - SHOWN_BEFORE):
        session.config.get_terminal_writer().line(f"\nThe tests left {sorted(left)} in {ROOT}.", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that parallel processes end together."""
    counts = Counter(item.location[0] for item in items)
    long = {item.location[0] for item in items for mark in ("crash", "browser") if item.get_closest_marker(mark)}

    def place(item: pytest.Item) -> tuple[bool, bool, int, str]:
        file = item.location[0]
        return file not in long, "live" not in file, -counts[file], file

    items.sort(key=place)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Modules and tests stay until the end: the collector of garbage need not walk them again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def pytest_runtest_setup(item: pytest.Item) -> None:
    for service in MISSING:
        if item.get_closest_marker(service):
            require(service)


def require(service: str) -> None:
    """Skip the running test, saying why, when a service is missing; fail it when the service must be there."""
    if reason := MISSING[service]():
        (pytest.fail if service in REQUIRED else pytest.skip)(reason)


@lru_cache
def _missing_postgres() -> str:
    try:
        psycopg.connect(POSTGRES_URL, connect_timeout=CONNECT_TIMEOUT_S).close()
    except psycopg.Error as exc:
        return f"PostgreSQL does not answer at {POSTGRES_URL} (HEADROOM_TEST_POSTGRES_URL): {exc}"
    return ""


@lru_cache
def _missing_redis() -> str:
    try:
        with redis.Redis.from_url(REDIS_URL, socket_connect_timeout=CONNECT_TIMEOUT_S) as client:
            client.ping()
    except redis.RedisError as exc:
        return f"Redis does not answer at {REDIS_URL} (HEADROOM_TEST_REDIS_URL): {exc}"
    return ""


@lru_cache
def _missing_browser() -> str:
    return "" if shutil.which("chromium") else "there is no program called chromium"


MISSING = {"postgres": _missing_postgres, "redis": _missing_redis, "browser": _missing_browser}


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """An empty database of this test's own on a real PostgreSQL, dropped afterwards whoever is still connected."""
    with fresh_postgres() as url:
        yield url


@contextlib.contextmanager
def fresh_postgres(template: str = "template1") -> Iterator[str]:
    """The same for the length of a block, or a copy of another database of the server."""
    url = create_postgres(template)
    try:
        yield url
    finally:
        # The server first writes down all it has: nobody needs to wait for that. The thread ends its work before we end.
        DROPPING.submit(drop_postgres, url)


def create_postgres(template: str = "template1") -> str:
    """Where a new database of the server is, empty or a copy of another one."""
    require("postgres")
    name = f"headroom_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(POSTGRES_URL, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    return urlunsplit(urlsplit(POSTGRES_URL)._replace(path=f"/{name}"))


def drop_postgres(url: str) -> None:
    """Remove a database of the server, whoever is connected to it."""
    name = urlsplit(url).path.removeprefix("/")
    with psycopg.connect(POSTGRES_URL, autocommit=True) as server:
        server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture
def redis_url() -> Iterator[str]:
    """An empty database of this test's own on a real Redis, emptied afterwards. Databases in use are left alone."""
    with fresh_redis() as url:
        yield url


@contextlib.contextmanager
def fresh_redis() -> Iterator[str]:
    """The same for the length of a block."""
    require("redis")
    for number in range(15, 0, -1):
        url = urlunsplit(urlsplit(REDIS_URL)._replace(path=f"/{number}"))
        with redis.Redis.from_url(url) as client:
            if not client.set(REDIS_CLAIM, os.getpid(), nx=True, ex=LONGEST_RUN_S):
                continue
            if client.dbsize() > 1:
                client.delete(REDIS_CLAIM)
                continue
            try:
                yield url
            finally:
                client.flushdb()
            return
    pytest.fail(f"every database of the Redis at {REDIS_URL} is in use")
