"""Whole sessions: what is sent extends what was sent, repeats are named, and old news is shortened when that pays."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import orjson
import pytest
from django.db import connections

from headroom import pipeline
from headroom.values import Policy, Shrunk, ToolCall
from proxy import database, standings
from proxy.conversations import Conversations
from proxy.decisions import Decided
from proxy.epochs import Billing
from proxy.models import Decision, EpochRecord, FormUse, Original
from proxy.offload import Offload
from proxy.stores import DatabaseStore, NoStore, ObservedStore
from proxy.values import Plan
from tests.proxy import sessions
from tests.proxy.sessions import Step, edit, log, long_session, module, read, run

BILLINGS = {"anthropic": Billing(0.1, 1.25, finds_any_prefix=False), "openai": Billing(0.5, 1.0, finds_any_prefix=True)}
NOON_S = 1_772_000_000.0


@pytest.fixture
def store(road_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[DatabaseStore]:
    """The store of several workers, on a database of this test."""
    with ThreadPoolExecutor(1) as thread:  # one that has not been connected to the database of another test
        monkeypatch.setattr(database, "_outage", database.Outage())
        monkeypatch.setattr(database, "_threads", thread)
        yield DatabaseStore()
        thread.submit(connections.close_all).result()


async def planned(
    road: Conversations,
    body: bytes,
    dialect: str = "openai",
    *,
    policy: Policy | None = None,
    at_s: float = NOON_S,
    mode: str = "token",
) -> Plan:
    return await road.plan(
        replace(sessions.call(body, dialect), conversation="its name"),
        sessions.PROVIDERS[dialect],
        owner="local",
        policy=policy or Policy(),
        billing=BILLINGS[dialect] if mode == "token" else None,
        at_s=at_s,
    )


async def played(road: Conversations, steps: list[Step], dialect: str = "openai", **options: Any) -> list[Plan]:
    """The plans of all turns, ten seconds apart."""
    bodies = sessions.bodies(steps, dialect)
    return [await planned(road, body, dialect, at_s=NOON_S + 10 * turn, **options) for turn, body in enumerate(bodies)]


def assert_extends(before: list[Any], after: list[Any]) -> None:
    assert after[: len(before)] == before


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


@pytest.mark.parametrize("dialect", ["anthropic", "openai"])
async def test_what_is_very_old_is_buried_and_stays_so_on_every_worker(store: DatabaseStore, dialect: str) -> None:
    bodies = sessions.bodies(long_session(60), dialect)
    workers = [Conversations(store) for _ in range(2)]
    before: list[Any] = []
    for turn, body in enumerate(bodies):
        if turn == 50:
            workers[1] = Conversations(store)  # a restart
        at_s = NOON_S + 10 * turn + (900 if turn > 40 else 0)
        plan = await planned(workers[turn // 2 % 2], body, dialect, at_s=at_s)
        sent = sessions.sent(body, plan, dialect)
        if not plan.epoch:
            assert_extends(before, sent)
        before = sent
    records = await database.run(lambda: list(EpochRecord.objects.order_by("turn")))
    assert not records[0].buried
    buried = set(records[-1].buried.split())
    assert set(records[0].deepened.split()) < buried, "what was deepened first is buried later"
    shown = [form.rpartition("\n[headroom left out ") for form in plan.replacements.values()]
    stubs = [kept for kept, _, way_back in shown if "characters; kept as " in way_back]
    assert len(stubs) >= len(buried) - 1
    assert all(len(kept) <= 80 and "\n" not in kept for kept in stubs)


class Counted(DatabaseStore):
    """A store that counts how often the road waits for it."""

    def __init__(self) -> None:
        self.loads = self.saves = 0

    async def load(self, keys: list[str]) -> dict[str, Decided]:
        self.loads += 1
        return await super().load(keys)

    async def save_new(self, *args: Any, **options: Any) -> dict[str, Decided]:
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
    assert [*plan.replacements.values()] == [form, "[Exactly as in the output of `make 1` above]"]


class Timed(Offload):
    """Counts what is shortened while a request waits."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_for = 0

    async def shrink(self, text: str, call: ToolCall, policy: Policy) -> Shrunk:
        self.waited_for += 1
        return await super().shrink(text, call, policy)


