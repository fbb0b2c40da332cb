"""Whole sessions: what is sent extends what was sent, on every worker."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import orjson
import pytest

from headroom import pipeline
from headroom.values import Policy
from proxy import database
from proxy.conversations import Conversations
from proxy.decisions import Decided
from proxy.models import FormUse, Original
from proxy.stores import DatabaseStore, NoStore, ObservedStore, Saved
from tests.proxy import sessions
from tests.proxy.conversing import assert_extends, planned, played
from tests.proxy.sessions import log, long_session, module, read, run


@pytest.mark.parametrize("dialect", ["anthropic", "openai"])
async def test_what_is_sent_extends_what_was_sent_but_for_epochs(dialect: str) -> None:
    bodies = sessions.bodies(long_session(), dialect)
    plans = await played(Conversations(NoStore()), long_session(), dialect)
    sent = [sessions.sent(body, plan, dialect) for body, plan in zip(bodies, plans, strict=True)]
    for before, after, plan in zip(sent, sent[1:], plans[1:], strict=False):
        if not plan.epoch:
            assert_extends(before, after)
    epochs = [turn for turn, plan in enumerate(plans) if plan.epoch]
    assert epochs, "nothing ever got old"
    assert all(sent[turn][: len(sent[turn - 1])] != sent[turn - 1] for turn in epochs)
    assert plans[-1].tokens_after < 0.6 * plans[-1].tokens_before


@pytest.mark.parametrize("dialect", ["anthropic", "openai"])
async def test_another_worker_with_another_policy_sends_the_same_bytes(store: DatabaseStore, dialect: str) -> None:
    bodies = sessions.bodies(long_session(24), dialect)
    workers = [Conversations(store) for _ in range(2)]
    deployed = Policy(retrieval="ask for {hash}", min_tokens=10**6)
    before: list[Any] = []
    for turn, body in enumerate(bodies):
        if turn == 18:
            workers[1] = Conversations(store)  # a restart
        plan = await planned(workers[turn % 2], body, dialect, policy=deployed if turn > 12 else None)
        sent = sessions.sent(body, plan, dialect)
        if not plan.epoch:
            assert_extends(before, sent)
        again = await planned(workers[1 - turn % 2], body, dialect, policy=deployed)
        assert sessions.sent(body, again, dialect) == sent
        before = sent


class Counted(DatabaseStore):
    """A store that counts how often the road waits for it."""

    def __init__(self) -> None:
        self.loads = self.saves = 0

    async def load(self, keys: list[str]) -> dict[str, Decided]:
        self.loads += 1
        return await super().load(keys)

    async def save_new(self, *args: Any, **options: Any) -> Saved:
        self.saves += 1
        return await super().save_new(*args, **options)


@pytest.mark.usefixtures("store")
async def test_a_turn_waits_for_the_store_once() -> None:
    counted = Counted()
    await played(Conversations(counted), [run(f"make {n}", log(n)) for n in range(5)], mode="cache")
    assert (counted.loads, counted.saves) == (0, 5)


async def test_what_is_new_is_decided_in_view_of_what_another_worker_decided(store: DatabaseStore) -> None:
    alone, both = sessions.bodies([run("make 1", log(1)), run("make 2", log(1))], "openai")[1:]
    (form,) = (await planned(Conversations(store), alone)).replacements.values()
    document = orjson.loads(both)
    task, one, one_result, other, other_result = document["messages"]
    calls = {**one, "tool_calls": [*one["tool_calls"], *other["tool_calls"]]}
    at_once = orjson.dumps({**document, "messages": [task, calls, one_result, other_result]})
    plan = await planned(Conversations(store), at_once, policy=Policy(retrieval="ask for {hash}", min_tokens=10**6))
    assert [*plan.replacements.values()] == [form, "[Exactly as in the output of `make 1`]"]


async def test_the_first_marker_says_how_originals_can_be_had() -> None:
    steps = [run(f"make {n}", log(n)) for n in range(1, 5)]
    plan = (await played(Conversations(NoStore()), steps, mode="cache"))[-1]
    first, *others = plan.replacements.values()
    assert "intact; original kept as" in first
    assert all(pipeline.is_shrunk(form) and not pipeline.tells_way_back(form) for form in others)


async def test_histories_may_shrink_fork_repeat_and_lose_results() -> None:
    road, steps = Conversations(NoStore()), long_session(16)
    await played(road, steps)
    odd = [
        sessions.bodies(steps[:5], "openai")[-1],  # shrunk
        sessions.bodies([*steps[:9], run("make other", log(77))], "openai")[-1],  # forked
        sessions.bodies(steps, "openai")[-1].replace(b'"t3"', b'"t2"'),  # an id twice
        sessions.bodies(steps, "openai")[-1].replace(b'"tool"', b'"user"', 2),  # results gone
        sessions.bodies([*steps[8:], *steps[:8]], "openai")[-1],  # another order
    ]
    for body in odd:
        first = await planned(road, body)
        again = await planned(road, body)
        assert sessions.sent(body, again, "openai") == sessions.sent(body, first, "openai")


@pytest.mark.parametrize("dialect", ["anthropic", "openai"])
async def test_a_prompt_does_not_shrink_below_what_providers_cache(dialect: str) -> None:
    tiny, small, large = (
        sessions.bodies([run("make", log(1, lines=lines))], dialect, task=task)[-1]
        for lines, task in ((25, "Why?"), (25, "Why? " * 520), (400, "Why?"))
    )
    far, left, shortened = [await planned(Conversations(NoStore()), body, dialect) for body in (tiny, small, large)]
    assert far.replacements, "who knows whether it ever grows so long"
    assert (left.replacements, left.reason) == ({}, "small_prompt")
    assert shortened.replacements, "so much less is worth more than the discount on the rest"
    unmarked = small.replace(b',"cache_control":{"type":"ephemeral"}', b"")
    if dialect == "anthropic":
        assert (await planned(Conversations(NoStore()), unmarked, dialect)).replacements


@pytest.mark.parametrize("dialect", ["anthropic", "openai"])
async def test_a_reference_does_not_take_a_prompt_below_what_providers_cache(dialect: str) -> None:
    text = "\n".join(sha256(b"%d" % n).hexdigest()[: 12 + n % 29] for n in range(30))
    plans = []
    for length in range(300, 600, 10):
        road = Conversations(NoStore())
        for body in sessions.bodies([run("make key", text)] * 2, dialect, task="Why? " * length):
            plan = await planned(road, body, dialect, mode="cache")
        plans.append(plan)
    shortened = [plan for plan in plans if plan.replacements]
    assert 0 < len(shortened) < len(plans) and all([*plan.replacements.values()] == [AGAIN] for plan in shortened)
    assert min(plan.tokens_after for plan in shortened) > 1_100


AGAIN = "[Exactly as last time]"


@pytest.mark.parametrize("dialect", ["anthropic", "openai"])
async def test_dense_output_does_not_make_a_long_prompt_look_short(dialect: str) -> None:
    def requests(name: str) -> str:
        return "\n".join(
            f"2026-03-0{n % 9 + 1} 10:{n // 60:02}:{n % 60:02},{n * 7919 % 997:03} INFO {name} [{n * 271 % 9973}] "
            f"10.{n % 7}.{n * 31 % 251}.{n * 17 % 241} {n * 37 % 901} ms"
            for n in range(200)
        )

    numbered = "\n".join(f"{n}\t{line}" for n, line in enumerate(module("alpha").splitlines(), 1))
    steps = [*(run(f"tail {name}.log", requests(name)) for name in "abcdef"), read("src/alpha.py", numbered)]
    body = sessions.bodies(steps, dialect, task="Why?")[-1]
    road = Conversations(NoStore())
    await played(road, steps[:-1], dialect, mode="cache")
    plan = await planned(road, body, dialect, mode="cache")
    assert plan.tokens_after > 3_000, "far above what providers cache"
    assert any("line_numbers" in label for label in plan.transforms), plan.transforms


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("dialect", ["anthropic", "openai"])
async def test_an_observer_counts_what_the_real_thing_would_have_sent(store: DatabaseStore, dialect: str) -> None:
    again = [run("make again", log(20)), run("make again", f"{log(20)}\nall done")]
    steps = [*long_session(), *again]
    real = await played(Conversations(NoStore()), steps, dialect)
    observed = await played(Conversations(ObservedStore()), steps, dialect)
    assert "near_duplicate" in real[-1].transforms or "duplicate" in real[-1].transforms
    assert [plan.tokens_after for plan in observed] == [plan.tokens_after for plan in real]
    assert await database.run(Original.objects.count) == 0, "nothing went out that would have to be had back"


async def test_a_conversation_keeps_the_policy_version_that_it_began_with() -> None:
    bodies = sessions.bodies([run("make one", log(1)), run("make two", log(2))], "openai")
    road = Conversations(NoStore())
    first, second = [(await planned(road, body)).replacements for body in bodies[1:]]
    (label,) = (await planned(Conversations(NoStore()), bodies[1])).transforms
    newer = Policy(version=2, unwanted_forms=frozenset({("Bash", label, "balanced")}))
    other = Conversations(NoStore())
    assert (await planned(other, bodies[1])).replacements == first
    plan = await planned(other, bodies[2], policy=newer)
    assert plan.replacements == second and plan.policy_version == 1
    begun = await planned(Conversations(NoStore()), bodies[1], policy=newer)
    assert begun.replacements != first and begun.policy_version == 2


async def test_a_file_that_is_read_again_is_noted_with_the_form_it_had(store: DatabaseStore) -> None:
    steps = [*long_session(16), read("src/beta.py", module("beta"))]
    steps.insert(2, read("src/alpha.py", module("alpha")))
    await played(Conversations(store), steps)
    again = FormUse.objects.filter(was_reread=True).order_by("created_at").values_list("tool", "level", "is_file")
    noted = await database.run(list, again)
    assert {(tool, is_file) for tool, _, is_file in noted} == {("Read", True)}
    assert (noted[0][1], noted[-1][1]) == ("whole", "deep"), "as it came, and as old news"
