from __future__ import annotations

import asyncio
from collections.abc import Iterator
from threading import Event

import pytest

from proxy import database
from proxy.conversations import Conversations
from proxy.models import Decision
from proxy.stores import SoleStore
from tests.proxy import sessions
from tests.proxy.conversing import planned
from tests.proxy.sessions import log, run

SHORT = run("make", "Nothing to be done for the target that was named, as it is newer than all that it is made of.")


@pytest.fixture
def busy_database(store: object) -> Iterator[Event]:
    """A database that does nothing until the event is set."""
    is_free = Event()
    database._threads.submit(is_free.wait)
    yield is_free
    is_free.set()


async def test_nobody_waits_for_a_decision_to_be_stored_that_leaves_nothing_out(busy_database: Event) -> None:
    road = Conversations(SoleStore())
    body = sessions.bodies([SHORT], "openai")[-1]
    plan = await planned(road, body, mode="cache")
    busy_database.set()
    await road.close()
    stored = await database.run(lambda: Decision.objects.get().tokens_after)
    assert plan.sizes and stored == next(iter(plan.sizes.values()))[1]


async def test_what_leaves_something_out_is_stored_before_it_is_sent(busy_database: Event) -> None:
    road = Conversations(SoleStore())
    body = sessions.bodies([run("make", log(1))], "openai")[-1]
    planning = asyncio.create_task(planned(road, body, mode="cache"))
    assert not (await asyncio.wait({planning}, timeout=0.5))[0]
    busy_database.set()
    plan = await planning
    assert plan.replacements
    assert await database.run(lambda: Decision.objects.get().original_hash)


async def test_a_database_that_is_away_costs_a_memory_and_no_time(
    store: object, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    road = Conversations(SoleStore())
    body = sessions.bodies([SHORT], "openai")[-1]
    away = database.Outage()
    away.note(is_away=True, now=1e12)
    monkeypatch.setattr(database, "_outage", away)
    first = await planned(road, body, mode="cache")
    await road.close()
    assert "only remembered" in caplog.text
    assert await planned(road, body, mode="cache") == first
