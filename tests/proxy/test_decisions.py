from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from django.db import DatabaseError, connections
from hypothesis import given
from hypothesis import strategies as st

from headroom.values import Policy
from proxy import decisions
from proxy.aging.pasts import Past
from proxy.conversations import Conversations
from proxy.decisions import Batch, Decided, Memory
from proxy.models import Decision, Original
from proxy.providers import anthropic
from proxy.stores import NoStore, Saved
from proxy.values import Call
from tests.proxy.requests import make_decided, make_result

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIFE = timedelta(hours=48)
LOG = "\n".join(f"12:00:{n % 60:02} INFO worker {n} finished its task after {n % 7} ms" for n in range(300))


@given(text=st.text(st.one_of(st.characters(), st.sampled_from(["\ud800", "\x00"]))))
def test_any_text_comes_back_from_storage(text: str) -> None:
    assert decisions.unpack(decisions.pack(text)) == text


@pytest.mark.parametrize("other", [{"text": "other"}, {"tool": "Read"}, {"call_id": "d"}, {"arguments": "[]"}])
def test_a_decision_is_about_one_result_of_one_call(other: dict[str, str]) -> None:
    one = decisions.key_of("local", make_result())
    assert one == decisions.key_of("local", make_result(path=("messages", 9), age_turns=3))
    assert one != decisions.key_of("local", make_result(**other))
    assert one != decisions.key_of("team:1", make_result())


def test_parts_of_a_key_do_not_run_into_each_other() -> None:
    assert decisions.key_of("o", make_result("bc", tool="a")) != decisions.key_of("o", make_result("c", tool="ab"))


def test_memory_forgets_what_was_not_used_for_longest_and_stays_within_its_bytes() -> None:
    memory = Memory(max_bytes=10_000)
    for n in range(10):
        memory.put(str(n), make_decided("x" * 500))
        memory.find("0")
    assert memory.find("019").keys() == {"0", "9"}
    assert memory._bytes <= 10_000


def test_memory_notes_what_was_replayed() -> None:
    memory = Memory()
    memory.put("a", make_decided())
    memory.put("b", None)
    assert memory.find("abc").keys() == {"a", "b"}
    with pytest.raises(DatabaseError), memory.used():
        raise DatabaseError("as when it is away")
    with memory.used() as used:
        assert used == ["a"], "what could not be prolonged is told again"
    with memory.used() as used:
        assert used == []


def store(owner: str, key: str, made: Decided, now: datetime = NOON, text: str = "the whole text") -> Decided:
    return decisions.store(Batch(owner, {key: made}, {key: make_result(text)}), now, LIFE)[key]


@pytest.mark.usefixtures("road_database")
def test_whoever_was_first_is_right() -> None:
    first = store("local", "k", make_decided("first form"))
    assert store("local", "k", make_decided("second form")) == first
    assert decisions.load(["k", "unknown"]) == {"k": first}


@pytest.mark.usefixtures("road_database")
def test_what_was_decided_together_is_stored_as_one_or_not_at_all() -> None:
    results = {"k": make_result("the whole text"), "l": make_result("another text")}

    def store_all(**made: Decided) -> dict[str, Decided]:
        return decisions.store_all(Batch("local", made, results), NOON, LIFE)

    first = make_decided("first form")
    assert store_all(k=first) == {}
    assert store_all(k=make_decided("second form"), l=make_decided("as above", refers_to="k")) == {"k": first}
    assert decisions.load(["k", "l"]) == {"k": first}


@pytest.mark.usefixtures("road_database")
def test_what_is_left_of_a_pruned_decision_is_in_nobodys_way() -> None:
    alone = decisions.alone_key("k")
    store("local", alone, make_decided("of another time"))
    made = {"k": make_decided("as above", refers_to="j"), alone: make_decided("by itself")}
    results = dict.fromkeys(made, make_result("the whole text"))
    assert decisions.store_all(Batch("local", made, results), NOON, LIFE) == {}
    assert decisions.load(made) == made