@pytest.mark.parametrize("dialect", ["anthropic", "openai"])
async def test_what_is_measured_ahead_is_not_waited_for_and_changes_nothing(dialect: str) -> None:
    expected = await played(Conversations(NoStore()), long_session(), dialect)
    offload = Timed()
    road, measured = Conversations(NoStore(), offload), 0
    for turn, body in enumerate(sessions.bodies(long_session(), dialect)):
        before = offload.waited_for
        plan = await planned(road, body, dialect, at_s=NOON_S + 10 * turn)
        assert plan == expected[turn]
        if not plan.epoch:
            assert offload.waited_for - before <= 1, "the new result alone"
        before = offload.waited_for
        await road.aging.look_ahead()
        measured += offload.waited_for - before
    assert measured > 20
    await planned(road, body, dialect)
    assert not road.aging._asked, "a request that comes again has been looked at"


async def test_the_one_marker_that_says_how_originals_can_be_had_still_does_when_it_is_buried() -> None:
    steps = [*(read(f"src/{name}.py", module(name)) for name in ("alpha", "beta")), *[run("make", "done")] * 50]
    road = Conversations(NoStore())
    told: list[int] = []
    for turn, body in enumerate(sessions.bodies(steps, "anthropic")):
        pause_s = 900 * (turn > 12) + 900 * (turn > 45)
        plan = await planned(road, body, "anthropic", at_s=NOON_S + 10 * turn + pause_s)
        told.append(sum("; original kept as " in form for form in plan.replacements.values()))
    assert plan.epoch == "" and all("characters; " in form for form in plan.replacements.values()), "all is buried"
    assert told[-1] == 1 and max(told) == 1


async def test_what_came_of_an_epoch_is_written_down(store: DatabaseStore) -> None:
    road, bodies = Conversations(store), sessions.bodies(long_session(24), "openai")
    plans = [await planned(road, body) for body in bodies]
    await database.run(standings.note_progress, road.aging.take_progress())
    first = await database.run(EpochRecord.objects.order_by("turn").first)
    assert first is not None
    assert first.turn == next(turn for turn, plan in enumerate(plans) if plan.epoch)
    assert (first.last_turn, first.read_share) == (len(bodies) - 1, 0.5)
    assert first.realised_gain > first.predicted_cost
    names = await database.run(lambda: {*Decision.objects.values_list("conversation", flat=True)})
    assert names == {first.conversation} == {"its name"}
    assert road.aging.take_progress() == {}


async def test_a_file_that_is_read_again_is_named_instead_of_sent() -> None:
    steps = [read("src/alpha.py", module("alpha")), run("make", log(1, 3)), read("src/alpha.py", module("alpha"))]
    plan = (await played(Conversations(NoStore()), steps, mode="cache"))[-1]
    (form,) = plan.replacements.values()
    assert form.startswith("[Exactly as in the Read of alpha.py above]")


async def test_short_output_that_comes_again_is_named_as_well() -> None:
    text = log(7, 12)
    assert 400 < len(text) < 600
    plan = (await played(Conversations(NoStore()), [run("make", text), run("make", text)], mode="cache"))[-1]
    *_, form = plan.replacements.values()
    assert form == "[Exactly as in the output of `make` above]"


async def test_a_file_that_was_changed_in_between_shows_what_changed() -> None:
    before = module("alpha")
    after = before.replace("total > 140", "total > 141")
    steps = [read("src/alpha.py", before), edit("src/alpha.py"), read("src/alpha.py", after)]
    plan = (await played(Conversations(NoStore()), steps, mode="cache"))[-1]
    (form,) = plan.replacements.values()
    assert "total > 141" in form
    assert len(form) < len(after) / 5


