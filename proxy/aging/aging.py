"""The standings of conversations: when an epoch begins, and what it changes.

A conversation is known by how it opens and the chain of its tool results: what it read so far, in order. Forks share a chain as far as they
share a past, and what was sent of that last; a compacted history starts a new one.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache, partial
from hashlib import blake2b

from django.db import DatabaseError

from proxy import decisions, policies
from proxy.aging import epochs, prompt_cache, ripeness
from proxy.aging.deep_forms import DeepForms
from proxy.aging.epochs import Billing, Candidate, Tuning
from proxy.aging.lines import Asked, Lines
from proxy.aging.pasts import EpochStore, Past, Pasts
from proxy.aging.ripeness import Ripeness
from proxy.aging.values import Aged, Beginning, Begun, Gain, Look, Place, Progress, Stand, Standing
from proxy.decisions import Decided, Memory
from proxy.offload import Offload

logger = logging.getLogger(__name__)

MAX_AHEAD = 16
"""So many requests are kept until there is time to look ahead."""
FIRST_TURN = 2
TURNS_PER_LOOK = 40
"""A conversation of forty answers is looked over every second turn, one of eighty every third, and so on."""


class Aging:
    """The standings of the conversations of one worker."""

    def __init__(self, store: EpochStore, memory: Memory, offload: Offload, tuning: Tuning | None = None) -> None:
        self._store, self._memory = store, memory
        self._tuning = tuning or Tuning()
        self._forms = DeepForms(store, memory, offload, self._tuning)
        self._lines, self._pasts = Lines(), Pasts()
        self._progress: Progress = {}
        self._asked: deque[tuple[Look, Standing]] = deque(maxlen=MAX_AHEAD)

    async def past(self, look: Look) -> Past:
        """What a request goes on from, as far as this worker knows, or else as it is stored."""
        past = Past(look, _chains(look), partial(_chains, look, is_older=True))
        if not self._pasts.recall(past):
            await self._look_up(past, self._store.load_epochs)
        return past

    def seen_at_s(self, past: Past) -> float | None:
        """When this worker last had a request that shares the beginning of its conversation, if it had any."""
        return self._lines.last(past.chains)

    async def checked(self, past: Past) -> None:
        """Ask what other workers began, unless the request plainly goes on from one that this worker had.

        Nor may that one have been at another worker as well, which knew that the cache was cold and began an epoch."""
        if not past.is_looked_up and not past.is_beginning and not self._goes_on(past):
            await self._look_up(past, self._store.news)

    def standing(self, past: Past) -> Standing:
        """How the conversation of a request stands before it, with all that began for results that are still there: also
        where the client took back or changed what came after them."""
        self._pasts.recall(past)  # a request like it may have begun an epoch since
        self._pasts.remember(past)
        return past.standing(None if past.was_elsewhere else self._asked_at_s(past))

    def _goes_on(self, past: Past) -> bool:
        if self._lines.get(past.chains[-1], past.turns) is not None:  # this very request was here before
            return False
        if not past.asked_chains:  # a worker that had none of its beginnings knows what was decided there
            return False
        before = self._lines.get(past.asked_chains[-1], past.turns - 1)
        return before is not None and before.is_sure

    def _asked_at_s(self, past: Past) -> float | None:
        """When a conversation asked last, `None` where this worker did not have that request."""
        if self._lines.get(past.chains[-1], past.turns) is not None:  # this very request was here before
            return self._lines.last(past.chains)
        if past.asked_chains and self._lines.get(past.asked_chains[-1], past.turns - 1) is not None:
            return self._lines.last(past.asked_chains)
        return None

    async def _look_up(self, past: Past, look_up: Callable[[Past], Awaitable[list[Begun]]]) -> None:
        try:
            past.learn(await look_up(past))
        except (DatabaseError, TimeoutError):
            return
        past.is_looked_up = True

    async def age(self, look: Look, past: Past) -> Aged:
        """Look a conversation over and say what its older results go out as."""
        chains, standing = past.chains, self.standing(past)
        # A request that an epoch began with, here or at another worker, goes out as it did then.
        is_new = self._lines.get(chains[-1], look.call.turns) is None and not past.is_of(standing)
        forms = await self._forms.in_force(look, standing)
        trigger = ""
        if is_new:
            if _is_due(look.call.turns) or prompt_cache.may_be_cold(standing, look.at_s):
                standing, trigger = await self._advance(look, past, standing, forms)
            if _is_due(look.call.turns + 1):
                self._asked.append((look, standing))
        if trigger:
            forms = await self._forms.in_force(look, standing)
        for epoch in standing.epochs:
            self._note_progress((look.owner, epoch.chain, epoch.turn), look.call.turns)
        is_sure = past.is_beginning or standing.asked_at_s is not None
        self._lines.put(chains, look.call.turns, Asked(look.at_s, is_sure))
        return Aged(forms, prompt_cache.mark(look, standing), trigger, standing.deepened)

    async def look_ahead(self) -> None:
        """Measure the deep forms of what will be ripe when conversations ask next: for a moment when nobody waits."""
        earlier = self._tuning.a_turn_earlier()
        while self._asked:
            look, standing = self._asked.popleft()
            for stand, is_buried, _ in _ripe(look, standing, earlier):
                if self._forms.known_size(stand, is_buried=is_buried) is None:
                    await asyncio.sleep(0)  # requests and answers go first
                    await self._forms.size(stand, look, is_buried=is_buried)

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """How far conversations got since the last time. If it cannot be written down, it is told again."""
        progress, self._progress = self._progress, {}
        try:
            yield progress
        except BaseException:
            for place, turns in progress.items():
                self._note_progress(place, turns)
            raise

    def _note_progress(self, place: Place, turns: int) -> None:
        self._progress[place] = max(turns, self._progress.get(place, 0))

    async def _advance(
        self, look: Look, past: Past, standing: Standing, forms: dict[str, Decided]
    ) -> tuple[Standing, str]:
        """The standing with which this request goes out, and what triggered an epoch, if one begins. `forms` are the deep
        forms in force."""
        gains = await self._gains(look, standing, forms)
        if not gains:
            return standing, ""
        outline = look.outline
        billing = replace(look.billing, is_cold=prompt_cache.is_cold(outline, standing, look.at_s))
        billed, earned = prompt_cache.books(look, outline, standing)
        allowance = max(0.0, earned) + self._tuning.risk_share * billed
        prompt = prompt_cache.prompt(look, outline, standing, forms, allowance)
        tuning = policies.tuned(self._tuning, look.policy)
        weighed = [(gain, Candidate(outline.results[gain.stand.result.path], gain.tokens, gain.risk)) for gain in gains]
        weighed = [
            (gain, candidate)
            for gain, candidate in weighed
            if gain.must_go or epochs.is_worth_a_round(candidate, prompt, billing, tuning)
        ]
        epoch = epochs.plan(prompt, [candidate for _, candidate in weighed], billing, tuning)
        if epoch is None:
            return standing, ""
        chosen = [gain for gain, _ in weighed[epoch.first :]]
        after = replace(
            standing,
            deepened=standing.deepened | {gain.stand.key for gain in chosen},
            buried=standing.buried | {gain.stand.key for gain in chosen if gain.is_buried},
            mark_key=prompt_cache.marked(prompt, epoch, outline, look.stands, chosen[-1].stand),
            epoch_turn=len(outline.turn_ends),
        )
        beginning = Beginning(
            past.root,
            past.chains[-1],
            [stand.key for stand in look.stands],
            after,
            await self._forms.fresh(chosen, look, after, _telling(look.stands, forms) or {chosen[0].stand.key}),
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
        past.learn([held.begun])
        self._pasts.remember(past)
        return past.after(held.begun, standing.asked_at_s), beginning.trigger

    async def _gains(self, look: Look, standing: Standing, forms: Mapping[str, Decided]) -> list[Gain]:
        """What may be shortened further now, in order. `forms` are the deep forms in force."""
        gains: list[Gain] = []
        going: set[str] = set()
        for stand, is_buried, lost in _ripe(look, standing, self._tuning):
            if stand.key in standing.deepened and stand.key not in forms:
                continue
            now = forms.get(stand.key) or stand.decided
            tokens_now = now.tokens_after if now is not None else len(stand.result.text) // prompt_cache.CHARS_PER_TOKEN
            tokens_then = await self._forms.size(stand, look, is_buried=is_buried)
            must_speak = (
                stand.key not in standing.deepened and stand.decided is not None and stand.decided.refers_to in going
            )
            risk = ripeness.risk(stand.result, self._tuning)
            gain = Gain(stand, is_buried, tokens_now - tokens_then - lost, risk, must_speak)
            if gain.tokens > 0 or must_speak:
                gains.append(gain)
                going.add(stand.key)
        return gains


def _is_due(turns: int) -> bool:
    """Whether a conversation of so many answers is looked over now: the longer it is, the less a few turns matter."""
    return turns >= FIRST_TURN and turns % (1 + turns // TURNS_PER_LOOK) == 0


def _telling(stands: Sequence[Stand], forms: dict[str, Decided]) -> set[str]:
    """The keys of the results whose markers say how originals can be had, as they go out now."""
    shown = ((stand.key, forms.get(stand.key) or stand.decided) for stand in stands)
    return {key for key, made in shown if made is not None and made.tells_way_back}


def _trigger(billing: Billing) -> str:
    return "cold" if billing.is_cold else "size"


def _ripe(look: Look, standing: Standing, tuning: Tuning) -> list[tuple[Stand, bool, int]]:
    """The results that may be deepened or buried now, in order: each with whether it is to be buried, and with the most
    tokens that younger results take which refer to it: those have to speak for themselves from then on."""
    judged = Ripeness(look.call, tuning)
    lost: Counter[str] = Counter()
    found: list[tuple[Stand, bool, int]] = []
    for stand in reversed(look.stands):
        if stand.key in standing.buried:
            continue
        if stand.key in standing.deepened:
            if judged.is_buried(stand.result):
                found.append((stand, True, 0))
        elif judged.is_ripe(stand.result):
            found.append((stand, judged.is_buried(stand.result), lost[stand.key]))
        elif stand.decided is not None and stand.decided.refers_to:
            lost[stand.decided.refers_to] += stand.decided.tokens_saved
    return found[::-1]


def _chains(look: Look, *, is_older: bool = False) -> list[str]:
    """A digest for every beginning of the conversation, by its results."""
    chains: list[str] = []
    link = look.owner.encode() if is_older else f"{look.owner} {look.call.conversation}".encode()
    for stand in look.stands:
        link, chain = _link(link, stand.key)
        chains.append(chain)
    return chains


@lru_cache(maxsize=decisions.MAX_KEYS)
def _link(before: bytes, key: str) -> tuple[bytes, str]:
    link = blake2b(before + key.encode(), digest_size=16).digest()
    return link, link.hex()
