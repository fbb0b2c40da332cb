"""What to send instead of what: replay what was decided about a conversation, decide what is new in it.

Only tool results are ever touched, and only when they are seen for the first time, right after the call they answer. From
then on their form is fixed. A block that was first seen further back stays as it is: the provider may have it cached.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace

from django.conf import settings
from django.db import DatabaseError

from headroom.values import Policy
from proxy import database, decisions, late, policies, repeats, stores
from proxy.aging.aging import Aging
from proxy.aging.epochs import Billing
from proxy.aging.pasts import Past
from proxy.aging.values import Aged, Look, Stand, Standing
from proxy.decisions import Batch, Decided
from proxy.first_sight import BYTES_PER_TOKEN, USUAL_READ_SHARE, FirstSight, Sight, left_alone
from proxy.late import Late, Moment
from proxy.learning import rereads
from proxy.offload import Offload
from proxy.recall import recalled
from proxy.stores import Store, usual_store
from proxy.values import Call, Path, Plan, Provider, ToolResult
from proxy.window.fitting import Window

logger = logging.getLogger(__name__)

SMALL_CHARS = 80
"""Shorter results cannot reach the policy's floor of tokens and need no decision."""


class Conversations:
    """The conversations of one worker."""

    def __init__(self, store: Store | None = None, offload: Offload | None = None) -> None:
        self.store = store or usual_store()
        self.memory = decisions.Memory()
        self.offload = offload or Offload(settings.ML_MODEL_DIR)
        self._first_sight = FirstSight(self.offload)
        self.late = Late(self.memory, self.store.save_late)
        self.aging = Aging(self.store, self.memory, self.offload)
        self.window = Window(self.store, self.offload)

    async def close(self) -> None:
        """Finish what is being stored, and let go of helpers."""
        self.offload.close()
        await self.store.settled()

    async def plan(
        self,
        call: Call,
        provider: Provider,
        *,
        owner: str,
        policy: Policy,
        billing: Billing | None = None,
        at_s: float | None = None,
        hidden: frozenset[str] = frozenset(),
    ) -> Plan:
        """Decide on a request. `billing` are the provider's cache prices, `None` to leave older results as they are;
        `at_s` is the time of the request, now if `None`. `hidden` are keys of results that the model will not see in full,
        as its context window is full."""
        if call.document is None:
            return untouched(call, "unparsed")
        sizable = [result for result in call.results if len(result.text) >= SMALL_CHARS]
        if not sizable:
            return untouched(call, "too_small" if call.results else "no_tool_results")
        stands, missing = await self._recall(owner, sizable)
        policy = _pinned(policy, stands)
        look = None
        if billing is not None and policy.level != "lossless":
            look = Look(call, provider, stands, owner, policy, billing, time.time() if at_s is None else at_s)
        past = await self.aging.past(look) if look is not None else None
        standing = self.aging.standing(past) if past is not None else Standing()
        gone = standing.deepened | hidden
        calls = () if hidden else call.results  # with the context window full, they may be out of view
        read_share = USUAL_READ_SHARE if billing is None else billing.read
        sight = Sight(call, provider, owner, policy, read_share, len(call.body), calls, gone)
        if missing:
            seen_at_s = self.aging.seen_at_s(past) if past is not None else None
            moment = Moment(time.time() if at_s is None else at_s, seen_at_s, database.away_since_s())
            stands = await self._decided_again(sight, stands, missing, moment, past)
        whole = self._gone_out_whole(stands)
        while new := {
            s.key: s.result for s in stands if s.decided is None and s.result.is_newest and s.key not in whole
        }:
            # Usually once; what turns out to be decided already is news for what is not.
            reread = _read_again(call, stands, standing, hidden)
            batch = await self._first_sight.decided(replace(sight, policy=policy, gone=gone), new, stands)
            held = await self._held(batch, reread, past)
            if past is not None:
                standing = self.aging.standing(past)
                gone = standing.deepened | hidden
            stands = [s if s.decided is not None else Stand(s.key, s.result, held.get(s.key)) for s in stands]
            policy = _pinned(policy, stands)
        if past is not None:
            await self.aging.checked(past)
            gone = self.aging.standing(past).deepened | hidden
        referred: frozenset[str] = frozenset() if hidden else _referred_calls(call, owner, stands)
        stands = await self._in_view(stands, gone, referred)
        if look is None or past is None:
            return _plan(call, stands, Aged({}), policy.version)
        aged = await self.aging.age(replace(look, stands=stands, policy=policy), past)
        if aged.epoch:
            stands = await self._in_view(stands, aged.deepened | hidden, referred)
        return _plan(call, stands, aged, policy.version)

    async def _in_view(self, stands: list[Stand], hidden: frozenset[str], calls: frozenset[str]) -> list[Stand]:
        """The stands, but for those that refer to a result or call which is not in full view: those with their form of
        their own."""
        seen: set[str] = set(calls)
        lost: list[int] = []
        for n, stand in enumerate(stands):
            refers_to = stand.decided.refers_to if stand.decided is not None else ""
            if refers_to and refers_to not in seen:
                lost.append(n)
            elif not refers_to and stand.key not in hidden:
                seen.add(stand.key)
        if not lost:
            return stands
        keys = [decisions.alone_key(stands[n].key) for n in lost]
        alone = await recalled(keys, self.memory, self.store)
        resolved = list(stands)
        for n, key in zip(lost, keys, strict=True):
            resolved[n] = replace(stands[n], decided=alone.get(key) or _as_it_is(stands[n]))
        return resolved

    async def _recall(self, owner: str, results: list[ToolResult]) -> tuple[list[Stand], frozenset[str]]:
        """Where results stand, and the keys of those of which nobody can say it now. Of those that may be new only memory is
        asked: whoever comes to store a decision about them learns of an earlier one."""
        keyed = [(decisions.key_of(owner, result), result) for result in results]
        found = self.memory.find(key for key, _ in keyed)
        unknown = [key for key, result in keyed if key not in found and not result.is_newest]
        missing: frozenset[str] = frozenset()
        if unknown:
            try:
                stored = await self.store.load(unknown)
            except (DatabaseError, TimeoutError):
                logger.warning("the decision store is down; %d blocks are decided again", len(unknown))
                missing = frozenset(unknown)
            else:
                if database.away_since_s() is not None and any(found.values()):
                    missing = frozenset(unknown) - stored.keys()  # others may have it, and store it in a moment
                for key in set(unknown) - missing:
                    self.memory.put(key, stored.get(key))
                found |= stored
        return [Stand(key, result, found.get(key)) for key, result in keyed], missing

    async def _decided_again(
        self, sight: Sight, stands: list[Stand], missing: frozenset[str], moment: Moment, past: Past | None
    ) -> list[Stand]:
        """The stands with what some worker decided about those that are missing, turn by turn as that was."""
        ages = late.turns(stands, missing)
        for age in ages:
            above = [stand for stand in stands if stand.result.age_turns >= age]
            new = {s.key: s.result for s in above if s.key in missing and s.result.age_turns == age}
            then = replace(sight, body_bytes=late.body_bytes(sight.call, age), policy=_pinned(sight.policy, stands))
            batch = await self._first_sight.decided(then, new, above)
            if moment.was_away(age, ages[0]):
                batch = _all_without_loss(batch)
            held = self._kept_for_later(batch, past)
            stands = [Stand(s.key, s.result, s.decided or held.get(s.key)) for s in stands]
        return stands

    def _kept_for_later(self, batch: Batch, past: Past | None) -> dict[str, Decided]:
        batch = stores.under(batch, past)
        self.late.add(batch)
        for key, decided in batch.made.items():
            self.memory.put(key, decided)
        return batch.made

    def _gone_out_whole(self, stands: Sequence[Stand]) -> set[str]:
        """The keys of newest results that were looked for and not found: they stood deeper, and the history was taken back."""
        known = self.memory.find(stand.key for stand in stands if stand.result.is_newest)
        return {key for key, decided in known.items() if decided is None}

    async def _held(self, batch: Batch, reread: Sequence[str], past: Past | None) -> dict[str, Decided]:
        """The decisions that hold from now on, or only those that were made before. `reread` are keys of forms whose files
        the new results show once more. `past` learns what began elsewhere."""
        try:
            saved = await self.store.save_new(batch, reread, past)
        except (DatabaseError, TimeoutError):
            logger.warning("the decision store is down; lossy forms wait until it is back")
            return self._kept_for_later(_all_without_loss(batch), past)
        if past is not None:
            past.learn(saved.news)
            past.is_looked_up = True
            past.was_elsewhere |= not saved.are_ours
        for key, decided in saved.held.items():
            self.memory.put(key, decided)
        return saved.held