@pytest.mark.usefixtures("road_database")
def test_workers_that_keep_the_same_originals_at_once_do_not_wait_for_each_other() -> None:
    """Agents that work side by side read the same files, in whatever order."""
    files = [f"{n:024x}" for n in range(40)]

    def keep(worker: int, turn: int, hashes: list[str]) -> None:
        made = {f"{worker}.{turn}.{n}": make_decided(original_hash=one) for n, one in enumerate(hashes)}
        results = {key: make_result(one.original_hash) for key, one in made.items()}
        assert decisions.store_all(Batch("local", made, results), NOON, LIFE) == {}

    with ThreadPoolExecutor(2) as threads:
        for turn in range(12):
            kept = [threads.submit(keep, n, turn, order) for n, order in enumerate((files, files[::-1]))]
            for one in kept:
                one.result()
        for _ in range(2):
            threads.submit(connections.close_all).result()
    assert Original.objects.count() == len(files)


@pytest.mark.usefixtures("road_database")
def test_that_nothing_was_shortened_is_a_decision_too() -> None:
    left_alone = make_decided(None, label="", reason="no_gain", tokens_after=100)
    assert store("local", "k", left_alone) == left_alone


@pytest.mark.usefixtures("road_database")
def test_originals_are_kept_once_for_each_owner() -> None:
    digest = "ab" * 12
    for owner, key in (("local", "1"), ("local", "2"), ("team:1", "3")):
        store(owner, key, make_decided(original_hash=digest))
    assert sorted(Original.objects.values_list("owner", "hash")) == [("local", digest), ("team:1", digest)]
    assert decisions.unpack(Original.objects.first().content) == "the whole text"  # type: ignore[union-attr]


@pytest.mark.usefixtures("road_database")
def test_what_is_used_lives_on_and_what_is_not_goes() -> None:
    for key in ("used", "unused"):
        store("local", key, make_decided(original_hash=key.ljust(24, "0")))
    later = NOON + LIFE - timedelta(hours=1)
    decisions.touch(["used"], later, LIFE)
    assert decisions.prune(NOON + LIFE + timedelta(hours=1), LIFE) == 2
    assert list(Decision.objects.values_list("key", flat=True)) == ["used"]
    assert [one.hash for one in Original.objects.exclude(content=b"")] == ["used".ljust(24, "0")]
    assert decisions.prune(later + LIFE + timedelta(hours=1), LIFE) == 2
    assert Original.objects.filter(content=b"").count() == 2, "it is known that they expired"
    decisions.prune(later + LIFE + decisions.NAME_LIFETIME + timedelta(hours=1), LIFE)
    assert not Original.objects.exists()


class Broken(NoStore):
    """A store whose database is away."""

    async def load(self, keys: list[str]) -> dict[str, Decided]:
        raise DatabaseError

    async def save_new(self, batch: Batch, reread: Sequence[str] = (), past: Past | None = None) -> Saved:
        raise DatabaseError


def asked(*turns: object) -> Call:
    return anthropic.parse(orjson.dumps({"messages": list(turns)}))


USE = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "Bash", "input": {}}]}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": LOG}]}
ANSWER = {"role": "assistant", "content": "I see."}


async def test_what_was_sent_once_is_sent_again_in_the_same_form() -> None:
    conversations = Conversations(NoStore())
    first = await conversations.plan(asked(USE, RESULT), anthropic, owner="local", policy=Policy())
    again = await conversations.plan(asked(USE, RESULT, ANSWER), anthropic, owner="local", policy=Policy())
    assert first.tokens_saved > 0
    assert again.replacements == first.replacements


async def test_what_was_first_seen_as_history_stays() -> None:
    plan = await Conversations(NoStore()).plan(asked(USE, RESULT, ANSWER), anthropic, owner="local", policy=Policy())
    assert (plan.replacements, plan.reason) == ({}, "history")


async def test_without_a_store_nothing_goes_out_that_could_not_be_had_back() -> None:
    plan = await Conversations(Broken()).plan(asked(USE, RESULT), anthropic, owner="local", policy=Policy())
    assert all("left out" not in form for form in plan.replacements.values())


async def test_a_request_without_results_says_so() -> None:
    plan = await Conversations(NoStore()).plan(asked(ANSWER), anthropic, owner="local", policy=Policy())
    assert plan.reason == "no_tool_results"
