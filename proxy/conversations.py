"""What to send instead of what: replay what was decided about a conversation, decide what is new in it.

Only tool results are ever touched, and only when they are seen for the first time, right after the call they answer. From
then on their form is fixed. A block that was first seen further back stays as it is: the provider may have it cached.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from django.conf import settings
from django.db import DatabaseError

from headroom.values import Policy, ToolCall
from proxy import decisions, policies, repeats
from proxy.aging.aging import Aging
from proxy.aging.epochs import CACHED_FROM_TOKENS, Billing
from proxy.aging.pasts import Past
from proxy.aging.values import Aged, Look, Stand, Standing
from proxy.decisions import Batch, Decided
from proxy.learning import rereads
from proxy.offload import Offload
from proxy.recall import recalled
from proxy.repeats import Earlier, Repeats
from proxy.retrieval import words
from proxy.stores import Store, usual_store
from proxy.values import Call, Path, Plan, Provider, ToolResult
from proxy.window.fitting import Window

logger = logging.getLogger(__name__)

BYTES_PER_TOKEN = 4
"""For the parts of a request that we do not count exactly; o200k needs 3.5 to 4.5 bytes for a token of real prompts."""
USUAL_READ_SHARE = 0.1
"""What reading from the cache costs, where the provider's prices are not asked for."""
FAR_SHARE = 0.5
"""A prompt that lacks more than this share of what caching is worth may end before it has grown so far."""
FAR_WORTH = 0.125
"""So much of what caching is worth has to go from such a prompt at once: less may still lose the cache for a turn."""
LARGE_TOKENS = 50_000
"""No result is shortened by more; prompts beyond need no look."""
PLAIN_FORMS = frozenset(["line_numbers", "terminal"])
"""Forms with all lines in their places."""
SMALL_CHARS = 80
"""Shorter results cannot reach the policy's floor of tokens and need no decision."""


@dataclass(frozen=True, slots=True)
class _Room:
    """How many tokens may go before the provider would not cache a prompt any more, and how many are worth more than that."""

    tokens: float
    worth: float = 0.0

    def has(self, taken_out: int) -> bool:
        """Whether so many may go."""
        return taken_out <= self.tokens or taken_out >= self.worth


class Conversations:
    """The conversations of one worker."""

    def __init__(self, store: Store | None = None, offload: Offload | None = None) -> None:
        self.store = store or usual_store()
        self.memory = decisions.Memory()
        self.offload = offload or Offload(settings.ML_MODEL_DIR)
        self._repeats = Repeats()
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
        stands = await self._recall(owner, sizable)
        policy = _pinned(policy, stands)
        look = None
        if billing is not None and policy.level != "lossless":
            look = Look(call, provider, stands, owner, policy, billing, time.time() if at_s is None else at_s)
        past = await self.aging.past(look) if look is not None else None
        standing = self.aging.standing(past) if past is not None else Standing()
        gone = standing.deepened | hidden
        whole = self._gone_out_whole(stands)
        while new := {
            s.key: s.result for s in stands if s.decided is None and s.result.is_newest and s.key not in whole
        }:
            # Usually once; what turns out to be decided already is news for what is not.
            room = _room_above_minimum(call, provider, stands, USUAL_READ_SHARE if billing is None else billing.read)
            # The calls before the last answer stay as they are; with the context window full, they may be out of view as well.
            calls = [] if hidden else [result for result in call.results if not result.is_newest]
            reread = _read_again(call, stands, standing, hidden)
            made, results = await self._decide(new, stands, gone, policy, room, (call.results, calls), owner)
            held = await self._held(Batch(owner, made, results, call.conversation), reread, past)
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

    async def _recall(self, owner: str, results: list[ToolResult]) -> list[Stand]:
        """Where results stand. Of those that may be new only memory is asked: whoever comes to store a decision about them
        learns of an earlier one."""
        keyed = [(decisions.key_of(owner, result), result) for result in results]
        found = self.memory.find(key for key, _ in keyed)
        unknown = [key for key, result in keyed if key not in found and not result.is_newest]
        if unknown:
            try:
                stored = await self.store.load(unknown)
            except (DatabaseError, TimeoutError):
                logger.warning("the decision store is down; %d blocks are looked at afresh", len(unknown))
            else:
                for key in unknown:
                    self.memory.put(key, stored.get(key))
                found |= stored
        return [Stand(key, result, found.get(key)) for key, result in keyed]

    def _gone_out_whole(self, stands: Sequence[Stand]) -> set[str]:
        """The keys of newest results that were looked for and not found: they stood deeper, and the history was taken back."""
        known = self.memory.find(stand.key for stand in stands if stand.result.is_newest)
        return {key for key, decided in known.items() if decided is None}

    async def _decide(
        self,
        new: Mapping[str, ToolResult],
        stands: Sequence[Stand],
        hidden: frozenset[str],
        policy: Policy,
        room: _Room,
        history: tuple[Sequence[ToolResult], Sequence[ToolResult]],
        owner: str,
    ) -> tuple[dict[str, Decided], dict[str, ToolResult]]:
        """Decide on what is new, within the room that there is. Returns the decisions and what each of them is about.

        `history` are all results, and those whose calls new ones may refer to."""
        made: dict[str, Decided] = {}
        results = dict(new)
        everything, calls = history
        is_told = any(stand.decided is not None and stand.decided.tells_way_back for stand in stands)
        for key, result in new.items():
            call = ToolCall(result.tool, result.arguments)
            asked = replace(policy, is_told=is_told)
            made[key] = Decided.from_shrunk(await self.offload.shrink(result.text, call, asked), policy)
            is_told = is_told or made[key].tells_way_back
            if words.is_retrieval(call):
                continue  # whoever went to get it wants it in full, not a word about the copy that was shortened
            room = replace(room, tokens=room.tokens + _underestimated(made[key], result))
            taken_out = made[key].tokens_before - made[key].tokens_after
            if not room.has(taken_out):
                made[key] = _left_alone(made[key], "small_prompt")
                continue
            room = replace(room, tokens=room.tokens - taken_out)
            above = everything[: next(n for n, one in enumerate(everything) if one is result)]
            repeated = self._repeats.decided(result, made[key], _earlier(above, stands, made, hidden), calls, owner)
            if repeated is not None and (result.tool, repeated.label, repeated.level) not in policy.unwanted_forms:
                alone = decisions.alone_key(key)
                made[alone], made[key], results[alone] = made[key], repeated, result
        return made, results

    async def _held(self, batch: Batch, reread: Sequence[str], past: Past | None) -> dict[str, Decided]:
        """The decisions that hold from now on, or only those that were made before. `reread` are keys of forms whose files
        the new results show once more. `past` learns what began elsewhere."""
        try:
            saved = await self.store.save_new(batch, reread, past)
        except (DatabaseError, TimeoutError):
            logger.warning("the decision store is down; lossy forms wait until it is back")
            held = {key: _without_loss(decided) for key, decided in batch.made.items()}
        else:
            held = saved.held
            if past is not None:
                past.learn(saved.news)
                past.is_looked_up = True
                past.was_elsewhere |= not saved.are_ours
        for key, decided in held.items():
            self.memory.put(key, decided)
        return held


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