async def test_the_first_marker_says_how_originals_can_be_had() -> None:
    steps = [run(f"make {n}", log(n)) for n in range(1, 5)]
    plan = (await played(Conversations(NoStore()), steps, mode="cache"))[-1]
    first, *others = plan.replacements.values()
    assert "intact; original kept as" in first
    assert all(pipeline.is_shrunk(form) and not pipeline.tells_way_back(form) for form in others)


@pytest.mark.parametrize("dialect", ["anthropic", "openai"])
async def test_some_marker_says_so_whatever_gets_old(dialect: str) -> None:
    bodies = sessions.bodies(long_session(40), dialect)
    for body, plan in zip(bodies, await played(Conversations(NoStore()), long_session(40), dialect), strict=True):
        sent = [*plan.replacements.values()]
        assert any(map(pipeline.tells_way_back, sent)) or not any(map(pipeline.is_shrunk, sent)), len(body)


async def test_notes_below_every_output_are_sent_once() -> None:
    notes = "\n(Open file: /srv/app/settings/production.py)\n(Current directory: /srv/app)\nbash-$"
    steps = [
        run("make one", "all 12 targets of it are up to date by now" + notes),
        run("make two", "there is nothing to be done for the target two today" + notes),
    ]
    plan = (await played(Conversations(NoStore()), steps, mode="cache"))[-1]
    (form,) = plan.replacements.values()
    assert form == "there is nothing to be done for the target two today\n[last 3 lines as in the output of `make one`]"


async def test_what_the_model_wrote_itself_is_named_when_it_looks_at_it() -> None:
    text = module("alpha", 8).strip()
    write: Step = ("Write", {"file_path": "src/alpha.py", "content": text}, "File created.")
    steps = [write, run("make", log(1, 3)), run("cat src/alpha.py && make", f"{text}\nmade it"), run("make", log(2, 3))]
    road, bodies = Conversations(NoStore()), sessions.bodies(steps, "openai")
    for body in bodies:
        plan = await planned(road, body, mode="cache")
    lines = text.count("\n") + 1
    assert f"[{lines} lines as in content of the Write of alpha.py]\nmade it" in plan.replacements.values()
    compacted = sessions.bodies(steps[1:], "openai")[-1].replace(b'"t2"', b'"t3"').replace(b'"t1"', b'"t2"')
    alone = await planned(road, compacted, mode="cache")
    assert text in str(sessions.sent(compacted, alone, "openai")[4]["content"])


async def test_lines_below_something_else_that_is_said_once_are_not_the_same() -> None:
    def logged(day: int) -> str:
        words = ["north", "south", "paid", "late", "small", "green", "open", "first", "again", "early", "whole"]
        said = [" ".join(words[n * k % 11] for k in range(2 + n % 7)) for n in range(200)]
        return "\n".join(
            f"2026-03-{day:02} 12:{n // 60:02}:{n % 60:02} INFO [main] - {text}" for n, text in enumerate(said)
        )

    steps = [run("tail one.log", logged(1)), run("tail two.log", logged(2))]
    plan = (await played(Conversations(NoStore()), steps, mode="cache", policy=Policy(level="lossless")))[-1]
    first, second = plan.replacements.values()
    assert first.split("\n")[1:] == second.split("\n")[1:]
    assert second.startswith("[Lines like “2026-03-02 * INFO [main] - *”")


async def test_a_diff_names_what_the_model_wrote_into_a_new_file() -> None:
    text = module("alpha", 8).strip()
    added = "".join(f"+{line}\n" for line in text.split("\n"))
    head = "diff --git a/src/alpha.py b/src/alpha.py\nnew file mode 100644\nindex 000000..3232\n--- /dev/null\n+++ b/src/alpha.py\n"
    lines = text.count("\n") + 1
    write: Step = ("Write", {"file_path": "src/alpha.py", "content": text}, "File created.")
    steps = [write, run("make", log(1, 3)), run("git diff HEAD", f"{head}@@ -0,0 +1,{lines} @@\n{added}")]
    plan = (await played(Conversations(NoStore()), steps, mode="cache"))[-1]
    form = list(plan.replacements.values())[-1]
    assert f"@@ -0,0 +1,{lines} @@\n[{lines} added lines as in content of the Write of alpha.py]" in form


