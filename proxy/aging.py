"""Old results, shortened further: in batches, when the provider's bill says so, and never otherwise.

A conversation is known by the chain of its tool results: what it read so far, in order. Forks share a chain as far as they
share a past; a compacted history starts a new one. Each chain has a standing: which results go out in their deep form.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict, deque
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from itertools import accumulate
from typing import Protocol

from django.db import DatabaseError

from headroom.values import Policy, ToolCall
from proxy import decisions, epochs, mentions, policies
from proxy.decisions import Decided, Memory
from proxy.epochs import Billing, Candidate, Epoch, Prompt, Tuning
from proxy.offload import Offload
from proxy.ripeness import Ripeness, can_be_had_again, is_read
from proxy.values import Call, Outline, Path, Provider, ToolResult

logger = logging.getLogger(__name__)

CHARS_PER_TOKEN = 4
MIN_TOKENS = 80
"""Shorter results are not worth a marker."""
MAX_STANDINGS = 50_000
MAX_SIZES = 50_000
MAX_AHEAD = 16
"""So many requests are kept until there is time to look ahead."""
FIRST_TURN = 2
TURNS_PER_LOOK = 40
"""A conversation of forty answers is looked over every second turn, one of eighty every third, and so on."""
MAX_CLIENT_MARKS = 3
"""The provider takes four marks; one of them may be ours only if the client leaves one."""
LIFE_S = {"5m": 300.0, "1h": 3600.0}
OPENAI_LIFE_S = 600.0
HELD_TURNS = 20
"""What so many requests ago was cached for five minutes is still there: agents ask about every ten seconds. Counted in
turns, so that all workers agree, and those that did not see the conversation so far."""
GRACE_S = 15.0
"""A cache that expired by less than this may still be there."""


Progress = dict[tuple[str, str, int], int]
"""How many answers a conversation has by now that had an epoch: by its owner, the epoch's chain and its turn."""


@dataclass(frozen=True, slots=True)
class Stand:
    """Where one result of a request stands: its key, and what was decided about it (`None`: nothing)."""

    key: str
    result: ToolResult
    decided: Decided | None


@dataclass(frozen=True, slots=True)
class PastEpoch:
    """An epoch of a conversation: the results up to it, after how many answers, the tokens it took away, and its cost in
    fresh tokens' price."""

    chain: str
    turn: int
    saved_tokens: int
    cost: float


@dataclass(frozen=True, slots=True)
class Standing:
    """How a conversation stands after one of its requests.

    `deepened` are the keys of results in their deep form, `buried` those of them of which one line is left, `mark_key` is
    the one whose block carries our cache mark.
    `epoch_turn` is the number of answers that there were at the last epoch: what was cached before it is void since.
    `epochs` are those so far, and `asked_at_s` is the time of the last request, `None` when this process did not see it.
    """

    deepened: frozenset[str] = frozenset()
    buried: frozenset[str] = frozenset()
    mark_key: str = ""
    epoch_turn: int = 0
    epochs: tuple[PastEpoch, ...] = ()
    asked_at_s: float | None = None

    def form_key(self, key: str) -> str:
        """The identity of what the deepened result with this key goes out as."""
        return decisions.buried_key(key) if key in self.buried else decisions.deep_key(key)


@dataclass(frozen=True, slots=True)
class Aged:
    """What age changes about a request: forms by key, our mark, and the name of the epoch that begins with it."""

    forms: dict[str, Decided]
    mark: tuple[Path, str] | None = None
    epoch: str = ""
    deepened: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Look:
    """One request of a conversation, as aging looks at it. `billing` are its provider's cache prices, `at_s` its time."""

    call: Call
    provider: Provider
    stands: Sequence[Stand]
    owner: str
    policy: Policy
    billing: Billing
    at_s: float

    @cached_property
    def outline(self) -> Outline:
        """The request's blocks; drawn once, and only when an epoch may begin or a mark be set."""
        return self.provider.outline(self.call)


