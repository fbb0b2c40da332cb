"""Old results, shortened further: in batches, when the provider's bill says so, and never otherwise.

A conversation is known by the chain of its tool results: what it read so far, in order. Forks share a chain as far as they
share a past; a compacted history starts a new one. Each chain has a standing: which results go out in their deep form.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Protocol

from django.db import DatabaseError

from headroom.shrinkers import reading
from headroom.values import Policy, ToolCall
from proxy import decisions, epochs
from proxy.decisions import Decided, Memory
from proxy.epochs import Billing, Candidate, Epoch, Prompt, Tuning
from proxy.offload import Offload
from proxy.values import Call, Outline, Path, Provider, ToolResult

logger = logging.getLogger(__name__)

CHARS_PER_TOKEN = 4
MIN_TOKENS = 120
"""Shorter results are not worth a marker."""
MAX_STANDINGS = 50_000
MAX_CLIENT_MARKS = 3
"""The provider takes four marks; one of them may be ours only if the client leaves one."""
LIFE_S = {"5m": 300.0, "1h": 3600.0}
OPENAI_LIFE_S = 600.0
GRACE_S = 15.0
"""A cache that expired by less than this may still be there."""


@dataclass(frozen=True, slots=True)
class Stand:
    """Where one result of a request stands: its key, and what was decided about it (`None`: nothing)."""

    key: str
    result: ToolResult
    decided: Decided | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a conversation stands after one of its requests.

    `deepened` are the keys of results in their deep form, `mark_key` the one whose block carries our cache mark.
    `epoch_turn` is the number of answers that there were at the last epoch: what was cached before it is void since.
    `turn`, `asked_at_s` and `sent_tokens` tell of the last request; `billed` is about what the conversation cost so far and
    `earned` what it would have cost more without us, in tokens at the price of fresh input.
    """

    deepened: frozenset[str] = frozenset()
    mark_key: str = ""
    epoch_turn: int = 0
    turn: int = 0
    asked_at_s: float | None = None
    sent_tokens: int = 0
    billed: float = 0.0
    earned: float = 0.0


@dataclass(frozen=True, slots=True)
class Aged:
    """What age changes about a request: forms by key, our mark, and the name of the epoch that begins with it."""

    forms: dict[str, Decided]
    mark: tuple[Path, str] | None = None
    epoch: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """One request of a conversation, as aging looks at it. `billing` are its provider's cache prices, `at_s` its time."""

    call: Call
    provider: Provider
    stands: Sequence[Stand]
    owner: str
    policy: Policy
    billing: Billing
    at_s: float


@dataclass(frozen=True, slots=True)
class Beginning:
    """An epoch that begins with a request: the standing from then on, and the deep forms that are new in it."""

    chain: str
    standing: Standing
    deep: tuple[tuple[str, ToolResult, Decided], ...]
    trigger: str
    epoch: Epoch


class EpochStore(Protocol):
    """Where epochs outlive the process. Every method may raise DatabaseError or TimeoutError."""

    async def load_standing(self, owner: str, chains: list[str], turns: int) -> Standing | None:
        """The standing after the last epoch up to a turn among these links of a chain, which come in order."""

    async def save_epoch(self, owner: str, beginning: Beginning, policy: Policy) -> None:
        """Store an epoch with its deep forms and the originals behind them, in one transaction."""

    async def load(self, keys: list[str]) -> dict[str, Decided]:
        """The stored decisions among these keys."""


