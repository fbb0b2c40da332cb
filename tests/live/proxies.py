"""`headroom proxy` as a user starts it: a process of its own with its own workspace, on a port of its own."""

from __future__ import annotations

import atexit
import contextlib
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psycopg
from psycopg.rows import dict_row

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
DATABASE = "headroom.sqlite3"
START_S = 120.0
WAIT_S = 120.0
UNENCRYPTED: dict[str, Any] = {"trust_env": False, "verify": False, "timeout": WAIT_S}
"""For httpx."""
NO_CLIENTS_PORTS = range(15_000, 32_000)
CHANCE = random.SystemRandom()
"""Not that of the tests, which is the same in parallel processes."""
UNCAUGHT = (
    "Traceback (most recent call last)",
    "was never retrieved",
    "never awaited",
    "RuntimeWarning",
    "DeprecationWarning",
    "Exception ignored",
)
PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")


class Proxy:
    """One proxy and its workspace. `start` may be called again after `kill` or `stop`.

    Its SQLite database is there already, unless it `is_first_start`: making one takes a second.
    """

    def __init__(
        self,
        workspace: Path,
        upstream_url: str,
        *,
        flags: tuple[str, ...] = (),
        env: dict[str, str] | None = None,
        is_first_start: bool = False,
    ) -> None:
        self.workspace = workspace
        self.port = free_port()
        self.flags = flags
        self.env = {
            **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
            "HEADROOM_WORKSPACE_DIR": str(workspace),
            "ANTHROPIC_TARGET_API_URL": upstream_url,
            "OPENAI_TARGET_API_URL": upstream_url,
            "NO_PROXY": "*",
            # Tests ask faster than people do, and all as the same caller.
            "HEADROOM_RATE_LIMIT_ENABLED": "0",
            # ... and the same thing again and again.
            "HEADROOM_CACHE_ENABLED": "0",
            # Its start would take a second of a processor from each test.
            "HEADROOM_EMBEDDED_WORKER": "0",
            "PYTHONWARNINGS": "default",
            **(env or {}),
        }
        self.process: subprocess.Popen[bytes] | None = None
        self._output = workspace.with_name(workspace.name + ".log")
        if not is_first_start and not workspace.exists() and "HEADROOM_DATABASE_URL" not in self.env:
            workspace.mkdir(mode=0o700)
            shutil.copy(_migrated_sqlite(), workspace / DATABASE)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def v1(self) -> str:
        return f"{self.url}/v1"

    @property
    def output(self) -> str:
        """Everything it has printed and logged."""
        return self._output.read_text(errors="replace") if self._output.exists() else ""

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self, *, expect_ready: bool = True) -> Proxy:
        with self._output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "proxy", "--port", str(self.port), *self.flags],
                cwd=ROOT,
                env=self.env,
                stdout=output,
                stderr=output,
            )
        if expect_ready:
            self.wait_ready()
        return self

    def wait_ready(self) -> None:
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            assert self.process is not None
            assert self.process.poll() is None, f"the proxy ended with {self.process.returncode}:\n{self.output}"
            with contextlib.suppress(httpx.HTTPError):
                if get(f"{self.url}/livez").status_code == 200:
                    return
            time.sleep(0.05)
        raise AssertionError(f"the proxy did not come up:\n{self.output}")

    def stop(self, *, timeout_s: float = WAIT_S) -> int:
        """Ask it to stop, as Ctrl-C or a container's runtime would; returns its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(WAIT_S)

    # What it has recorded.

    def rows(self, where: str = "1=1", *arguments: object) -> list[dict[str, Any]]:
        """Ledger rows, oldest first. `?` stands for an argument."""
        query = f"SELECT * FROM savings_ledgerentry WHERE {where} ORDER BY admitted_at, id"  # noqa: S608 - our own words
        url = self.env.get("HEADROOM_DATABASE_URL")
        if url is not None:
            return _postgres_rows(self.env.get("TESTS_DATABASE_URL", url), query, arguments)
        path = self.workspace / DATABASE
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(query, arguments)]

    def rows_of(self, request_id: str, *, count: int = 1) -> list[dict[str, Any]]:
        """The rows of one request, as soon as there are so many of them."""
        wanted = request_id if "HEADROOM_DATABASE_URL" in self.env else request_id.replace("-", "")
        return eventually(lambda: self.rows("request_id = ?", wanted), lambda rows: len(rows) >= count)

    def row_of(self, answer: httpx.Response | str) -> dict[str, Any]:
        """The one row of a request, given its id or its answer."""
        request_id = answer if isinstance(answer, str) else answer.headers["x-headroom-request-id"]
        rows = self.rows_of(request_id)
        assert len(rows) == 1, f"{len(rows)} rows for request {request_id}"
        return rows[0]


@lru_cache
def _migrated_sqlite() -> Path:
    """A database as `headroom migrate` leaves it, made once for all proxies of a process."""
    directory = Path(tempfile.mkdtemp(prefix="headroom-tests-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    first = Proxy(directory, "http://127.0.0.1:9", is_first_start=True)
    subprocess.run([sys.executable, "manage.py", "migrate"], cwd=ROOT, env=first.env, check=True, capture_output=True)
    with contextlib.closing(connect_writing(directory / DATABASE)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return directory / DATABASE


def _postgres_rows(url: str, query: str, arguments: tuple[object, ...]) -> list[dict[str, Any]]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(query.replace("?", "%s"), arguments or None).fetchall()


def connect_writing(path: Path) -> sqlite3.Connection:
    """A connection of somebody else to a proxy's database, which may keep the proxy from writing."""
    return sqlite3.connect(path, timeout=10, isolation_level=None)


def eventually(look: Callable[[], T], is_good: Callable[[T], object], timeout_s: float = WAIT_S) -> T:
    """What `look` sees once it is good."""
    until, pause_s = time.monotonic() + timeout_s, 0.01
    while not is_good(seen := look()):
        assert time.monotonic() < until, f"in vain: {seen!r}"
        time.sleep(pause_s)
        pause_s = min(1.3 * pause_s, 0.2)  # who looks all the time keeps the others from getting there
    return seen


def get(url: str, **options: Any) -> httpx.Response:
    """As httpx does it, but patiently, and without first reading certificates for 50 ms: nobody here speaks TLS."""
    return httpx.get(url, **UNENCRYPTED, **options)


def post(url: str, **options: Any) -> httpx.Response:
    """The same."""
    return httpx.post(url, **UNENCRYPTED, **options)


def free_port() -> int:
    """A port that nobody listens on, and that no client is given by the system before somebody does."""
    while True:
        port = CHANCE.choice(NO_CLIENTS_PORTS)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@contextlib.contextmanager
def running(
    workspace: Path,
    upstream_url: str,
    *,
    flags: tuple[str, ...] = (),
    env: dict[str, str] | None = None,
    is_first_start: bool = False,
) -> Iterator[Proxy]:
    """A serving proxy for the length of a block. What nobody caught fails the test."""
    proxy = Proxy(workspace, upstream_url, flags=flags, env=env, is_first_start=is_first_start)
    try:
        proxy.start()
        yield proxy
        proxy.stop()
    finally:
        if proxy.process is not None and proxy.process.poll() is None:
            proxy.kill()
    assert not [line for line in proxy.output.splitlines() if any(mark in line for mark in UNCAUGHT)], proxy.output