@dataclass(frozen=True, slots=True)
class Beginning:
    """An epoch that begins with a request: the standing from then on, and the deep forms that are new in it, each with its
    own identity."""

    chain: str
    standing: Standing
    deep: tuple[tuple[str, ToolResult, Decided], ...]
    trigger: str
    epoch: Epoch
    read_share: float
    conversation: str


@dataclass(frozen=True, slots=True)
class Held:
    """What holds from an epoch on, whoever began it: which results are deepened and buried, our mark, and the new forms by
    their own keys."""

    deepened: frozenset[str]
    buried: frozenset[str]
    mark_key: str
    forms: dict[str, Decided]


@dataclass(frozen=True, slots=True)
class Gain:
    """A result that may be shortened further, all but one line of it if `is_buried`, and the tokens that this saves."""

    stand: Stand
    is_buried: bool
    tokens: int


class EpochStore(Protocol):
    """Where epochs outlive the process. Every method may raise DatabaseError or TimeoutError."""

    async def load_standing(self, owner: str, chains: list[str], turns: int) -> Standing | None:
        """The standing after the last epoch up to a turn among these links of a chain, which come in order."""

    async def save_epoch(self, owner: str, beginning: Beginning) -> Held:
        """Store an epoch with its deep forms and the originals behind them, in one transaction; the first writer's holds."""

    async def load(self, keys: list[str]) -> dict[str, Decided]:
        """The stored decisions among these keys."""