class Aging:
    """The standings of the conversations of one worker."""

    def __init__(self, store: EpochStore, memory: Memory, offload: Offload, tuning: Tuning | None = None) -> None:
        self._store, self._memory, self._offload = store, memory, offload
        self._tuning = tuning or Tuning()
        self._standings: OrderedDict[tuple[str, int], Standing] = OrderedDict()

    async def age(self, look: Look) -> Aged:
        """Look a conversation over and say what its older results go out as."""
        chains = _chains(look.owner, look.stands)
        turns, trigger = look.call.turns, ""
        standing = self._standings.get((chains[-1], turns))
        if standing is None:  # else this very request was here before
            standing = self._standings.get((_last_asked(chains, look.stands), turns - 1))
            standing = standing or await self._stored(look.owner, chains, turns) or Standing()
            standing, trigger = await self._advance(look, chains[-1], standing)
        deepened = [stand for stand in look.stands if stand.key in standing.deepened]
        forms = await self._deep_forms(deepened, look.policy)
        self._remember((chains[-1], turns), _booked(look, standing, forms))
        return Aged(forms, _mark(look, standing), trigger)

    async def _stored(self, owner: str, chains: list[str], turns: int) -> Standing | None:
        try:
            return await self._store.load_standing(owner, chains, turns)
        except (DatabaseError, TimeoutError):
            return None

    async def _advance(self, look: Look, chain: str, standing: Standing) -> tuple[Standing, str]:
        """The standing with which this request goes out, and what triggered an epoch, if one begins."""
        if look.call.turns < self._tuning.min_age_turns:
            return standing, ""
        outline = look.provider.outline(look.call)
        billing = replace(look.billing, is_cold=_is_cold(outline, standing, look.at_s))
        gains = await self._gains(look, standing, billing)
        if not gains:
            return standing, ""
        allowance = max(0.0, standing.earned) + self._tuning.risk_share * standing.billed
        prompt = _prompt(look, outline, standing, self._forms_of(standing), allowance)
        candidates = [Candidate(outline.results[stand.result.path], saved) for stand, _, saved in gains]
        epoch = epochs.plan(prompt, candidates, billing, self._tuning)
        if epoch is None:
            return standing, ""
        chosen = gains[epoch.first :]
        marked = _marked(prompt, epoch, outline, look.stands, chosen[-1][0])
        deepened = standing.deepened | {stand.key for stand, _, _ in chosen}
        after = replace(
            standing,
            deepened=deepened,
            mark_key=marked,
            epoch_turn=len(outline.turn_ends),
            earned=standing.earned - epoch.cost,
        )
        deep = tuple((stand.key, stand.result, made) for stand, made, _ in chosen)
        beginning = Beginning(chain, after, deep, "cold" if billing.is_cold else "size", epoch)
        try:
            await self._store.save_epoch(look.owner, beginning, look.policy)
        except (DatabaseError, TimeoutError):
            logger.warning("the decision store is down; no epoch begins until it is back")
            return standing, ""
        return after, beginning.trigger

    async def _gains(self, look: Look, standing: Standing, billing: Billing) -> list[tuple[Stand, Decided, int]]:
        """Results that are old enough and not deepened yet, with their deep forms and the tokens that these save."""
        old = [s for s in look.stands if s.key not in standing.deepened and self._is_old(s.result, billing)]
        deep = await self._deep_forms(old, look.policy)
        gains = [(stand, deep[stand.key], _tokens_now(stand) - deep[stand.key].tokens_after) for stand in old]
        return [gain for gain in gains if gain[2] > 0]

    def _is_old(self, result: ToolResult, billing: Billing) -> bool:
        if result.age_turns < self._tuning.min_age_turns or billing.is_cold:
            return result.age_turns >= self._tuning.min_age_turns
        read = reading.is_file(ToolCall(result.tool, result.arguments))
        return not read or result.age_turns >= self._tuning.min_read_age_turns

    def _forms_of(self, standing: Standing) -> dict[str, Decided]:
        """The deep forms in force, as far as they are in memory; only their sizes matter here."""
        forms = ((key, self._known(decisions.deep_key(key))) for key in standing.deepened)
        return {key: made for key, made in forms if made is not None}

    async def _deep_forms(self, stands: Sequence[Stand], policy: Policy) -> dict[str, Decided]:
        """The deep forms of results: remembered, stored, or made now; the same bytes each way."""
        keyed = {decisions.deep_key(stand.key): stand for stand in stands}
        forms = {key: made for key in keyed if (made := self._known(key)) is not None}
        unknown = [key for key in keyed if key not in forms]
        if unknown:
            try:
                forms |= await self._store.load(unknown)
            except (DatabaseError, TimeoutError):
                logger.warning("the decision store is down; %d deep forms are made afresh", len(unknown))
            for key in unknown:
                forms[key] = forms.get(key) or await self._deepened(keyed[key], policy)
                self._memory.put(key, forms[key])
        return {stand.key: forms[key] for key, stand in keyed.items()}

    def _known(self, key: str) -> Decided | None:
        return self._memory.get(key) if key in self._memory else None

    async def _deepened(self, stand: Stand, policy: Policy) -> Decided:
        deep = replace(policy, level="deep", min_tokens=MIN_TOKENS)
        shrunk = await self._offload.shrink(
            stand.result.text, ToolCall(stand.result.tool, stand.result.arguments), deep
        )
        return Decided.from_shrunk(shrunk)

    def _remember(self, request: tuple[str, int], standing: Standing) -> None:
        """Keep how a conversation stands after a request: its chain, and how many answers there were."""
        self._standings[request] = standing
        self._standings.move_to_end(request)
        while len(self._standings) > MAX_STANDINGS:
            self._standings.popitem(last=False)