def _earlier(
    above: Sequence[ToolResult], stands: Sequence[Stand], made: Mapping[str, Decided], hidden: frozenset[str]
) -> list[Earlier]:
    """The results above a new one. It may not refer to those that are too short for that, refer to others themselves or are
    not in full view."""
    found: list[Earlier] = []
    standing = {stand.result.path: stand for stand in stands}
    for result in above:
        stand = standing.get(result.path)
        if stand is None:
            found.append(Earlier("", result, result.text, is_in_sight=False))
            continue
        decided = made.get(stand.key) or stand.decided
        form, label = (decided.form, decided.label) if decided is not None else (None, "")
        is_in_sight = stand.key not in hidden and not (decided is not None and decided.refers_to)
        is_plain = form is None or PLAIN_FORMS.issuperset(label.split("+"))
        is_whole = decided is None or not decided.original_hash
        found.append(Earlier(stand.key, stand.result, form or stand.result.text, is_plain, is_whole, is_in_sight))
    return found


def _referred_calls(call: Call, owner: str, stands: Sequence[Stand]) -> frozenset[str]:
    """The keys of the calls that results refer to, as far as they are there."""
    referred = {stand.decided.refers_to for stand in stands if stand.decided is not None} - {""}
    if referred:
        referred.difference_update(stand.key for stand in stands)
    if not referred:
        return frozenset()
    wrote = (result for result in call.results if repeats.WRITTEN in result.arguments)
    return frozenset(decisions.call_key(owner, result) for result in wrote) & referred


def _as_it_is(stand: Stand) -> Decided:
    before = stand.decided.tokens_before if stand.decided is not None else len(stand.result.text) // BYTES_PER_TOKEN
    return Decided(None, "", "store_down", before, before, level="whole")


def _left_alone(decided: Decided, reason: str) -> Decided:
    before = decided.tokens_before
    return Decided(None, "", reason, before, before, level="whole", policy_version=decided.policy_version)


def _room_above_minimum(call: Call, provider: Provider, stands: Sequence[Stand], read_share: float) -> _Room:
    """The room in a request. Boundless where the provider would not cache the prompt anyway."""
    size = len(call.body) // BYTES_PER_TOKEN
    if size > LARGE_TOKENS or call.is_continued:
        return _Room(math.inf)
    if provider.DIALECT == "anthropic" and not provider.marks(call):
        return _Room(math.inf)
    decided = [(stand.decided, stand.result) for stand in stands if stand.decided is not None]
    size += sum(_underestimated(made, result) for made, result in decided)
    saved = sum(made.tokens_before - made.tokens_after for made, _ in decided)
    discount = CACHED_FROM_TOKENS * (1 - read_share)
    is_far = size < CACHED_FROM_TOKENS - FAR_SHARE * discount
    return _Room(size - saved - CACHED_FROM_TOKENS, FAR_WORTH * discount if is_far else discount)


def _underestimated(decided: Decided, result: ToolResult) -> int:
    """How many tokens a result has beyond what its bytes let expect: logs and tables have half as many again."""
    return decided.tokens_before - len(result.text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN


def _without_loss(decided: Decided) -> Decided:
    """The decision to make when its original could not be stored: nothing may go out that cannot be had back."""
    if not decided.original_hash:
        return decided
    return _left_alone(decided, "store_down")


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