class Aging:
    """The standings of the conversations of one worker."""

    def __init__(self, store: EpochStore, memory: Memory, offload: Offload, tuning: Tuning | None = None) -> None:
        self._store, self._memory, self._offload = store, memory, offload
        self._tuning = tuning or Tuning()
        self._standings: OrderedDict[tuple[str, int], Standing] = OrderedDict()
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._progress: Progress = {}
        self._asked: deque[tuple[Look, Standing]] = deque(maxlen=MAX_AHEAD)

    async def standing(self, look: Look) -> Standing:
        """How the conversation of a request stands before it."""
        chains, turns = _chains(look.owner, look.stands), look.call.turns
        again = self._standings.get((chains[-1], turns))
        if again is not None:  # this very request was here before
            return again
        standing = self._standings.get((_last_asked(chains, look.stands), turns - 1))
        return standing or await self._stored(look.owner, chains, turns) or Standing()

    async def age(self, look: Look, standing: Standing) -> Aged:
        """Look a conversation over and say what its older results go out as."""
        request = (_chains(look.owner, look.stands)[-1], look.call.turns)
        trigger = ""
        if request not in self._standings:
            standing, trigger = await self._advance(look, request[0], standing)
            if _is_due(look.call.turns + 1):
                self._asked.append((look, standing))
        for epoch in standing.epochs:
            place = (look.owner, epoch.chain, epoch.turn)
            self._progress[place] = max(look.call.turns, self._progress.get(place, 0))
        forms = await self._deep_forms(look, standing)
        self._remember(request, replace(standing, asked_at_s=look.at_s))
        return Aged(forms, _mark(look, standing), trigger, standing.deepened)

    async def look_ahead(self) -> None:
        """Measure the deep forms of what will be ripe when conversations ask next: for a moment when nobody waits."""
        earlier = self._tuning.a_turn_earlier()
        while self._asked:
            look, standing = self._asked.popleft()
            for stand, is_buried, _ in _ripe(look, standing, earlier):
                await self._size(stand, look, is_buried=is_buried)
                await asyncio.sleep(0)  # requests go first

    def take_progress(self) -> Progress:
        """How far conversations got since the last call."""
        progress, self._progress = self._progress, {}
        return progress

    async def _stored(self, owner: str, chains: list[str], turns: int) -> Standing | None:
        try:
            return await self._store.load_standing(owner, chains, turns)
        except (DatabaseError, TimeoutError):
            return None

    async def _advance(self, look: Look, chain: str, standing: Standing) -> tuple[Standing, str]:
        """The standing with which this request goes out, and what triggered an epoch, if one begins."""
        if not _is_due(look.call.turns) and not _may_be_cold(standing, look.at_s):
            return standing, ""
        forms = await self._deep_forms(look, standing)
        gains = await self._gains(look, standing, forms)
        if not gains:
            return standing, ""
        outline = look.outline
        billing = replace(look.billing, is_cold=_is_cold(outline, standing, look.at_s))
        billed, earned = _books(look, outline, standing)
        allowance = max(0.0, earned) + self._tuning.risk_share * billed
        prompt = _prompt(look, outline, standing, forms, allowance)
        candidates = [Candidate(outline.results[gain.stand.result.path], gain.tokens) for gain in gains]
        epoch = epochs.plan(prompt, candidates, billing, policies.tuned(self._tuning, look.policy))
        if epoch is None:
            return standing, ""
        chosen = gains[epoch.first :]
        after = replace(
            standing,
            deepened=standing.deepened | {gain.stand.key for gain in chosen},
            buried=standing.buried | {gain.stand.key for gain in chosen if gain.is_buried},
            mark_key=_marked(prompt, epoch, outline, look.stands, chosen[-1].stand),
            epoch_turn=len(outline.turn_ends),
            epochs=(*standing.epochs, PastEpoch(chain, len(outline.turn_ends), epoch.saved_tokens, epoch.cost)),
        )
        beginning = Beginning(
            chain,
            after,
            await self._fresh_forms(chosen, look, after, _telling(look.stands, forms) or {chosen[0].stand.key}),
            _trigger(billing),
            epoch,
            billing.read,
            look.call.conversation,
        )
        try:
            held = await self._store.save_epoch(look.owner, beginning)
        except (DatabaseError, TimeoutError):
            logger.warning("the decision store is down; no epoch begins until it is back")
            return standing, ""
        for key, made in held.forms.items():
            self._memory.put(key, made)
        return replace(after, deepened=held.deepened, buried=held.buried, mark_key=held.mark_key), beginning.trigger

    async def _gains(self, look: Look, standing: Standing, forms: dict[str, Decided]) -> list[Gain]:
        """What may be shortened further now, in order. `forms` are the deep forms in force."""
        keys = {stand.key for stand in look.stands}
        gains: list[Gain] = []
        for stand, is_buried, lost in _ripe(look, standing, self._tuning):
            if stand.key in standing.deepened and stand.key not in forms:
                continue
            now = forms.get(stand.key) or stand.decided
            tokens_now = now.tokens_after if now is not None else len(stand.result.text) // CHARS_PER_TOKEN
            gain = Gain(stand, is_buried, tokens_now - await self._size(stand, look, is_buried=is_buried) - lost)
            must_speak = (
                stand.key not in standing.deepened and stand.decided is not None and stand.decided.refers_to in keys
            )
            if gain.tokens > 0 or must_speak:
                gains.append(gain)
        return gains

    async def _size(self, stand: Stand, look: Look, *, is_buried: bool) -> int:
        """The tokens of a deep form. Without the names that were spoken of: by the result alone, so that every worker sees
        the same gain."""
        key = decisions.buried_key(stand.key) if is_buried else stand.key
        if key not in self._sizes:
            made = await self._deepened(stand, look, [], is_buried=is_buried, is_told=True)
            self._sizes[key] = made.tokens_after
            while len(self._sizes) > MAX_SIZES:
                self._sizes.popitem(last=False)
        return self._sizes[key]

    async def _fresh_forms(
        self, gains: Sequence[Gain], look: Look, after: Standing, telling: AbstractSet[str]
    ) -> tuple[tuple[str, ToolResult, Decided], ...]:
        """The deep forms of results as what was said so far makes them. Those whose markers say how originals can be had,
        `telling`, go on to say so."""
        said = mentions.talk(look.call.document or {})
        made: list[tuple[str, ToolResult, Decided]] = []
        for gain in gains:
            stand = gain.stand
            is_told = stand.key not in telling
            form = await self._deepened(stand, look, said, is_buried=gain.is_buried, is_told=is_told)
            made.append((after.form_key(stand.key), stand.result, form))
        return tuple(made)

    async def _deep_forms(self, look: Look, standing: Standing) -> dict[str, Decided]:
        """The deep forms in force, remembered or stored. One that cannot be had is missing: its result goes out as before."""
        keyed = {standing.form_key(stand.key): stand for stand in look.stands if stand.key in standing.deepened}
        forms = {key: made for key in keyed if (made := self._known(key)) is not None}
        unknown = [key for key in keyed if key not in forms]
        if unknown:
            try:
                stored = await self._store.load(unknown)
            except (DatabaseError, TimeoutError):
                logger.warning("the decision store is down; %d results go out longer than they did", len(unknown))
                stored = {}
            for key, made in stored.items():
                self._memory.put(key, made)
            forms |= stored
        return {stand.key: forms[key] for key, stand in keyed.items() if key in forms}

    def _known(self, key: str) -> Decided | None:
        return self._memory.get(key) if key in self._memory else None

    async def _deepened(self, stand: Stand, look: Look, said: list[str], *, is_buried: bool, is_told: bool) -> Decided:
        since = said[len(said) - stand.result.age_turns :] if stand.result.age_turns else []
        deep = replace(
            look.policy,
            level="deep",
            min_tokens=MIN_TOKENS,
            deep_share=0.0 if is_buried else self._share(stand.result),
            keep_words=() if is_buried else mentions.words(stand.result.text, since),
            is_told=is_told,
        )
        shrunk = await self._offload.shrink(
            stand.result.text, ToolCall(stand.result.tool, stand.result.arguments), deep
        )
        return Decided.from_shrunk(shrunk, deep)

    def _share(self, result: ToolResult) -> float | None:
        """How much of a result is left at its age, `None` where only its kind says."""
        if is_read(result):
            return self._tuning.deep_read_share
        return self._tuning.deep_share if can_be_had_again(result) else None

    def _remember(self, request: tuple[str, int], standing: Standing) -> None:
        """Keep how a conversation stands after a request: its chain, and how many answers there were."""
        self._standings[request] = standing
        self._standings.move_to_end(request)
        while len(self._standings) > MAX_STANDINGS:
            self._standings.popitem(last=False)


