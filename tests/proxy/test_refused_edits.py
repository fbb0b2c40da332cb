from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from proxy import database
from proxy.models import RefusedEdit
from proxy.refused_edits import MAX_REFUSED, RefusedEdits
from proxy.upstream import Answer
from proxy.values import Call

RESPONSE: Any = SimpleNamespace()
TAKEN = Answer(200, [], RESPONSE)


def call(length: int, name: str = "message") -> Call:
    """A request of one conversation with so many messages."""
    messages: list[Any] = [{"role": "user", "content": f"{name} {n}"} for n in range(length)]
    return Call(b"", {"messages": messages}, "gpt-4o", turns=length, conversation="one")


async def refreshed(known: RefusedEdits | None = None) -> RefusedEdits:
    """A worker that has just looked at what others noted, a new one if it is none of those."""
    known = known or RefusedEdits()
    await database.run(known.refresh)
    return known


@pytest.mark.usefixtures("store")
async def test_one_refusal_is_a_coincidence_and_two_in_a_row_are_none() -> None:
    here = RefusedEdits()
    await here.note(call(3), "local", TAKEN)
    there = await refreshed()
    assert not here.has(call(4), "local") and not there.has(call(4), "local")
    await there.note(call(5), "local", TAKEN)
    for worker in (there, await refreshed(here), await refreshed()):
        assert worker.has(call(6), "local")
        assert not worker.has(call(6, "another"), "local") and not worker.has(call(6), "team:1")


@pytest.mark.usefixtures("store")
async def test_what_is_taken_in_between_makes_the_next_refusal_the_first_one() -> None:
    here = RefusedEdits()
    for length in (3, 7, 11):
        await here.note(call(length), "local", TAKEN)
        await here.forget(call(length + 2), "local")
        for worker in (here, await refreshed()):
            assert not worker.has(call(length + 4), "local")
    assert await database.run(RefusedEdit.objects.count) == 0


@pytest.mark.usefixtures("store")
async def test_memory_and_table_agree_on_a_request_that_comes_again() -> None:
    here = RefusedEdits()
    for _ in range(2):
        await here.note(call(3), "local", TAKEN)
    assert not here.has(call(3), "local"), "it begins anew"
    for worker in (here, await refreshed()):
        assert worker.has(call(4), "local")
    await here.forget(call(3), "local")
    for worker in (here, await refreshed()):
        assert not worker.has(call(4), "local")


@pytest.mark.usefixtures("store")
async def test_the_database_is_not_asked_on_the_road(django_db_blocker: Any) -> None:
    here = RefusedEdits()
    for length in (3, 5):
        await here.note(call(length), "local", TAKEN)
    there = await refreshed()
    with django_db_blocker.block():
        assert there.has(call(9), "local")


@pytest.mark.usefixtures("store")
async def test_no_more_is_looked_for_than_what_was_refused_last() -> None:
    refused, last = RefusedEdits(), MAX_REFUSED + 9
    for length in range(1, last + 1):
        await refused.note(call(length), "local", TAKEN)
    assert await database.run(RefusedEdit.objects.count) == last
    for worker in (refused, await refreshed()):
        assert worker.has(call(last + 1), "local")
        (known,) = worker._known.values()
        assert sorted(length for length, _ in known) == [*range(last - MAX_REFUSED + 1, last + 1)]