def untouched(call: Call, reason: str) -> Plan:
    """The plan that sends a request as it is."""
    estimated_tokens = len(call.body) // BYTES_PER_TOKEN
    return Plan(tokens_before=estimated_tokens, tokens_after=estimated_tokens, reason=reason)


def _pinned(policy: Policy, stands: Sequence[Stand]) -> Policy:
    """The policy in the version that a conversation began with, as its first decision that is still there says."""
    decided = next((stand.decided for stand in stands if stand.decided is not None), None)
    return policy if decided is None else policies.pinned(policy, decided.policy_version)


def _read_again(call: Call, stands: Sequence[Stand], standing: Standing, hidden: frozenset[str]) -> list[str]:
    """The keys of forms in view whose files the newest results show once more."""
    again = {result.path for result in rereads.find(call.results)}
    if not again:
        return []
    keys = [stand.key for stand in stands if stand.result.path in again and stand.key not in hidden]
    return [standing.form_key(key) if key in standing.deepened else key for key in keys]


def _referred_calls(call: Call, owner: str, stands: Sequence[Stand]) -> frozenset[str]:
    """The keys of the calls that results refer to, as far as they are there."""
    referred = {stand.decided.refers_to for stand in stands if stand.decided is not None} - {""}
    if referred:
        referred.difference_update(stand.key for stand in stands)
    if not referred:
        return frozenset()
    wrote = (result for result in call.results if repeats.wrote(result.arguments))
    return frozenset(decisions.call_key(owner, result) for result in wrote) & referred