def _chains(owner: str, stands: Sequence[Stand]) -> list[str]:
    """A digest for every beginning of the conversation, by its results."""
    chains: list[str] = []
    link = owner.encode()
    for stand in stands:
        link = blake2b(link + stand.key.encode(), digest_size=16).digest()
        chains.append(link.hex())
    return chains


def _booked(look: Look, standing: Standing, forms: dict[str, Decided]) -> Standing:
    """The standing with this request on its account."""
    saved_tokens = 0
    for stand in look.stands:
        made = forms.get(stand.key) or stand.decided
        if made is not None:
            saved_tokens += (stand.decided or made).tokens_before - made.tokens_after
    sent_tokens = len(look.call.body) // CHARS_PER_TOKEN - saved_tokens
    is_new = standing.turn < look.call.turns or not standing.sent_tokens
    billed = look.billing.read * standing.sent_tokens + look.billing.write * max(0, sent_tokens - standing.sent_tokens)
    return replace(
        standing,
        turn=look.call.turns,
        asked_at_s=look.at_s,
        sent_tokens=sent_tokens,
        billed=standing.billed + is_new * billed,
        earned=standing.earned + is_new * look.billing.read * saved_tokens,
    )


def _last_asked(chains: Sequence[str], stands: Sequence[Stand]) -> str:
    """The chain as it was when the conversation asked last: up to the newest results. "" before the second request."""
    old = [chain for chain, stand in zip(chains, stands, strict=True) if not stand.result.is_newest]
    return old[-1] if old else ""


def _tokens_now(stand: Stand) -> int:
    return stand.decided.tokens_after if stand.decided is not None else len(stand.result.text) // CHARS_PER_TOKEN


def _prompt(look: Look, outline: Outline, standing: Standing, deep: dict[str, Decided], allowance: float) -> Prompt:
    tokens = [chars // CHARS_PER_TOKEN for chars in outline.chars]
    for stand in look.stands:
        made = deep.get(stand.key) or stand.decided
        if made is not None:
            tokens[outline.results[stand.result.path]] = made.tokens_after
    entries, cached_end = _entries(look, outline, standing)
    return Prompt(tokens, cached_end, entries, turns=len(outline.turn_ends), allowance=allowance)


def _entries(look: Look, outline: Outline, standing: Standing) -> tuple[list[int], int]:
    """After which blocks the provider has a prefix of today's bytes that we can have read, and how far the last request
    reached."""
    first_message = min([*outline.turn_ends, len(outline.chars)])
    at_start = max((end for end, _ in outline.marks if end <= first_message), default=0)
    if outline.marks and all(end <= first_message for end, _ in outline.marks):
        return [at_start], at_start
    last_end = outline.turn_ends[-1] if outline.turn_ends else at_start
    if outline.marks and not _marks(look.provider, outline):
        return [at_start], last_end
    kept = [outline.results[stand.result.path] + 1 for stand in look.stands if stand.key == standing.mark_key]
    return sorted({at_start, *kept, *outline.turn_ends[standing.epoch_turn :]}), last_end


def _is_cold(outline: Outline, standing: Standing, at_s: float) -> bool:
    """Whether the provider has forgotten the last request by now, as far as we know when that was."""
    if standing.asked_at_s is None:
        return False
    life_s = max((LIFE_S.get(ttl, LIFE_S["1h"]) for _, ttl in outline.marks), default=OPENAI_LIFE_S)
    return at_s - standing.asked_at_s > life_s + GRACE_S


def _marked(prompt: Prompt, epoch: Epoch, outline: Outline, stands: Sequence[Stand], last: Stand) -> str:
    """The key of the result that shall carry our mark. `last` is the last one that the epoch deepens."""
    end = outline.results[last.result.path] + 1
    if epochs.mark_place(prompt, epoch, end) == "read":
        for stand in stands:
            if outline.results[stand.result.path] + 1 == epoch.read_to:
                return stand.key
    return last.key


def _mark(look: Look, standing: Standing) -> tuple[Path, str] | None:
    """Which block of this request carries our mark, and with which ttl: that of the client's own moving mark."""
    if not standing.mark_key:
        return None
    marks = _marks(look.provider, look.provider.outline(look.call))
    marked = next((stand.result for stand in look.stands if stand.key == standing.mark_key), None)
    return (marked.path, marks[-1][1]) if marks and marked is not None else None


def _marks(provider: Provider, outline: Outline) -> list[tuple[int, str]]:
    """The client's marks if they leave room for one of ours, else none."""
    return outline.marks if provider.DIALECT == "anthropic" and len(outline.marks) <= MAX_CLIENT_MARKS else []
