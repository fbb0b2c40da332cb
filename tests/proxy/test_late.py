from __future__ import annotations

import pytest
from django.db import DatabaseError

from proxy.conversations import Conversations
from proxy.decisions import Batch, Decided, Memory
from proxy.late import Late, Moment
from proxy.stores import DatabaseStore
from tests.proxy import sessions
from tests.proxy.conversing import NOON_S, planned
from tests.proxy.requests import make_decided, make_result
from tests.proxy.sessions import log, module, read, run


class Cut(DatabaseStore):
    """A database that is away when a test says so."""

    is_away = False

    async def load(self, keys: list[str]) -> dict[str, Decided]:
        if self.is_away:
            raise DatabaseError("as when it is away")
        return await super().load(keys)


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("dialect", ["anthropic", "openai"])
async def test_what_another_worker_decided_is_decided_again_while_the_database_is_away(dialect: str) -> None:
    text = module("alpha")
    steps = [read("a.py", text), run("make", log(1)), run("make", log(1)), read("b.py", text), run("ls", log(2, 12))]
    bodies = sessions.bodies(steps, dialect, task="Make it faster.")
    one, other = Conversations(DatabaseStore()), Conversations(cut := Cut())
    for turn, body in enumerate(bodies):
        plan = await planned(one, body, dialect, at_s=NOON_S + 10 * turn)
    cut.is_away = True
    again = await planned(other, bodies[-1], dialect, at_s=NOON_S + 50)
    assert len(plan.replacements) > 3
    assert again.replacements == plan.replacements


def test_others_that_stored_their_decision_first_are_right() -> None:
    memory, first = Memory(), make_decided("of another worker")
    stored: list[Batch] = []

    def store(batch: Batch) -> dict[str, Decided]:
        if not stored:
            stored.append(batch)
            raise DatabaseError("still away")
        stored.append(batch)
        return {"k": first}

    late = Late(memory, store)
    late.add(Batch("local", {"k": make_decided("of this one")}, {"k": make_result("whole")}))
    for _ in range(3):
        late.save()
    assert len(stored) == 2, "it is kept until it is stored"
    assert memory.find("k") == {"k": first}


@pytest.mark.parametrize(
    ("away_since_s", "were_away"), [(None, "no no"), (5.0, "yes yes"), (25.0, "no yes"), (39.0, "no no")]
)
def test_turns_take_about_the_same_time_each(away_since_s: float | None, were_away: str) -> None:
    moment = Moment(at_s=40.0, seen_at_s=10.0, away_since_s=away_since_s)
    assert " ".join("yes" if moment.was_away(age, 2) else "no" for age in (2, 1)) == were_away
