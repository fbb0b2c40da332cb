"""Play a recorded session through the proxy's own code and bill every turn twice: as it was, and as we would have sent it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from headroom.values import Policy
from proxy import cache_prices, conversations, decisions, splice
from proxy.accounting.sizing import size_of
from proxy.aging.epochs import Billing
from proxy.conversations import Conversations
from proxy.decisions import Decided
from proxy.histories import Histories
from proxy.providers import anthropic, openai_chat
from proxy.replay import agents, billing
from proxy.replay.billing import Block, Cache
from proxy.replay.outcomes import Form, Outcome, Spent
from proxy.replay.prompts import Prompts
from proxy.replay.values import Session, Turn
from proxy.values import Call, Dialect, Plan, Provider
from savings import pricing
from savings.pricing import PriceBook, Tariff

PROVIDERS: dict[Dialect, Provider] = {"anthropic": anthropic, "openai": openai_chat}
UPSTREAMS: dict[Dialect, str] = {"anthropic": "https://api.anthropic.com", "openai": "https://api.openai.com"}
DEFAULT_MODELS: dict[Dialect, str] = {"anthropic": "claude-sonnet-4-5", "openai": "gpt-4o"}
"""For recordings that name no model."""
OWNER = "replay"
DEEPER = "deeper: "
"""What the names of forms begin with that older results got in an epoch."""

Mode = Literal["token", "cache"]
"""As the proxy's: `cache` leaves at first sight, `token` shortens older results further where that pays."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to replay: the proxy's policy, prices, a model instead of the recorded ones, and turns of a session at most.

    `now_s` (seconds since 1970) is when recordings without a time are taken to have been made.
    """

    policy: Policy
    prices: PriceBook
    now_s: float
    mode: Mode = "token"
    model: str = ""
    max_turns: int | None = None


@dataclass(slots=True)
class _Side:
    """One of the worlds (without us, with us, with first sight alone): what its provider has cached, and what was spent there."""

    cache: Cache
    spent: Spent


class Playback:
    """The state of one replayed session."""

    def __init__(self, session: Session, road: Conversations, settings: Settings) -> None:
        self._session, self._road, self._settings = session, road, settings
        self._provider = PROVIDERS[session.dialect]
        self._histories, self._prompts = Histories(), Prompts()
        self._sides = (_Side({}, Spent()), _Side({}, Spent()), _Side({}, Spent()))
        self._prefix_tokens: dict[str, int] = {}
        self._counted: set[str] = set()
        self._forms: dict[str, Form] = {}
        self._left_alone: Counter[str] = Counter()
        self._unpriced: Counter[str] = Counter()
        self._epochs: Counter[str] = Counter()
        self._epoch_turns: list[tuple[int, str]] = []
        self._facts = self._hidden_facts = 0
        self._turn_ms: list[float] = []

    async def play(self, on_turn: Callable[[], None]) -> Outcome:
        """Play the turns; `on_turn` is called after each."""
        for turn in self._session.turns[: self._settings.max_turns]:
            await self._play(turn)
            on_turn()
        return Outcome(
            name=self._session.name,
            sessions=1,
            turns=len(self._turn_ms),
            before=self._sides[0].spent,
            after=self._sides[1].spent,
            first_sight=self._sides[2].spent,
            epoch_turns=tuple(self._epoch_turns),
            facts=self._facts,
            hidden_facts=self._hidden_facts,
            forms=self._forms,
            left_alone=dict(self._left_alone),
            unpriced=dict(self._unpriced),
            epochs=dict(self._epochs),
            turn_ms_sum=sum(self._turn_ms),
            slowest_turn_ms=max(self._turn_ms, default=0.0),
        )

    async def _play(self, turn: Turn) -> None:
        model = self._settings.model or turn.model or DEFAULT_MODELS[self._session.dialect]
        body = agents.request(self._session, turn, model=model)
        at_s = self._settings.now_s if turn.at_s is None else turn.at_s
        started = time.perf_counter()
        call = self._provider.parse(body, partial(self._histories.read, OWNER))
        plan = await self._road.plan(
            call,
            self._provider,
            owner=OWNER,
            policy=self._settings.policy,
            billing=self._billing(model, at_s),
            at_s=at_s,
        )
        sent = _rendered(self._provider, call, plan)
        self._turn_ms.append(1000 * (time.perf_counter() - started))
        self._note(call)
        if plan.epoch:
            self._epochs[plan.epoch] += 1
            self._epoch_turns.append((len(self._turn_ms), plan.epoch))
            self._note_deeper(call, plan)
        self._note_facts(turn, sent)
        first_sight = await self._at_first_sight(call, at_s)
        self._pay(turn, model, call, sent, sent if first_sight is None else first_sight)

    async def _at_first_sight(self, call: Call, at_s: float) -> bytes | None:
        """What would go out if older results were never shortened further; `None` where they never are."""
        if self._settings.mode == "cache":
            return None
        plan = await self._road.plan(call, self._provider, owner=OWNER, policy=self._settings.policy, at_s=at_s)
        return _rendered(self._provider, call, plan)

    def _note_facts(self, turn: Turn, sent: bytes) -> None:
        needed = self._session.needed.get(turn.length)
        if needed:
            visible = "\n".join(_strings(splice.loads(sent)))
            self._facts += len(needed)
            self._hidden_facts += sum(fact not in visible for fact in needed)

    def _billing(self, model: str, at_s: float) -> Billing | None:
        dialect = self._session.dialect
        if self._settings.mode == "cache":
            return None
        return cache_prices.billing(self._settings.prices, dialect, UPSTREAMS[dialect], model, at_s)

    def _pay(self, turn: Turn, model: str, call: Call, sent: bytes, first_sight: bytes) -> None:
        dialect = self._session.dialect
        at_s = self._settings.now_s if turn.at_s is None else turn.at_s
        tariff = self._settings.prices.tariff(PROVIDERS[dialect].NAME, UPSTREAMS[dialect], model, at_s)
        if tariff is None:
            self._unpriced[model] += 1
            return
        before = self._with_prefix(turn, self._prompts.blocks(call.document or {}, dialect))
        after, first = (
            before if body is call.body else self._with_prefix(turn, self._prompts.blocks(splice.loads(body), dialect))
            for body in (sent, first_sight)
        )
        if billing.refusal(after):
            after = before  # the provider would answer 400, and the proxy would then send the client's own bytes
            self._left_alone["edit_refused"] += 1
        bill = billing.biller(dialect, bills_writes=_bills_writes(tariff))
        output_tokens = max(turn.recorded_output_tokens, size_of(turn.answer))
        billed = [
            bill(blocks, side.cache, at_s=at_s, scope=model.encode())
            for side, blocks in zip(self._sides, (before, after, first), strict=True)
        ]
        usages = [replace(one.usage, output=output_tokens) for one in billed]
        costs = [pricing.cost_nano_usd(tariff, usage) for usage in usages]
        for side, one, usage, cost in zip(self._sides, billed, usages, costs, strict=True):
            if None in costs or cost is None:  # a turn is priced on both sides or on none
                self._unpriced[model] += 1
                return
            side.cache = one.cache
            side.spent += Spent.of(usage, cost)

    def _with_prefix(self, turn: Turn, blocks: list[Block]) -> list[Block]:
        """The first block stands for a prompt that was not recorded: its length is what the provider counted beyond ours."""
        if not self._session.leaves_out_prefix:
            return blocks
        if turn.thread not in self._prefix_tokens:
            counted = sum(block.tokens for block in blocks)
            self._prefix_tokens[turn.thread] = max(0, (turn.recorded_input_tokens or 0) - counted)
        first = blocks[0]
        return [replace(first, tokens=first.tokens + self._prefix_tokens[turn.thread]), *blocks[1:]]

    def _note(self, call: Call) -> None:
        """Count what was decided about results that are seen for the first time."""
        for result in call.results:
            if not result.is_newest or len(result.text) < conversations.SMALL_CHARS:
                continue
            decided = self._first_time(decisions.key_of(OWNER, result))
            if decided is not None and decided.form is None:
                self._left_alone[decided.reason] += 1
            elif decided is not None:
                self._add_form(decided.label, decided.tokens_before, decided.tokens_after)

    def _note_deeper(self, call: Call, plan: Plan) -> None:
        """Count the forms that an epoch put in the place of those of first sight."""
        for result in call.results:
            key = decisions.key_of(OWNER, result)
            before = self._remembered(key)
            for deeper_key in (decisions.deep_key(key), decisions.buried_key(key)):
                deeper = self._remembered(deeper_key)
                if deeper is None:
                    continue
                is_sent = deeper.form is not None and plan.replacements.get(result.path) == deeper.form
                is_deeper = before is None or before.form != deeper.form
                if is_sent and is_deeper and self._first_time(deeper_key) is not None:
                    tokens_before = deeper.tokens_before if before is None else before.tokens_after
                    self._add_form(DEEPER + deeper.label, tokens_before, deeper.tokens_after)
                before = deeper

    def _first_time(self, key: str) -> Decided | None:
        """The decision under this key, unless it was counted before."""
        if key in self._counted or (decided := self._remembered(key)) is None:
            return None
        self._counted.add(key)
        return decided

    def _remembered(self, key: str) -> Decided | None:
        return self._road.memory.find([key]).get(key)

    def _add_form(self, name: str, tokens_before: int, tokens_after: int) -> None:
        self._forms[name] = self._forms.get(name, Form()) + Form(1, tokens_before, tokens_after)


def _rendered(provider: Provider, call: Call, plan: Plan) -> bytes:
    try:
        return provider.render(call, plan)
    except splice.Unspliceable:
        return call.body


def _strings(value: Any) -> Iterator[str]:
    """Every string in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part)


def _bills_writes(tariff: Tariff) -> bool:
    rates = tariff.tiers[0][1]
    return (rates.cache_write_5m or 0) > (rates.input_fresh or 0)