def _is_due(turns: int) -> bool:
    """Whether a conversation of so many answers is looked over now: the longer it is, the less a few turns matter."""
    return turns >= FIRST_TURN and turns % (1 + turns // TURNS_PER_LOOK) == 0


def _may_be_cold(standing: Standing, at_s: float) -> bool:
    return standing.asked_at_s is not None and at_s - standing.asked_at_s > min(LIFE_S.values())


def _telling(stands: Sequence[Stand], forms: dict[str, Decided]) -> set[str]:
    """The keys of the results whose markers say how originals can be had, as they go out now."""
    shown = ((stand.key, forms.get(stand.key) or stand.decided) for stand in stands)
    return {key for key, made in shown if made is not None and made.tells_way_back}


def _trigger(billing: Billing) -> str:
    return "cold" if billing.is_cold else "size"


def _ripe(look: Look, standing: Standing, tuning: Tuning) -> list[tuple[Stand, bool, int]]:
    """The results that may be deepened or buried now, in order: each with whether it is to be buried, and with the most
    tokens that younger results take which refer to it: those have to speak for themselves from then on."""
    ripeness = Ripeness(look.call, tuning)
    lost: Counter[str] = Counter()
    found: list[tuple[Stand, bool, int]] = []
    for stand in reversed(look.stands):
        if stand.key in standing.buried:
            continue
        if stand.key in standing.deepened:
            if ripeness.is_buried(stand.result):
                found.append((stand, True, 0))
        elif ripeness.is_ripe(stand.result):
            found.append((stand, ripeness.is_buried(stand.result), lost[stand.key]))
        elif stand.decided is not None and stand.decided.refers_to:
            lost[stand.decided.refers_to] += stand.decided.tokens_before - stand.decided.tokens_after
    return found[::-1]


def _chains(owner: str, stands: Sequence[Stand]) -> list[str]:
    """A digest for every beginning of the conversation, by its results."""
    chains: list[str] = []
    link = owner.encode()
    for stand in stands:
        link = blake2b(link + stand.key.encode(), digest_size=16).digest()
        chains.append(link.hex())
    return chains


def _books(look: Look, outline: Outline, standing: Standing) -> tuple[float, float]:
    """About what the conversation would have cost so far without us, and how much of that we saved: in tokens at the price
    of fresh input, from the history and its epochs alone, so that every worker counts the same."""
    tokens = [chars // CHARS_PER_TOKEN for chars in outline.chars]
    earned = 0.0
    for stand in look.stands:
        if stand.decided is None:
            continue
        tokens[outline.results[stand.result.path]] = stand.decided.tokens_before
        saved_tokens = stand.decided.tokens_before - stand.decided.tokens_after
        if stand.result.age_turns:
            earned += saved_tokens * (look.billing.write + look.billing.read * (stand.result.age_turns - 1))
    for epoch in standing.epochs:
        turns_since = max(0, len(outline.turn_ends) - epoch.turn)
        earned += look.billing.read * epoch.saved_tokens * turns_since - epoch.cost
    ends = list(accumulate(tokens, initial=0))
    billed, sent_tokens = 0.0, 0
    for end in outline.turn_ends:
        billed += look.billing.read * sent_tokens + look.billing.write * (ends[end] - sent_tokens)
        sent_tokens = ends[end]
    return billed, earned


def _last_asked(chains: Sequence[str], stands: Sequence[Stand]) -> str:
    """The chain as it was when the conversation asked last: up to the newest results. "" before the second request."""
    old = [chain for chain, stand in zip(chains, stands, strict=True) if not stand.result.is_newest]
    return old[-1] if old else ""


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
    held_turns = int(HELD_TURNS * _life_s(outline) / min(LIFE_S.values()))
    first_turn = max(standing.epoch_turn, len(outline.turn_ends) - held_turns)
    ends = outline.turn_ends[first_turn:]
    blocks = [outline.results[stand.result.path] for stand in look.stands]
    if first_turn == standing.epoch_turn:
        ends += [block + 1 for block, stand in zip(blocks, look.stands, strict=True) if stand.key == standing.mark_key]
    return sorted({at_start, *(end for end in ends if epochs.seen_from(end, blocks) is not None)}), last_end


def _is_cold(outline: Outline, standing: Standing, at_s: float) -> bool:
    """Whether the provider has forgotten the last request by now, as far as we know when that was."""
    return standing.asked_at_s is not None and at_s - standing.asked_at_s > _life_s(outline) + GRACE_S


def _life_s(outline: Outline) -> float:
    return max((LIFE_S.get(ttl, LIFE_S["1h"]) for _, ttl in outline.marks), default=OPENAI_LIFE_S)


def _marked(prompt: Prompt, epoch: Epoch, outline: Outline, stands: Sequence[Stand], last: Stand) -> str:
    """The key of the result that shall carry our mark. `last` is the last one that the epoch deepens."""
    blocks = [outline.results[stand.result.path] for stand in stands]
    place = epochs.mark_place(prompt, epoch, outline.results[last.result.path] + 1)
    seen = epochs.seen_from(epoch.read_to, blocks) if place == "read" else None
    return stands[seen].key if seen is not None else last.key


def _mark(look: Look, standing: Standing) -> tuple[Path, str] | None:
    """Which block of this request carries our mark, and with which ttl: that of the client's own moving mark."""
    if not standing.mark_key:
        return None
    ttls = look.provider.marks(look.call)
    marked = next((stand.result for stand in look.stands if stand.key == standing.mark_key), None)
    return (marked.path, ttls[-1]) if marked is not None and 0 < len(ttls) <= MAX_CLIENT_MARKS else None


def _marks(provider: Provider, outline: Outline) -> list[tuple[int, str]]:
    """The client's marks if they leave room for one of ours, else none."""
    return outline.marks if provider.DIALECT == "anthropic" and len(outline.marks) <= MAX_CLIENT_MARKS else []