async def test_lines_are_only_named_where_they_stand_as_they_came() -> None:
    listing = "\n".join(f"-rw-r--r-- 1 root root 4096 Apr 30 08:32 module_{n}.py" for n in range(40))
    steps = [
        run("ls -l", f"total 300\n{listing}"),
        run("ls -l src", f"total 304\n{listing}\n-rw-r--r-- 1 root root 7 Apr 30 08:33 b.py"),
    ]
    first, second = (await played(Conversations(NoStore()), steps, mode="cache"))[-1].replacements.values()
    if "unchanged" in second:
        named = max(int(n) for n in re.findall(r"-(\d+) unchanged", second))
        assert named <= first.count("\n") + 1


async def test_of_an_old_file_less_is_left_than_of_old_output() -> None:
    text = module("alpha", 80)
    steps = [read("src/alpha.py", text), run("make list", text), *[run("make", log(n, 3)) for n in range(9)]]
    steps[1] = run("make list", text.replace("alpha", "omega"))
    bodies = sessions.bodies(steps, "anthropic")
    road = Conversations(NoStore())
    for turn, body in enumerate(bodies[:-1]):
        await planned(road, body, "anthropic", at_s=NOON_S + turn)
    late = await planned(road, bodies[-1], "anthropic", at_s=NOON_S + 900)
    file, output = [form for form in late.replacements.values() if pipeline.is_shrunk(form)][:2]
    assert "alpha" in file and "omega" in output
    assert len(file) < 0.04 * len(text) < 0.07 * len(text) < len(output) < 0.1 * len(text)


async def test_old_news_goes_though_a_younger_result_refers_to_it() -> None:
    text = module("alpha")
    part = "\n".join(text.split("\n")[10:25])
    waits = [run("make", log(n, 3)) for n in range(9)]
    steps: list[Step] = [read("src/alpha.py", text), *waits, ("get_part", {"id": 7}, part), run("make", "done")]
    road, bodies = Conversations(NoStore()), sessions.bodies(steps, "anthropic")
    plans = [await planned(road, body, "anthropic", at_s=NOON_S + turn) for turn, body in enumerate(bodies[:-1])]
    assert "As in the Read of alpha.py above, with" in str(sessions.sent(bodies[-2], plans[-1], "anthropic"))
    late = await planned(road, bodies[-1], "anthropic", at_s=NOON_S + 900)
    shown = str(sessions.sent(bodies[-1], late, "anthropic"))
    assert late.epoch == "cold"
    assert "total > 140" not in shown and "As in the Read of alpha.py above, with" not in shown
    assert "total > 28" in shown, "the younger one speaks for itself now"


def checked(*failing: str) -> str:
    """What a test run prints of which these tests failed."""
    passed = [f"tests/test_all.py::test_number_{n} PASSED" for n in range(90)]
    failed = [
        f"____ {name} ____\n    def {name}():\n>       assert sums({name!r}) == 1\nE       assert 2 == 1\n\ntests/test_all.py:7: AssertionError"
        for name in failing
    ]
    counts = f"==== {len(failing)} failed, {len(passed)} passed in 1.0s ===="
    return "\n".join(["==== test session starts ====", *passed, "==== FAILURES ====", *failed, counts])


async def test_of_a_test_run_that_comes_again_what_changed_is_shown() -> None:
    names = [f"test_of_{n}" for n in range(8)]
    steps = [run("pytest -v", checked(*names)), edit("src/alpha.py"), run("pytest -v", checked(*names[:6], "test_new"))]
    road = Conversations(NoStore())
    plan = (await played(road, steps, mode="cache"))[-1]
    first, again = plan.replacements.values()
    assert again.startswith("[As in the output of `pytest -v` above, with changes]")
    assert "sums('test_new')" in again
    assert len(again) < len(first) / 2
    assert pipeline.is_shrunk(again)
    moved = sessions.bodies(steps[1:], "openai")[-1].replace(b'"t1"', b'"t2"').replace(b'"t0"', b'"t1"')
    alone = sessions.sent(moved, await planned(road, moved, mode="cache"), "openai")[-1]["content"]
    assert "sums('test_of_0')" in alone
    assert pipeline.is_shrunk(alone)