def _as_it_is(stand: Stand) -> Decided:
    before = stand.decided.tokens_before if stand.decided is not None else len(stand.result.text) // BYTES_PER_TOKEN
    return Decided(None, "", "store_down", before, before, level="whole")


def _all_without_loss(batch: Batch) -> Batch:
    return replace(batch, made={key: _without_loss(decided) for key, decided in batch.made.items()})


def _without_loss(decided: Decided) -> Decided:
    """The decision to make when its original could not be stored: nothing may go out that cannot be had back."""
    if not decided.original_hash:
        return decided
    return left_alone(decided, "store_down")


def _plan(call: Call, stands: Sequence[Stand], aged: Aged, policy_version: int) -> Plan:
    replacements: dict[Path, str] = {}
    labels: dict[str, None] = {}
    sizes: dict[Path, tuple[int, int]] = {}
    uncounted_chars, before, after = len(call.body), 0, 0
    for stand in stands:
        path, made = stand.result.path, aged.forms.get(stand.key) or stand.decided
        if made is None:
            continue
        if made.form is not None:
            replacements[path] = made.form
            labels[made.label] = None
        size = (stand.decided or made).tokens_before, made.tokens_after
        sizes[path] = size
        before, after = before + size[0], after + size[1]
        uncounted_chars -= len(stand.result.text)
    rest = max(0, uncounted_chars) // BYTES_PER_TOKEN
    return Plan(
        replacements=replacements,
        mark=aged.mark,
        epoch=aged.epoch,
        tokens_before=rest + before,
        tokens_after=rest + after,
        transforms=(*labels, *([f"epoch:{aged.epoch}"] if aged.epoch else [])),
        reason="" if replacements else _reason(stands),
        sizes=sizes,
        policy_version=policy_version,
    )


def _reason(stands: Sequence[Stand]) -> str:
    """Why nothing was shortened: the reason for the newest result, or that all of them are history."""
    newest = [stand.decided.reason for stand in stands if stand.result.is_newest and stand.decided is not None]
    return newest[-1] if newest else "history"
