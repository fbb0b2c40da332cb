"""Old news is shortened when that pays, and stays so on every worker."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import orjson
import pytest
from django.db import DatabaseError, connections

from headroom import pipeline
from headroom.values import Policy, Shrunk, ToolCall
from proxy import database
from proxy.aging import standings
from proxy.aging.aging import Aging
from proxy.aging.pasts import Past
from proxy.aging.values import Look, unpacked
from proxy.conversations import Conversations
from proxy.decisions import key_of
from proxy.models import Decision, EpochRecord
from proxy.offload import Offload
from proxy.providers import anthropic
from proxy.stores import DatabaseStore, NoStore
from proxy.values import Call, Plan
from tests.proxy import sessions
from tests.proxy.conversing import BILLINGS, NOON_S, assert_extends, planned, played
from tests.proxy.sessions import TASK, Step, edit, log, long_session, module, read, run


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
            is_read_again = turn == 8
            assert offload.waited_for - before <= 1 + is_read_again, "the new result, and what it makes stale"
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
    with pytest.raises(DatabaseError), road.aging.progress():
        raise DatabaseError("as when it is away")
    with road.aging.progress() as progress:
        await database.run(standings.note_progress, progress)
    first = await database.run(EpochRecord.objects.order_by("turn").first)
    assert first is not None
    assert first.turn == next(turn for turn, plan in enumerate(plans) if plan.epoch)
    assert (first.last_turn, first.read_share) == (len(bodies) - 1, 0.5)
    assert first.realised_gain > first.predicted_cost
    names = await database.run(lambda: {*Decision.objects.values_list("conversation", flat=True)})
    assert names == {first.conversation} == {"its name"}
    with road.aging.progress() as progress:
        assert progress == {}


@pytest.mark.usefixtures("road_database")
def test_workers_that_write_of_the_same_conversations_do_not_wait_for_each_other() -> None:
    names = [f"chain {n}" for n in range(60)]
    rows = [
        EpochRecord(
            owner="local",
            chain=name,
            turn=9,
            last_turn=9,
            saved_tokens=0,
            predicted_cost=0,
            predicted_gain=0,
            created_at=datetime.now(UTC),
        )
        for name in names
    ]
    EpochRecord.objects.bulk_create(rows)
    orders = [names, names[::-1]]
    with ThreadPoolExecutor(2) as threads:
        for turn in range(100, 2500, 100):
            told = [{("local", name, 9): turn + k for k, name in enumerate(order)} for order in orders]
            for written in [threads.submit(standings.note_progress, progress) for progress in told]:
                written.result()
        for _ in orders:
            threads.submit(connections.close_all).result()
    reached = dict(EpochRecord.objects.values_list("chain", "last_turn"))
    assert reached == {name: turn + max(k, 59 - k) for k, name in enumerate(names)}


async def test_what_a_cold_cache_need_not_be_written_counts_at_once(store: DatabaseStore) -> None:
    road, bodies = (
        Conversations(store),
        sessions.bodies(
            [read("src/alpha.py", module("alpha")), *[run("make", log(n, 3)) for n in range(13)]], "anthropic"
        ),
    )
    for turn, body in enumerate(bodies[:-1]):
        await planned(road, body, "anthropic", at_s=NOON_S + turn)
    assert (await planned(road, bodies[-1], "anthropic", at_s=NOON_S + 900)).epoch == "cold"
    epoch = await database.run(EpochRecord.objects.filter(trigger="cold").get)
    assert epoch.last_turn == epoch.turn
    assert epoch.realised_gain == 1.25 * epoch.saved_tokens
    assert epoch.predicted_gain < epoch.realised_gain + 0.1 * epoch.saved_tokens * epoch.turn


@pytest.mark.parametrize("dialect", ["anthropic", "openai"])
async def test_some_marker_says_so_whatever_gets_old(dialect: str) -> None:
    bodies = sessions.bodies(long_session(40), dialect)
    for body, plan in zip(bodies, await played(Conversations(NoStore()), long_session(40), dialect), strict=True):
        sent = [*plan.replacements.values()]
        assert any(map(pipeline.tells_way_back, sent)) or not any(map(pipeline.is_shrunk, sent)), len(body)


async def test_of_an_old_file_less_is_left_than_of_old_output() -> None:
    text = module("alpha", 80)
    steps = [read("src/alpha.py", text), run("make list", text), *[run("make", log(n, 3)) for n in range(13)]]
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
    waits = [run("make", log(n, 3)) for n in range(13)]
    steps: list[Step] = [read("src/alpha.py", text), *waits, ("get_part", {"id": 7}, part), run("make", "done")]
    road, bodies = Conversations(NoStore()), sessions.bodies(steps, "anthropic")
    plans = [await planned(road, body, "anthropic", at_s=NOON_S + turn) for turn, body in enumerate(bodies[:-1])]
    assert "As in the Read of alpha.py, with" in str(sessions.sent(bodies[-2], plans[-1], "anthropic"))
    late = await planned(road, bodies[-1], "anthropic", at_s=NOON_S + 900)
    shown = str(sessions.sent(bodies[-1], late, "anthropic"))
    assert late.epoch == "cold"
    assert "total > 140" not in shown and "As in the Read of alpha.py, with" not in shown
    assert "total > 28" in shown, "the younger one speaks for itself now"


async def test_a_pause_longer_than_the_cache_lives_is_the_moment_to_shorten() -> None:
    road = Conversations(NoStore())
    steps = [read(f"src/m{n}.py", module(f"m{n}", 20)) for n in range(18)]
    bodies = sessions.bodies(steps, "anthropic")
    for turn, body in enumerate(bodies[:-1]):
        assert not (await planned(road, body, "anthropic", at_s=NOON_S + turn)).epoch
    assert (await planned(road, bodies[-1], "anthropic", at_s=NOON_S + 900)).epoch == "cold"


async def test_a_conversation_does_not_go_on_from_another_one_with_the_same_results(store: DatabaseStore) -> None:
    """As of a client that numbers its calls, and always begins by looking at the same files."""
    steps, road = long_session(24), Conversations(store)
    plans: list[list[Plan]] = []
    for task in ("Make it faster.", "Make it smaller."):
        bodies = sessions.bodies(steps, "openai", task=task)
        calls = [replace(sessions.call(body, "openai"), conversation=task) for body in bodies]
        plans.append([])
        for turn, call in enumerate(calls):
            plan = await road.plan(
                call,
                sessions.PROVIDERS["openai"],
                owner="local",
                policy=Policy(),
                billing=BILLINGS["openai"],
                at_s=NOON_S + 10 * turn,
            )
            plans[-1].append(plan)
    first = next(turn for turn, plan in enumerate(plans[0]) if plan.epoch)
    assert [plan.replacements for plan in plans[1][:first]] == [plan.replacements for plan in plans[0][:first]]
    assert [plan.epoch for plan in plans[1]][: first + 1] == [""] * first + ["size"]


async def test_who_goes_back_to_the_first_result_gets_it_as_it_went_out_last(store: DatabaseStore) -> None:
    """At a worker that never had that request, but what came after it."""
    bodies = sessions.bodies(long_session(24), "openai")
    first, other = Conversations(store), Conversations(store)
    for turn, body in enumerate(bodies):
        last = await planned(first if turn < 2 else other, body, at_s=NOON_S + 10 * turn)
    back = await planned(other, bodies[1], at_s=NOON_S + 300)
    path = next(iter(back.replacements))
    assert back.replacements[path] == last.replacements[path]


async def test_who_did_not_know_that_the_cache_was_cold_learns_what_began_then(store: DatabaseStore) -> None:
    """Two workers have the first request after the pause at once, and one of them does not know when the one before was."""
    files = [read(f"src/m{n}.py", module(f"m{n}", 20)) for n in range(16)]
    bodies = sessions.bodies([*files, run("make", "ok"), run("ls", "a.py")], "anthropic")  # too short to be stored
    knows, other = Conversations(store), Conversations(store)
    for turn, body in enumerate(bodies[:17]):
        await planned(knows, body, "anthropic", at_s=NOON_S + turn)
    asked = [(other, 17), (knows, 17), (other, 18), (other, 18)]
    sent, epochs = [], []
    for n, (worker, turn) in enumerate(asked):
        plan = await planned(worker, bodies[turn], "anthropic", at_s=NOON_S + 900 + n)
        sent.append(sessions.sent(bodies[turn], plan, "anthropic"))
        epochs.append(plan.epoch)
    assert epochs == ["", "cold", "", ""]
    assert_extends(sent[1], sent[2])
    assert sent[3] == sent[2]


def _as_older_workers_noted_them(call: Call) -> None:
    link = b"local"
    older = []
    for result in call.results:
        link = blake2b(link + key_of("local", result).encode(), digest_size=16).digest()
        older.append(link.hex())
    for epoch in EpochRecord.objects.all():
        epoch.chain = older[len(unpacked(bytes(epoch.results))) - 1]
        epoch.root, epoch.results, epoch.after = "", b"", 0
        epoch.save()


async def test_epochs_of_an_older_version_hold_after_a_deploy(store: DatabaseStore) -> None:
    bodies = sessions.bodies(long_session(24), "openai")
    before: list[Any] = []
    road = Conversations(store)
    for turn, body in enumerate(bodies):
        if turn == 12:
            await database.run(_as_older_workers_noted_them, sessions.call(body, "openai"))
            await database.run(Decision.objects.update, epoch=0)
            road = Conversations(store)
        plan = await planned(road, body, at_s=NOON_S + 10 * turn)
        sent = sessions.sent(body, plan, "openai")
        assert plan.epoch or sent[: len(before)] == before
        before = sent


async def test_a_copy_that_waited_while_an_epoch_began_goes_out_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    road, bodies = Conversations(NoStore()), sessions.bodies(long_session(), "openai")
    expected = await played(Conversations(NoStore()), long_session(), "openai")
    turn = next(turn for turn, plan in enumerate(expected) if plan.epoch)
    for earlier, body in enumerate(bodies[:turn]):
        await planned(road, body, "openai", at_s=NOON_S + 10 * earlier)
    began = asyncio.Event()

    async def late(look: Look) -> Past:
        past = await Aging.past(road.aging, look)
        await began.wait()
        return past

    with monkeypatch.context() as patched:
        patched.setattr(road.aging, "past", late)
        copy = asyncio.create_task(planned(road, bodies[turn], "openai", at_s=NOON_S + 10 * turn))
        await asyncio.sleep(0.1)
    first = await planned(road, bodies[turn], "openai", at_s=NOON_S + 10 * turn)
    began.set()
    assert first.epoch
    assert sessions.sent(bodies[turn], await copy, "openai") == sessions.sent(bodies[turn], first, "openai")


async def test_after_a_pause_two_workers_send_the_same_for_the_same_request(store: DatabaseStore) -> None:
    """The client tries again after the pause, and another worker gets it: the one that knows when the last request was."""
    bodies = sessions.bodies([read(f"src/m{n}.py", module(f"m{n}", 20)) for n in range(13)], "anthropic")
    knows, other = Conversations(store), Conversations(store)
    before: list[Any] = []
    late_s = NOON_S + 900
    for turn, worker, at_s in (
        *((turn, knows, NOON_S + turn) for turn in range(9)),
        *(
            (turn, worker, late_s + turn)
            for turn, worker in ((9, other), (9, knows), (10, other), (11, other), (12, knows))
        ),
    ):
        sent = sessions.sent(bodies[turn], await planned(worker, bodies[turn], "anthropic", at_s=at_s), "anthropic")
        assert_extends(before, sent)
        before = sent


async def test_a_clock_that_jumps_back_changes_nothing() -> None:
    road, bodies = Conversations(NoStore()), sessions.bodies(long_session(12), "anthropic")
    before: list[Any] = []
    for turn, body in enumerate(bodies):
        plan = await planned(road, body, "anthropic", at_s=NOON_S - 3600 * turn)
        sent = sessions.sent(body, plan, "anthropic")
        assert plan.epoch or sent[: len(before)] == before
        before = sent


async def test_our_mark_lives_as_long_as_the_clients_next_one() -> None:
    road = Conversations(NoStore())
    hour = {"type": "ephemeral", "ttl": "1h"}
    lives: list[list[str]] = []
    for turn, body in enumerate(sessions.bodies(long_session(), "anthropic")):
        document = orjson.loads(body)
        document["system"][-1]["cache_control"] = hour
        if turn > 20:
            document["messages"][39]["content"][-1]["cache_control"] = hour
        plan = await planned(road, orjson.dumps(document), "anthropic", at_s=NOON_S + 10 * turn)
        rendered = anthropic.render(anthropic.parse(orjson.dumps(document)), plan)
        lives += [anthropic.marks(anthropic.parse(rendered))] if plan.mark else []
    assert lives[-1] == ["1h", "1h", "1h", "5m"]
    assert all(found == sorted(found) for found in lives), "the provider refuses a longer life behind a shorter one"


async def test_an_epoch_lets_results_refer_to_what_stays_as_it_is() -> None:
    answer = "The file {} was written to the working tree, {} characters of it, and is saved."
    paths = [f"src/part_{n}.py" for n in range(4)]
    writes: list[Step] = [
        ("write_file", {"path": path, "content": path * 2}, answer.format(path, 28)) for path in paths
    ]
    steps = [read("src/alpha.py", module("alpha")), *writes, *[run(f"make step-{n}", f"made {n}") for n in range(13)]]
    bodies = sessions.bodies(steps, "openai")
    road = Conversations(NoStore())
    for body in bodies[:-1]:
        await planned(road, body, mode="cache")
    plan = await planned(road, bodies[-1])
    assert plan.epoch
    told = [form for form in plan.replacements.values() if form.startswith("[As the first write_file")]
    assert len(told) == 3


@pytest.mark.parametrize(("tasks", "functions", "count"), [(1, 80, 2), (60, 1200, 1)])
async def test_in_a_long_prompt_a_small_result_is_not_worth_the_risk_of_a_round(
    tasks: int, functions: int, count: int
) -> None:
    steps = [
        read("src/beta.py", "b = 1"),
        edit("src/beta.py"),
        read("src/alpha.py", module("alpha", functions)),
        run("make", module("omega", 4)),
        run("make a", "done"),
        run("make b", "done"),
    ]
    bodies = sessions.bodies(steps, "openai", TASK * tasks)
    road = Conversations(NoStore())
    for turn, body in enumerate(bodies[:-1]):
        await planned(road, body, at_s=NOON_S + turn)
    plan = await planned(road, bodies[-1], at_s=NOON_S + 900)
    assert plan.epoch == "cold"
    assert sum(map(pipeline.is_shrunk, plan.replacements.values())) == count
