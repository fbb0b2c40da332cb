"""Whatever dies, every call that the provider saw is in the ledger exactly once.

A call is told apart by the number that ends the `user_id` in its body: the provider sees it there, and the ledger has it
as the session.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.examples import IS_LONG
from tests.live import answers, forwarder, proxies, wire
from tests.live.answers import CLOSE, FOREVER, Answer, Pause
from tests.live.forwarder import Forwarder
from tests.live.provider import Provider, Received
from tests.live.proxies import Proxy

pytestmark = pytest.mark.crash

REQUESTS = 2000 if IS_LONG else 160
KILLS = 12 if IS_LONG else 2
THREADS = 8
STOPPED = (0, -signal.SIGTERM)
CALLS_BEYOND_A_MEGABYTE = 750
KINDS = ("json", "stream", "stream", "leave in the middle", "leave before", "broken off", "refused", "slow")


def body_of(number: int, kind: str) -> bytes:
    document = {
        "model": kind,
        "stream": "stream" in kind or "leave" in kind or kind == "broken off",
        "metadata": {"user_id": f"crash_session_{number}"},
    }
    return json.dumps(document).encode()


def number_of(received: Received) -> int:
    return int(received.json["metadata"]["user_id"].rpartition("_")[2])


def script(received: Received) -> Answer:
    kind = received.json["model"]
    events = answers.message_events([str(n) for n in range(5)])
    if kind == "leave before":
        return [FOREVER]
    if kind == "leave in the middle":
        return answers.chunked([*events[:4], FOREVER])
    if kind == "broken off":
        return answers.chunked(events[:4], end=[CLOSE])
    if kind == "refused":
        return answers.json_answer(answers.anthropic_error("api_error", "no"), 500, [("x-should-retry", "false")])
    if kind == "stream":
        return answers.chunked(answers.spaced(events, 0.01))
    if kind == "slow":
        return [Pause(0.3), *answers.json_answer(answers.message())]
    return answers.json_answer(answers.message())


def send(proxy: Proxy, number: int, kind: str) -> bool:
    """One request, by a client that tries again only where nobody listens. True when it heard a whole stream."""
    try:
        with _connected(proxy) as connection:
            connection.send(wire.request(body=body_of(number, kind)))
            if kind == "leave before":
                time.sleep(0.05)
                connection.reset()
                return False
            heard = connection.hear_head()
            pieces = connection.pieces(heard)
            if kind == "leave in the middle":
                next(pieces, None)
                connection.reset()
                return False
            for _ in pieces:
                pass
            return heard.is_whole and kind == "stream"
    except OSError:
        return False


def _connected(proxy: Proxy) -> contextlib.AbstractContextManager[wire.Connection]:
    def connect() -> wire.Connection | None:
        with contextlib.suppress(ConnectionRefusedError):
            return wire.Connection(proxy.url)
        return None

    return contextlib.closing(proxies.eventually(connect, lambda made: made is not None, proxies.START_S))  # type: ignore[arg-type]


def tally(provider: Provider) -> Counter[int]:
    return Counter(map(number_of, provider.requests))


def sessions(proxy: Proxy) -> set[int]:
    """The numbers of the calls of which something was sent, as the ledger has them."""
    return {int(row["session"]) for row in proxy.rows("status <> 'void'")}


def assert_accounted_for(proxy: Proxy, provider: Provider, heard_whole: set[int]) -> None:
    seen = tally(provider)
    assert set(seen.values()) <= {1}, "something was sent twice"
    # An attempt of which nothing was sent has a row of its own; what it is about is tried again.
    proxies.eventually(lambda: set(seen) - sessions(proxy), lambda missing: not missing)
    rows = proxy.rows("status <> 'void'")
    by_number = {int(row["session"]): row for row in rows}
    assert len(rows) == len(by_number), "a call has two rows"
    assert {row["status"] for number, row in by_number.items() if number not in seen} <= {"interrupted"}
    for number in heard_whole:
        row = by_number[number]
        assert (row["status"], row["basis"], row["cost_nano_usd"]) == ("complete", "measured", 600_000)
    assert list(proxy.workspace.glob("journal/*.rejected")) == []


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest) -> Iterator[tuple[dict[str, str], Forwarder | None]]:
    """The environment that names a database, and the way to cut it off where that is possible."""
    if request.param == "sqlite":
        yield {}, None
        return
    url = request.getfixturevalue("migrated_postgres_url")
    parts = urlsplit(url)
    with forwarder.running(parts.hostname or "127.0.0.1", parts.port or 5432) as cable:
        netloc = f"{parts.username}@127.0.0.1:{cable.port}" if parts.username else f"127.0.0.1:{cable.port}"
        yield {"HEADROOM_DATABASE_URL": urlunsplit(parts._replace(netloc=netloc)), "TESTS_DATABASE_URL": url}, cable


def test_every_call_is_accounted_for_once_whatever_dies(
    provider: Provider, tmp_path: Path, database: tuple[dict[str, str], Forwarder | None]
) -> None:
    env, cable = database
    provider.script = script
    chance = random.Random(os.environ.get("HEADROOM_TEST_SEED"))
    proxy = Proxy(tmp_path / "workspace", provider.url, env=env).start()
    heard_whole: set[int] = set()

    def client(number: int) -> None:
        if send(proxy, number, chance.choice(KINDS)):
            heard_whole.add(number)

    try:
        with ThreadPoolExecutor(THREADS) as clients:
            done = [clients.submit(client, number) for number in range(REQUESTS)]
            for kill in range(KILLS):
                share = (kill + 1) / (KILLS + 1) * REQUESTS
                while sum(one.done() for one in done) < share:
                    time.sleep(0.05)
                time.sleep(chance.random() * 0.1)
                if cable is not None and kill % 2:
                    cable.cut()
                    time.sleep(0.5)
                proxy.kill()
                if cable is not None:
                    cable.mend()
                proxy.start()
            for one in done:
                one.result(proxies.START_S)
        assert len(tally(provider)) > REQUESTS / 2
        assert len(heard_whole) > REQUESTS / 20
        assert_accounted_for(proxy, provider, heard_whole)
        assert proxy.stop() in STOPPED
        assert list((proxy.workspace / "journal").iterdir()) == []
    finally:
        with contextlib.suppress(Exception):
            proxy.kill()
    assert "Traceback" not in proxy.output


def test_a_torn_last_line_is_no_line(provider: Provider, tmp_path: Path) -> None:
    provider.script = script
    proxy = Proxy(tmp_path / "workspace", provider.url).start()
    try:
        for number in range(5):
            send(proxy, number, "stream")
        with wire.connected(proxy.url) as connection:
            connection.send(wire.request(body=body_of(5, "leave before")))
            provider.wait_until(lambda: len(provider.requests) == 6)
            proxy.kill()
        (journal,) = proxy.workspace.glob("journal/*/*.jsonl")
        with journal.open("ab") as file:
            file.write(b'{"settled":{"call_id":"0195')
        proxy.start()
        assert_accounted_for(proxy, provider, set(range(5)))
        (last,) = [row for row in proxy.rows() if row["session"] == "5"]
        assert (last["status"], last["basis"]) == ("interrupted", "estimated")
        assert proxy.stop() in STOPPED
    finally:
        with contextlib.suppress(Exception):
            proxy.kill()


@pytest.mark.postgres
def test_the_road_stays_open_while_the_database_is_away(
    provider: Provider, tmp_path: Path, migrated_postgres_url: str
) -> None:
    provider.script = script
    parts = urlsplit(migrated_postgres_url)
    with forwarder.running(parts.hostname or "127.0.0.1", parts.port or 5432) as cable:
        netloc = f"{parts.username}@127.0.0.1:{cable.port}" if parts.username else f"127.0.0.1:{cable.port}"
        env = {
            "HEADROOM_DATABASE_URL": urlunsplit(parts._replace(netloc=netloc)),
            "TESTS_DATABASE_URL": migrated_postgres_url,
        }
        proxy = Proxy(tmp_path / "workspace", provider.url, env=env).start()
        try:
            assert send(proxy, 0, "stream")
            cable.cut()
            assert min(_timed(lambda n=n: send(proxy, n, "stream")) for n in range(1, 11)) < 2
            ready = wire.ask(proxy.url, wire.request("GET", b"/readyz", body=None))
            report = json.loads(ready.body)
            assert (ready.status, report["checks"]["database"]["ready"], report["checks"]["journal"]["ready"]) == (
                200,
                False,
                True,
            )
            assert len(proxy.rows()) <= 1
            assert _ask_with_a_result(proxy, 11).status == 200  # finds out that nobody answers, for all after it
            assert min(_timed(lambda n=n: _ask_with_a_result(proxy, n).status == 200) for n in range(12, 15)) < 2
            assert wire.ask(proxy.url, wire.request("GET", b"/readyz", body=None)).status == 200
            cable.mend()
            assert_accounted_for(proxy, provider, set(range(11)))
            assert proxy.stop() in STOPPED
        finally:
            with contextlib.suppress(Exception):
                proxy.kill()


def test_a_full_disk_stops_no_agent_and_loses_no_call(provider: Provider, tmp_path: Path) -> None:
    provider.script = script
    proxy = Proxy(tmp_path / "workspace", provider.url).start()
    try:
        heard = {number for number in range(5) if send(proxy, number, "stream")}
        with wire.connected(proxy.url) as running:
            running.send(wire.request(body=body_of(5, "leave in the middle")))
            running.hear_until(running.hear_head(), 100)
            # No file may grow beyond its first byte: what a full disk does, but only to this one process.
            resource.prlimit(proxy.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
            heard |= {number for number in range(6, 16) if send(proxy, number, "stream")}
            assert _ask_with_a_result(proxy, 16).status == 200
        assert heard == {*range(5), *range(6, 16)}
        assert wire.ask(proxy.url, wire.request("GET", b"/readyz", body=None)).status == 503
        resource.prlimit(proxy.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert send(proxy, 17, "stream")
        assert_accounted_for(proxy, provider, heard | {17})
        assert proxy.stop() in STOPPED
    finally:
        with contextlib.suppress(Exception):
            proxy.kill()


def test_a_journal_at_its_cap_stops_no_agent_and_forgets_nothing(
    start_proxy: Callable[..., Proxy], provider: Provider
) -> None:
    provider.script = script
    proxy = start_proxy(HEADROOM_JOURNAL_MAX_MB="1")
    with contextlib.closing(proxies.connect_writing(proxy.workspace / "headroom.sqlite3")) as somebody:
        somebody.execute("BEGIN IMMEDIATE")  # nobody else can write now

        target = b"/p/" + b"%F0%9F%99%82" * 200 + b"/v1/messages"  # 800 bytes of the journal

        def status(number: int) -> int:
            return wire.ask(proxy.url, wire.request(target=target, body=body_of(number, "json"))).status

        with ThreadPoolExecutor(4) as clients:
            assert set(clients.map(status, range(CALLS_BEYOND_A_MEGABYTE))) == {200}
        report = json.loads(wire.ask(proxy.url, wire.request("GET", b"/readyz", body=None)).body)
        assert report["checks"]["journal"]["ready"] is False
        somebody.rollback()
    assert_accounted_for(proxy, provider, set())
    assert len(proxy.rows()) == CALLS_BEYOND_A_MEGABYTE


def _timed(work: Callable[[], bool]) -> float:
    """Seconds that something takes which succeeds. The best of a few says whether all of them wait for something."""
    started = time.monotonic()
    assert work()
    return time.monotonic() - started


def _ask_with_a_result(proxy: Proxy, number: int) -> wire.Heard:
    log = "\n".join(f"12:00:{n % 60:02} INFO crash run {number} line {n} took {n % 7} ms" for n in range(400))
    document: dict[str, Any] = json.loads(body_of(number, "json"))
    document["messages"] = [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "Bash", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": log}]},
    ]
    with wire.connected(proxy.url) as connection:
        connection.socket.settimeout(40)
        connection.send(wire.request(body=json.dumps(document).encode()))
        return connection.hear()
