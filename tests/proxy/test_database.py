from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from django.db import OperationalError, connection, connections

from proxy import database
from proxy.database import JOB_TIMEOUT_S, LOCK_TIMEOUT_S, RETRY_AFTER_S, Away, Outage
from proxy.stores import DatabaseStore


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("road_database")
@pytest.mark.parametrize(("pragma", "value"), [("wal_autocheckpoint", 0), ("busy_timeout", 1000 * LOCK_TIMEOUT_S)])
async def test_nobody_on_the_road_waits_for_a_checkpoint_or_long_for_a_lock(
    monkeypatch: pytest.MonkeyPatch, pragma: str, value: int
) -> None:
    def pragmas() -> int:
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA {pragma}")
            return int(cursor.fetchone()[0])

    with ThreadPoolExecutor(1) as thread:
        monkeypatch.setattr(database, "_threads", thread)
        assert await database.run(pragmas) == value
        thread.submit(connections.close_all).result()


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@pytest.mark.usefixtures("road_database")
async def test_nobody_on_the_road_waits_long_for_a_table_that_somebody_locked(
    store: DatabaseStore, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "LOCK_TIMEOUT_S", 1)
    with psycopg.connect(database_url) as other:
        other.execute("LOCK TABLE proxy_decision IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(OperationalError):
            await store.load(["any"])
    monkeypatch.setattr(database, "_outage", Outage())
    assert await store.load(["any"]) == {}


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@pytest.mark.usefixtures("store")
async def test_who_gets_the_connection_next_waits_as_long_as_it_likes() -> None:
    def lock_timeout() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SHOW lock_timeout")
            return str(cursor.fetchone()[0])

    def failing() -> None:
        raise OperationalError("as when somebody else has the lock")

    assert await database.run(lock_timeout) == f"{LOCK_TIMEOUT_S}s"
    with pytest.raises(OperationalError):
        await database.run(failing)
    assert await asyncio.get_running_loop().run_in_executor(database._threads, lock_timeout) == "0"


def test_a_database_that_answers_is_always_asked() -> None:
    outage = Outage()
    for now in range(5):
        outage.check(now)
        outage.note(is_away=False, now=now)


def test_a_database_that_did_not_answer_is_left_alone_for_a_while() -> None:
    outage = Outage()
    outage.note(is_away=True, now=10)
    with pytest.raises(Away):
        outage.check(10 + RETRY_AFTER_S - 0.1)
    outage.check(10 + RETRY_AFTER_S)


def test_what_another_found_out_no_request_waits_to_learn() -> None:
    outage = Outage()
    with pytest.raises(Away):
        outage.check(10, is_known=True)
    outage.check(10 + RETRY_AFTER_S, is_known=True)  # one asks for all
    outage.note(is_away=False, now=14)
    outage.check(15)


def test_one_asks_for_all_until_it_knows() -> None:
    outage = Outage()
    outage.note(is_away=True, now=0)
    outage.check(RETRY_AFTER_S)
    with pytest.raises(Away):
        outage.check(RETRY_AFTER_S + 1)
    outage.check(RETRY_AFTER_S + JOB_TIMEOUT_S)  # it never came back
    outage.note(is_away=False, now=RETRY_AFTER_S + JOB_TIMEOUT_S + 1)
    outage.check(RETRY_AFTER_S + JOB_TIMEOUT_S + 1)
