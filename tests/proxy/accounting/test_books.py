"""The claim against the truth: sessions billed twice by a provider's rules, and what the books make of one of the bills."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pytest

from headroom import tokens
from proxy.accounting import books, counterfactual, sizing
from proxy.accounting.books import Books, Request
from proxy.accounting.counterfactual import Entry
from proxy.accounting.scales import Added, Seen
from proxy.providers import anthropic, openai_chat, openai_responses
from proxy.replay import billing
from proxy.replay.billing import Cache
from proxy.replay.prompts import Prompts
from proxy.values import Call, Plan
from savings.receipts import CacheOutcome, Usage
from tests.proxy.accounting import sessions

PROVIDERS: dict[str, Any] = {"anthropic": anthropic, "openai": openai_chat}
WEIGHTS = {"anthropic": (1.0, 0.1, 1.25, 2.0), "openai": (1.0, 0.5, 1.0, 1.0)}
NOON = 1_780_000_000.0
LINES = "\n".join(f"something else, line {n}" for n in range(200))


@dataclass
class World:
    """A provider, and us in front of it. Sums are in tokens at the price of fresh input.

    A result goes out as its first ten lines, and as its first line alone once an epoch has begun at `epoch_at` for those
    that were there before: what the road decides is tested elsewhere, here it is what that costs.
    """

    dialect: str
    ratio: float = 1.0
    is_observed: bool = False
    epoch_at: int | None = None
    provider: Any = None
    books: Books = field(default_factory=Books)
    prompts: Prompts = field(default_factory=Prompts)
    direct_cache: Cache = field(default_factory=dict)
    our_cache: Cache = field(default_factory=dict)
    direct: float = 0.0
    ours: float = 0.0
    claimed: float = 0.0
    outcomes: list[CacheOutcome] = field(default_factory=list)

    def send(self, body: bytes, *, at_s: float) -> None:
        provider = self.provider or PROVIDERS[self.dialect]
        call = provider.parse(body)
        plan = self._plan(call)
        sent = provider.render(call, plan)
        direct, self.direct_cache = self._billed(body, self.direct_cache, at_s)
        ours, self.our_cache = self._billed(sent, self.our_cache, at_s)
        self.direct += self._cost(direct)
        self.ours += self._cost(ours)
        real = direct if self.is_observed else ours
        request = Request(call, self.dialect, plan, at_s, sent is not body, is_observed=self.is_observed)  # type: ignore[arg-type]
        entry = self.books.open("conversation", request)
        assert entry is not None
        reckoning = entry.settle(real)
        assert reckoning is not None and reckoning.other is not None
        saved = self._cost(reckoning.other) - self._cost(real)
        self.claimed += -saved if self.is_observed else saved
        self.outcomes.append(reckoning.cache_outcome)

    def _plan(self, call: Call) -> Plan:
        is_past = self.epoch_at is not None and call.turns >= self.epoch_at
        deep = len(call.results[: (self.epoch_at or 0) - 3]) if is_past else 0
        forms = {
            result.path: "\n".join(result.text.split("\n")[: 1 if n < deep else 10])
            for n, result in enumerate(call.results)
        }
        sizes = {r.path: (tokens.count(r.text), tokens.count(forms[r.path])) for r in call.results}
        mark = (call.results[deep - 1].path, "5m") if deep and self.dialect == "anthropic" else None
        return Plan(replacements=forms, sizes=sizes, mark=mark, epoch="size" if call.turns == self.epoch_at else "")

    def _billed(self, body: bytes, cache: Cache, at_s: float) -> tuple[Usage, Cache]:
        blocks = self.prompts.blocks(json.loads(body), self.dialect)  # type: ignore[arg-type]
        counted = [replace(block, tokens=round(block.tokens * self.ratio)) for block in blocks]
        bill = billing.biller(self.dialect, bills_writes=False)  # type: ignore[arg-type]
        billed = bill(counted, cache, at_s=at_s)
        return replace(billed.usage, output=20), billed.cache

    def _cost(self, usage: Usage) -> float:
        counts = (usage.input_fresh, usage.cache_read, usage.cache_write_5m, usage.cache_write_1h)
        return sum((n or 0) * weight for n, weight in zip(counts, WEIGHTS[self.dialect], strict=True))

    @property
    def is_honest(self) -> bool:
        saved = self.direct - self.ours
        return abs(self.claimed - saved) <= max(0.03 * saved, 0.003 * self.direct)


def play(world: World, *, turns: int = 24, idle_s: float = 0.0, lines: int = 25) -> World:
    for n, body in enumerate(sessions.requests(world.dialect, turns, lines=lines)):
        world.send(body, at_s=NOON + 5 * n + (idle_s if n >= turns // 2 else 0))
    return world


@pytest.mark.parametrize("ratio", [1.0, 1.5])
@pytest.mark.parametrize("dialect", ["anthropic", "openai"])
def test_claims_are_true_whatever_the_providers_tokenizer(dialect: str, ratio: float) -> None:
    world = play(World(dialect, ratio, epoch_at=16))
    assert world.direct - world.ours > 0.1 * world.direct
    assert world.is_honest, (world.direct - world.ours, world.claimed)
    assert world.outcomes == ["cold_start", *["hit"] * 15, "own_change", *["hit"] * 7]


class Closed(World):
    """A provider that bills what nobody else can count: what was thought, and pictures."""

    picture_words = 250

    def _billed(self, body: bytes, cache: Cache, at_s: float) -> tuple[Usage, Cache]:
        document = json.loads(body)
        for message in document["messages"]:
            blocks = message["content"] if isinstance(message["content"], list) else []
            for n, block in enumerate(blocks):
                if block["type"] == "thinking":
                    blocks[n] = {**block, "thinking": block["signature"]}
                elif block["type"] == "web_search_tool_result":
                    pages = [{"type": "text", "text": 2 * page["encrypted_content"]} for page in block["content"]]
                    blocks[n] = {**block, "content": pages}
                elif block["type"] == "image":
                    blocks[n] = {"type": "text", "text": "a small picture " * self.picture_words}
        return super()._billed(json.dumps(document).encode(), cache, at_s)


@pytest.mark.parametrize("unseen", ["thinking", "image", "many cheap images", "thinking and search"])
def test_claims_are_true_though_the_provider_bills_what_we_cannot_count(unseen: str) -> None:
    world = Closed("anthropic", 1.2)
    world.picture_words = 1 if "cheap" in unseen else 250
    for n, body in enumerate(sessions.requests("anthropic", 24, lines=25)):
        document = json.loads(body)
        for turn, message in enumerate(document["messages"][1::2]):
            if unseen == "thinking and search" and turn % 2:
                name, found = f"s{turn}", "a page says so " * (20 + 211 * turn % 500)
                page = {"type": "web_search_result", "url": "u", "encrypted_content": found}
                use = {"type": "server_tool_use", "id": name, "name": "web_search", "input": {"query": "why"}}
                result = {"type": "web_search_tool_result", "tool_use_id": name, "content": [page] * (1 + turn % 4)}
                message["content"][:0] = [use, result]
            if unseen.startswith("thinking"):
                thought = {"type": "thinking", "thinking": "", "signature": "so then " * (40 + 97 * turn % 300)}
                message["content"].insert(0, thought)
            elif turn % 3 == 0 or "many" in unseen:
                message["content"].insert(0, {"type": "image", "source": {"type": "base64", "data": "AAAA"}})
        world.send(json.dumps(document).encode(), at_s=NOON + 5 * n)
    assert world.direct - world.ours > 0.1 * world.direct
    assert world.is_honest, (world.direct - world.ours, world.claimed)


class Keeping(World):
    """A provider of Responses that keeps what it answered, and bills it where a client only names it."""

    def _billed(self, body: bytes, cache: Cache, at_s: float) -> tuple[Usage, Cache]:
        items = [
            {"role": "assistant", "content": "so then " * (60 + 389 * int(item["id"]) % 700)}
            if item.get("type") == "item_reference"
            else {"role": "item", **item}
            for item in json.loads(body)["input"]
        ]
        return super()._billed(json.dumps({"messages": items}).encode(), cache, at_s)


@pytest.mark.parametrize("kept_lines", [3, 40])
def test_claims_are_true_though_the_client_only_names_what_the_provider_keeps(kept_lines: int) -> None:
    world = Keeping("openai", 1.2, provider=openai_responses)
    items: list[dict[str, Any]] = [{"role": "user", "content": "Find out why task 7 is slow. " * 60}]
    for turn in range(24):
        world.send(json.dumps({"model": "gpt-5", "input": items}).encode(), at_s=NOON + 5 * turn)
        output = sessions.log(turn, kept_lines)
        items += [
            {"type": "item_reference", "id": str(turn)},
            {"type": "function_call", "call_id": f"c{turn}", "name": "Bash", "arguments": "{}"},
            {"type": "function_call_output", "call_id": f"c{turn}", "output": output},
        ]
    assert world.is_honest, (world.direct - world.ours, world.claimed)


def test_an_epoch_that_never_pays_is_booked_as_a_loss() -> None:
    cheap, dear = play(World("anthropic"), turns=17), play(World("anthropic", epoch_at=16), turns=17)
    assert dear.claimed < cheap.claimed
    assert dear.is_honest, (dear.direct - dear.ours, dear.claimed)


@pytest.mark.parametrize("dialect", ["anthropic", "openai"])
def test_claims_are_true_across_a_pause_that_the_cache_does_not_survive(dialect: str) -> None:
    world = play(World(dialect, epoch_at=12), idle_s=4000.0)
    assert world.is_honest, (world.direct - world.ours, world.claimed)
    assert world.outcomes.count("ttl_expiry") == 1
    assert "own_change" not in world.outcomes


@pytest.mark.parametrize("dialect", ["anthropic", "openai"])
def test_what_would_be_saved_is_what_is_saved(dialect: str) -> None:
    world = play(World(dialect, 1.2, is_observed=True, epoch_at=16))
    assert world.is_honest, (world.direct - world.ours, world.claimed)
    assert set(world.outcomes) == {"cold_start", "hit"}


def test_a_cache_that_goes_early_is_gone_for_both_sides() -> None:
    world = World("anthropic")
    for n, body in enumerate(sessions.requests("anthropic", 16)):
        if n == 9:
            world.direct_cache, world.our_cache = {}, {}
        world.send(body, at_s=NOON + 5 * n)
    assert world.is_honest, (world.direct - world.ours, world.claimed)
    assert world.outcomes[9] == "unknown"


def test_a_worker_that_takes_over_a_conversation_asks_the_provider_how_far_it_was_read() -> None:
    world = World("anthropic")
    for n, body in enumerate(sessions.requests("anthropic", 16)):
        if n == 9:
            world.books = Books()
        world.send(body, at_s=NOON + 5 * n)
    assert world.is_honest, (world.direct - world.ours, world.claimed)
    assert world.outcomes[9] == "hit"


def test_what_the_client_changes_is_laid_at_its_door() -> None:
    world = World("anthropic")
    bodies = list(sessions.requests("anthropic", 9))
    for n, body in enumerate(bodies[:8]):
        world.send(body, at_s=NOON + 5 * n)
    world.send(bodies[8].replace(b"Find out why", b"Explain why"), at_s=NOON + 50)
    assert world.outcomes[-1] == "prefix_change"
    assert world.is_honest, (world.direct - world.ours, world.claimed)


@pytest.mark.parametrize("dialect", ["anthropic", "openai"])
def test_what_began_at_another_worker_is_no_change_at_this_one(dialect: str) -> None:
    world, workers = World(dialect, epoch_at=16), [Books(), Books()]
    for n, body in enumerate(sessions.requests(dialect, 24, lines=25)):
        world.books = workers[n % 2]
        world.send(body, at_s=NOON + 5 * n)
    assert [n for n, outcome in enumerate(world.outcomes) if outcome == "own_change"] == [16]
    assert set(world.outcomes[17:]) == {"hit"}


@pytest.mark.parametrize("change", ["repeat", "drop", "edit", "name"])
def test_what_the_client_changes_in_the_midst_is_not_taken_for_a_change_of_ours(change: str) -> None:
    """Most messages of a history are not looked at again, but forms are."""
    world = World("anthropic")
    for turn in range(16):
        messages = sessions.history("anthropic", turn)
        if turn == 12:
            call, result = messages[9:11]
            changed = {**result["content"][0], **({"tool_use_id": "other"} if change == "name" else {"content": LINES})}
            instead = {"repeat": [call, result, call, result], "drop": []}.get(
                change, [call, {**result, "content": [changed]}]
            )
            messages[9:11] = instead
        world.send(sessions.body("anthropic", messages), at_s=NOON + 5 * turn)
    assert world.outcomes == ["cold_start", *["hit"] * 11, "prefix_change", *world.outcomes[13:]]
    assert "own_change" not in world.outcomes


def test_a_request_that_goes_out_as_it_came_saves_nothing() -> None:
    world = play(World("anthropic"), turns=4, lines=10)
    assert world.claimed == 0.0


def test_nothing_is_claimed_where_the_provider_bills_what_it_keeps() -> None:
    call = openai_responses.parse(
        b'{"model":"m","previous_response_id":"r","input":[{"role":"user","content":"go on"}]}'
    )
    request = Request(call, "openai", Plan(), NOON, is_edited=False)
    assert Books().open("c", request) is None
    assert books.unknown(request) == books.UNKNOWN_KEPT


@pytest.mark.parametrize(
    ("edits", "is_known"),
    [
        ([{"type": "clear_tool_uses_20250919"}], True),
        ([{"type": "clear_tool_uses_20250919", "trigger": {"type": "input_tokens", "value": 9_000}}], False),
        ([{"type": "clear_tool_uses_20250919", "trigger": {"type": "input_tokens", "value": 90_000}}], True),
        ([{"type": "clear_tool_uses_20250919", "trigger": {"type": "tool_uses", "value": 1}}], False),
        ([{"type": "clear_thinking_20251015", "keep": "all"}, None, {"type": 7}], True),
        ([{"type": "compact_20260112", "trigger": {"type": "input_tokens", "value": 9_000}}], False),
        ([{"type": "compaction", "compact_threshold": 9_000}], False),
        (7, True),
    ],
)
def test_nothing_is_claimed_where_the_provider_had_cleared_results_itself(edits: Any, is_known: bool) -> None:
    for asked in (edits, {"edits": edits}):
        body = sessions.body("anthropic", sessions.history("anthropic", 2), context_management=asked)
        call = anthropic.parse(body)
        request = Request(call, "anthropic", Plan(tokens_before=10_000, tokens_after=5_000), NOON, is_edited=True)
        assert (books.unknown(request) == "") is is_known
        assert (Books().open("c", request) is not None) is is_known


@pytest.mark.parametrize(
    ("truncation", "window_tokens", "is_known"),
    [("auto", 14_000, False), ("auto", None, False), ("auto", 128_000, True), ("disabled", 14_000, True)],
)
def test_nothing_is_claimed_where_the_provider_had_dropped_items_itself(
    truncation: str, window_tokens: int | None, is_known: bool
) -> None:
    document = {"model": "m", "truncation": truncation, "input": [{"role": "user", "content": "go on"}]}
    call, plan = openai_responses.parse(json.dumps(document).encode()), Plan(tokens_before=10_000, tokens_after=5_000)
    request = Request(call, "openai", plan, NOON, is_edited=True, window_tokens=window_tokens)
    assert books.unknown(request) == ("" if is_known else books.UNKNOWN_EDITED)


class Heedless(World):
    """A provider that takes marks and keeps nothing."""

    def _billed(self, body: bytes, cache: Cache, at_s: float) -> tuple[Usage, Cache]:
        usage, _ = super()._billed(body, {}, at_s)
        return Usage((usage.input_fresh or 0) + (usage.cache_write_5m or 0), 0, 0, 0, 20), {}


def test_no_cache_is_made_up_where_the_provider_keeps_nothing() -> None:
    world = play(Heedless("anthropic", 1.3))
    assert world.direct - world.ours > 0.1 * world.direct
    assert world.is_honest, (world.direct - world.ours, world.claimed)


class Selective(World):
    """A provider that heeds the mark on the system prompt and no other."""

    def _billed(self, body: bytes, cache: Cache, at_s: float) -> tuple[Usage, Cache]:
        document = json.loads(body)
        for message in document["messages"]:
            for block in message["content"] if isinstance(message["content"], list) else []:
                block.pop("cache_control", None)
        return super()._billed(json.dumps(document).encode(), cache, at_s)


def test_a_mark_that_the_provider_does_not_heed_keeps_nothing() -> None:
    world = play(Selective("anthropic", 1.3))
    assert world.direct - world.ours > 0.1 * world.direct
    assert world.is_honest, (world.direct - world.ours, world.claimed)


class Bypassing(World):
    """Its client asks for no shortening, once."""

    def _plan(self, call: Call) -> Plan:
        return Plan(reason=books.BYPASS) if call.turns == 12 else super()._plan(call)


@pytest.mark.parametrize("dialect", ["anthropic", "openai"])
def test_what_a_client_has_sent_whole_is_no_change_of_ours(dialect: str) -> None:
    world = play(Bypassing(dialect))
    assert world.outcomes == ["cold_start", *["hit"] * 11, *["prefix_change"] * 2, *["hit"] * 10]


def test_what_stands_beside_the_texts_of_results_is_counted() -> None:
    world = World("anthropic", 1.2)
    for n, body in enumerate(sessions.requests("anthropic", 24, lines=25)):
        document = json.loads(body)
        for turn, message in enumerate(document["messages"][2::2]):
            result, found = message["content"][0], "Worker two was slow at noon. " * (20 + 97 * turn % 200)
            page = {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": found}]}
            paper = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": found}}
            result["content"] = [{"type": "text", "text": result["content"]}, paper if turn % 2 else page]
        world.send(json.dumps(document).encode(), at_s=NOON + 5 * n)
    assert world.is_honest, (world.direct - world.ours, world.claimed)


def test_what_cannot_be_sized_up_costs_a_figure_and_nothing_else() -> None:
    call = replace(anthropic.parse(b"{}"), document={"messages": 7, "tools": {}, "system": 3})
    entry = Books().open("c", Request(call, "anthropic", Plan(), NOON, is_edited=False))
    assert entry is not None
    entry.note()
    reckoning = entry.settle(Usage(10, 0, 0, 0, 1))
    assert reckoning is None or reckoning.other is None


def test_tools_that_stand_in_the_conversation_are_counted() -> None:
    tools = [{"type": "custom", "name": "exec", "description": "Run a script. " * 200}]
    item = {"type": "additional_tools", "role": "developer", "tools": tools}
    assert sizing.size_of(item) == sizing.size_of(tools, is_schema=True) > 500


def test_of_a_long_conversation_a_prefix_is_remembered_near_every_place() -> None:
    kept: list[Entry] = []
    for units in range(0, 4_000, 3):
        kept = counterfactual.spread([*kept, Entry(units, units * 100.0, 300.0, NOON)], units)
    assert len(kept) == counterfactual.ENTRIES_BETWEEN
    for before, after in pairwise([*kept, Entry(4_000, 0.0, 0.0, 0.0)]):
        assert after.units - before.units <= 0.8 * (4_000 - before.units) + 3


def test_a_mark_that_the_provider_sets_counts_as_one_on_the_last_block() -> None:
    *_, asked_before, marked = map(anthropic.parse, sessions.requests("anthropic", 3))
    document = json.loads(marked.body)
    document["cache_control"] = document["messages"][-1]["content"][-1].pop("cache_control")
    automatic = anthropic.parse(json.dumps(document).encode())
    known = sizing.layout(asked_before, "anthropic").shape()
    assert sizing.layout(automatic, "anthropic").marks == sizing.layout(marked, "anthropic").marks
    assert sizing.layout(automatic, "anthropic", known, 2).marks == sizing.layout(marked, "anthropic", known, 2).marks


def test_what_only_the_provider_can_read_is_told_by_its_length() -> None:
    found = {"type": "web_search_result", "url": "u", "encrypted_content": "E" * 400}
    for value in (
        {"type": "thinking", "thinking": "", "signature": "E" * 400},
        {"type": "redacted_thinking", "data": "E" * 400},
        {"type": "reasoning", "summary": [], "encrypted_content": "E" * 400},
        {"role": "assistant", "reasoning_details": [{"type": "reasoning.encrypted", "data": "E" * 400}]},
    ):
        assert sizing.sealed(value) == (100, 0)
    assert sizing.sealed({"type": "web_search_tool_result", "content": [found, None, "odd"]}) == (0, 100)
    assert sizing.sealed({"type": "item_reference", "id": "rs_1"}) == (sizing.REFERENCED_TOKENS, 0)
    for odd in (
        None,
        "E" * 400,
        {"type": ["reasoning"]},
        {"type": "reasoning", "encrypted_content": 7},
        {"signature": "E"},
    ):
        assert sizing.sealed(odd) == (0, 0)


def test_the_less_is_explained_the_nearer_factors_stay_to_that_of_the_first_prompt() -> None:
    plain, odd, unseen = Seen(), Seen(), Seen()
    for n in range(30):
        results, rest = 200 + 173 * n % 900, 80 + 31 * n % 60
        billed = round(1.2 * results + 1.2 * rest)
        plain = plain.with_one(Added(results, rest, 0, 0, round(1.4 * results + 1.1 * rest)))
        odd = odd.with_one(Added(results, rest, 0, 0, billed + 517 * n % 700 - 350))
        unseen = unseen.with_one(Added(results, rest, 300, 0, billed + 600))
    assert plain.factors(1.1).results == pytest.approx(1.4, rel=0.02)
    assert odd.factors(1.2).results == pytest.approx(1.2, rel=0.1)
    assert unseen.factors(1.2).results == pytest.approx(1.2, rel=0.03)
    assert Seen().factors(1.3).results == pytest.approx(1.3)


def test_thoughts_and_findings_each_have_a_factor_of_their_own() -> None:
    seen = Seen()
    for n in range(40):
        results, rest, thought, found = 200 + 173 * n % 900, 80 + 31 * n % 60, 7 * n % 41, 11 * n % 53
        seen = seen.with_one(
            Added(results, rest, thought, found, round(1.3 * (results + rest) + 0.5 * thought + 3 * found))
        )
    factors = seen.factors(1.2)
    assert factors.results == pytest.approx(1.3, rel=0.02)
    assert factors.thought == pytest.approx(0.5, abs=0.2)
    assert factors.found == pytest.approx(3, rel=0.1)


def test_a_block_more_in_a_message_that_is_not_looked_at_again_is_counted_within_it() -> None:
    def asked(*, blocks: int, messages: int) -> Call:
        told = [{"role": "user", "content": [{"type": "text", "text": f"said {n}"}]} for n in range(messages)]
        told[21]["content"] = [{"type": "text", "text": "part"}] * blocks
        return anthropic.parse(json.dumps({"messages": told}).encode())

    known = sizing.layout(asked(blocks=1, messages=40), "anthropic").shape()
    layout = sizing.layout(asked(blocks=30, messages=41), "anthropic", known)
    assert layout.units == 41, "the change was overlooked"
    assert [layout.unit_of(("messages", 21, "content", block)) for block in (0, 29)] == [21, 21]
    assert layout.unit_of(("messages", 40, "content", 0)) == 40
