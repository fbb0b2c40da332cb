from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec, TypeVar

import orjson
import pytest
from django.db import connections
from django.test import override_settings

from proxy import rendering, splice
from proxy.models import RetrievalOffer, RetrievalTurn
from proxy.providers import anthropic, openai_chat, openai_responses
from proxy.retrieval import turns
from proxy.retrieval.offers import Offered, Offers
from proxy.retrieval.turns import Turn
from proxy.values import Call, Cut, Plan

P = ParamSpec("P")
T = TypeVar("T")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MESSAGES, CHAT, RESPONSES = "/v1/messages", "/v1/chat/completions", "/v1/responses"


def use(name: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": name, "name": "Bash", "input": {}}


def result(name: str) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": name, "content": "x"}


TURN = Turn(
    rounds=(({"role": "assistant", "content": [use("own1")]}, {"role": "user", "content": [result("own1")]}),),
    shown=(0,),
    last_calls=((1, use("own2")),),
    results=(result("own2"),),
)
SEEN = {"role": "assistant", "content": [{"type": "text", "text": "so"}, use("c1"), use("c2")]}
HISTORY = [{"role": "user", "content": "go"}, SEEN, {"role": "user", "content": [result("c1"), result("c2")]}]


def rejoined(items: list[Any], turn: Turn = TURN, route: str = MESSAGES) -> Any:
    known = {turns.identity([SEEN], MESSAGES, 0): turn}
    edits = turns.rejoined(items, route, known)
    return orjson.loads(splice.replace_items(orjson.dumps({"messages": items}), "messages", edits))["messages"]


def test_a_turn_is_put_together_again_as_the_provider_saw_it() -> None:
    assert rejoined(HISTORY) == [
        HISTORY[0],
        *TURN.rounds[0],
        {"role": "assistant", "content": [SEEN["content"][0], use("own2"), use("c1"), use("c2")]},  # type: ignore[index]
        {"role": "user", "content": [result("own2"), result("c1"), result("c2")]},
    ]


def test_a_turn_is_known_by_what_matters_of_it() -> None:
    content: Any = SEEN["content"]
    marked = [{**content[0], "citations": None}, content[1], {**content[2], "cache_control": {"type": "ephemeral"}}]
    assert len(rejoined([HISTORY[0], {**SEEN, "content": marked}, HISTORY[2]])) == 5
    for changed in ([*content, use("c3")], content[1:], [{**content[0], "text": "no"}, *content[1:]], "so", [None]):
        items = [HISTORY[0], {**SEEN, "content": changed}, HISTORY[2]]
        assert turns.rejoined(items, MESSAGES, {turns.identity([SEEN], MESSAGES, 0): TURN}) == []
    assert turns.rejoined(HISTORY[:2], MESSAGES, {turns.identity([SEEN], MESSAGES, 0): TURN}) == [], (
        "no results to join"
    )
    assert turns.rejoined([None, 7, {"role": "assistant"}], CHAT, {"x": TURN}) == []


@pytest.mark.parametrize("cut", [(1, 2), (2, 3)], ids=["the answer", "what follows it"])
def test_a_turn_of_which_a_part_has_to_go_is_not_put_together_by_half(cut: tuple[int, int]) -> None:
    items = [HISTORY[0], {"role": "assistant", "content": "so"}, {"role": "user", "content": "thanks"}]
    call = anthropic.parse(
        orjson.dumps({"tools": [{"name": "Bash"}], "messages": [*items, {"role": "user", "content": "bye"}]})
    )
    turn = Turn(rounds=TURN.rounds, shown=(0,), last_calls=TURN.last_calls, results=TURN.results)
    offer = Offered(is_offered=True, turns={turns.identity([items[1]], MESSAGES, 0): turn})
    sent = orjson.loads(rendering.render(call, anthropic, Plan(cuts=(Cut(*cut, "cut"),)), MESSAGES, offer))["messages"]
    assert [message["role"] for message in sent].count("assistant") == (cut == (2, 3))
    assert "own" not in str(sent)


def test_a_turn_that_says_the_same_as_another_is_told_apart_by_its_place() -> None:
    twice = [*HISTORY, {"role": "assistant", "content": "go on"}, {"role": "user", "content": "so?"}, *HISTORY[1:]]
    assert rejoined(twice)[:5] == rejoined(HISTORY)
    assert rejoined(twice)[5:] == twice[3:]
    known = {turns.identity([SEEN], MESSAGES, 2): TURN}
    assert [edit.start for edit in turns.rejoined(twice, MESSAGES, known)] == [5, 6]
    asked = anthropic.parse(orjson.dumps({"messages": twice}))
    assert turns.newest(asked, MESSAGES) == turns.identity([SEEN], MESSAGES, turns.answers(asked, MESSAGES) - 1)


@pytest.mark.usefixtures("road_database")
def test_turns_outlive_the_process_and_go_with_their_conversation() -> None:
    assert not turns.offer("local", "r", NOON, is_new=False)
    assert turns.offer("local", "r", NOON, is_new=True)
    assert turns.offer("local", "r", NOON, is_new=False)
    assert not turns.offer("team:1", "r", NOON, is_new=False)
    turns.store("local", "r", "i", Turn(), NOON)
    turns.store("local", "r", "i", TURN, NOON)
    assert turns.load("local", "r") == {"i": TURN}
    assert turns.load("team:1", "r") == {}
    assert turns.prune(NOON + timedelta(hours=1), timedelta(hours=48)) == 0
    assert turns.prune(NOON + timedelta(hours=49), timedelta(hours=48)) == 1
    assert not RetrievalOffer.objects.exists()
    assert not RetrievalTurn.objects.exists()


TOOLS = [{"name": "Bash", "input_schema": {}}]
LONG = "x " * 31_000
ASKED = {"role": "user", "content": "go"}
OFFERED: list[tuple[str, dict[str, Any]]] = [
    (MESSAGES, {"system": LONG, "tools": TOOLS, "messages": [ASKED]}),
    (CHAT, {"tools": TOOLS, "messages": [{"role": "system", "content": LONG}, ASKED], "tool_choice": "auto"}),
    (RESPONSES, {"instructions": LONG, "tools": TOOLS, "store": False, "input": [ASKED]}),
]
NEVER: list[tuple[str, dict[str, Any]]] = [
    (MESSAGES, {"system": "short", "tools": TOOLS, "messages": [ASKED]}),
    (MESSAGES, {"system": LONG, "messages": [ASKED]}),
    (MESSAGES, {"system": LONG, "tools": [{"name": "headroom_retrieve"}], "messages": [ASKED]}),
    (MESSAGES, {"system": LONG, "tools": TOOLS, "messages": [ASKED], "tool_choice": {"type": "any"}}),
    (MESSAGES, {"system": LONG, "tools": TOOLS, "messages": [ASKED, SEEN, ASKED]}),
    (CHAT, {"tools": TOOLS, "n": 2, "messages": [{"role": "system", "content": LONG}, ASKED]}),
    (CHAT, {"tools": TOOLS, "tool_choice": "required", "messages": [{"role": "system", "content": LONG}, ASKED]}),
    (RESPONSES, {"instructions": LONG, "tools": TOOLS, "input": [ASKED]}),
    (RESPONSES, {"instructions": LONG, "tools": TOOLS, "store": False, "previous_response_id": "r", "input": [ASKED]}),
    ("*", {"system": LONG, "tools": TOOLS, "messages": [ASKED]}),
]
PARSERS = {MESSAGES: anthropic, CHAT: openai_chat, RESPONSES: openai_responses, "*": anthropic}


def call(route: str, document: dict[str, Any]) -> Call:
    parsed: Call = PARSERS[route].parse(orjson.dumps(document))
    return parsed


async def in_a_thread(job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a job in a thread that leaves no connection behind: the road's own would go on to the next test's database."""

    def run() -> T:
        try:
            return job(*args, **kwargs)
        finally:
            connections.close_all()

    return await asyncio.to_thread(run)


@pytest.mark.usefixtures("road_database")
async def test_the_tool_is_there_from_the_first_request_or_never() -> None:
    with override_settings(ORIGINAL_FILES=False):
        for route, document in OFFERED:
            assert await Offers(in_a_thread).find(call(route, document), route, "local") is not None, document.keys()
            key = "input" if route == RESPONSES else "messages"
            later = document | {key: [*document[key], {"role": "assistant", "content": "a"}, ASKED]}
            short = {name: value if value != LONG else LONG[:-9_000] for name, value in later.items()}
            elsewhere = Offers(in_a_thread)
            found = await elsewhere.find(call(route, short if route == MESSAGES else later), route, "local")
            assert found is not None, "another worker goes on with it"
            assert await elsewhere.find(call(route, later), route, "team:1") is None
        for route, document in NEVER:
            assert await Offers(in_a_thread).find(call(route, document | {"user": "n"}), route, "somebody") is None, (
                document.keys()
            )
    route, document = OFFERED[0]
    for name, value in (("ORIGINAL_FILES", True), ("NO_CCR", True), ("LOSSLESS", True), ("RETRIEVE_TOOL", "off")):
        with override_settings(**{"ORIGINAL_FILES": False, name: value}):
            assert await Offers(in_a_thread).find(call(route, document), route, "local") is None, name


@pytest.mark.usefixtures("road_database")
async def test_the_tool_stays_when_the_clients_mark_has_moved_on() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    image = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "seen", **mark}]}
    with override_settings(ORIGINAL_FILES=False):
        for first, again in (
            ([{"type": "text", "text": "fix it", **mark}], "fix it"),
            ([image], [{**image, "content": "seen"}]),
            ([image], [{**image, "content": [{"type": "text", "text": "seen"}]}]),
        ):
            document = {"system": LONG, "tools": TOOLS, "messages": [{"role": "user", "content": first}]}
            assert await Offers(in_a_thread).find(call(MESSAGES, document), MESSAGES, "local") is not None
            history = [{"role": "user", "content": again}, {"role": "assistant", "content": "a"}, ASKED]
            later = call(MESSAGES, document | {"messages": history})
            assert await Offers(in_a_thread).find(later, MESSAGES, "local") is not None, again