async def test_a_copy_is_shown_in_full_once_the_earlier_one_is_out_of_view() -> None:
    road, text = Conversations(NoStore()), module("alpha")
    steps = [read("src/alpha.py", text), run("make", log(1, 3)), read("src/alpha.py", text), run("make", log(2, 3))]
    await played(road, steps, mode="cache")
    compacted = steps[2:]
    body = sessions.bodies(compacted, "openai")[-1].replace(b'"t0"', b'"t2"').replace(b'"t1"', b'"t3"')
    plan = await planned(road, body, mode="cache")
    assert sessions.sent(body, plan, "openai")[2]["content"] == text


@pytest.mark.parametrize("mode", ["token", "cache"])
async def test_nothing_points_at_what_is_not_shown_in_full(mode: str) -> None:
    steps = long_session(40)
    road = Conversations(NoStore())
    for turn, body in enumerate(sessions.bodies(steps, "openai")):
        plan = await planned(road, body, at_s=NOON_S + 10 * turn, mode=mode)
        shown = [m["content"] for m in sessions.sent(body, plan, "openai") if m["role"] == "tool"]
        for text in shown:
            assert "As in the Read of alpha.py above" not in text or module("alpha") in shown
            assert "Exactly as in the Read of alpha.py above" not in text or module("alpha") in shown


async def test_a_pause_longer_than_the_cache_lives_is_the_moment_to_shorten() -> None:
    road = Conversations(NoStore())
    steps = [read(f"src/m{n}.py", module(f"m{n}", 20)) for n in range(9)]
    bodies = sessions.bodies(steps, "anthropic")
    for turn, body in enumerate(bodies[:-1]):
        assert not (await planned(road, body, "anthropic", at_s=NOON_S + turn)).epoch
    assert (await planned(road, bodies[-1], "anthropic", at_s=NOON_S + 900)).epoch == "cold"


async def test_a_clock_that_jumps_back_changes_nothing() -> None:
    road, bodies = Conversations(NoStore()), sessions.bodies(long_session(12), "anthropic")
    before: list[Any] = []
    for turn, body in enumerate(bodies):
        plan = await planned(road, body, "anthropic", at_s=NOON_S - 3600 * turn)
        sent = sessions.sent(body, plan, "anthropic")
        assert plan.epoch or sent[: len(before)] == before
        before = sent


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
    steps = [run("make", log(1, lines=40))]
    small = sessions.bodies(steps, dialect, task="Why?")[-1]
    large = sessions.bodies([run("make", log(1, lines=400))], dialect, task="Why?")[-1]
    left, shortened = [await planned(Conversations(NoStore()), body, dialect) for body in (small, large)]
    assert (left.replacements, left.reason) == ({}, "small_prompt")
    assert shortened.replacements, "so much less is worth more than the discount on the rest"
    unmarked = small.replace(b',"cache_control":{"type":"ephemeral"}', b"")
    if dialect == "anthropic":
        assert (await planned(Conversations(NoStore()), unmarked, dialect)).replacements


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


async def test_a_reference_that_was_unwanted_is_not_made() -> None:
    text = module("alpha")
    body = sessions.bodies([read("src/alpha.py", text), read("src/alpha.py", text)], "openai")[-1]
    first = sessions.bodies([read("src/alpha.py", text)], "openai")[-1]
    road = Conversations(NoStore())
    await planned(road, first, mode="cache")
    usual = await planned(road, body, mode="cache")
    (label,) = usual.transforms
    unwanted = Policy(unwanted_forms=frozenset({("Read", label, "lossless")}))
    road = Conversations(NoStore())
    await planned(road, first, mode="cache", policy=unwanted)
    assert not (await planned(road, body, mode="cache", policy=unwanted)).replacements
