"""What is seen for the first time is decided once: by its text, its call, what stands above it and the room that there is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from headroom.values import Policy, ToolCall
from proxy import decisions
from proxy.aging.epochs import CACHED_FROM_TOKENS
from proxy.aging.values import Stand
from proxy.decisions import Batch, Decided
from proxy.offload import Offload
from proxy.repeats import Earlier, Repeats
from proxy.retrieval import words
from proxy.values import Call, Provider, ToolResult

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


@dataclass(frozen=True, slots=True)
class _Room:
    """How many tokens may go before the provider would not cache a prompt any more, and how many are worth more than that."""

    tokens: float
    worth: float = 0.0

    def has(self, taken_out: int) -> bool:
        """Whether so many may go."""
        return taken_out <= self.tokens or taken_out >= self.worth


@dataclass(frozen=True, slots=True)
class Sight:
    """A request in which something is seen for the first time. `body_bytes` are those that it had when that was the newest,
    `calls` may be referred to where they are older, and `gone` are the keys of what is not in full view."""

    call: Call
    provider: Provider
    owner: str
    policy: Policy
    read_share: float
    body_bytes: int
    calls: Sequence[ToolResult]
    gone: frozenset[str]


class FirstSight:
    """The first sights of one worker's conversations."""

    def __init__(self, offload: Offload) -> None:
        self._offload, self._repeats = offload, Repeats()

    async def decided(self, sight: Sight, new: Mapping[str, ToolResult], stands: Sequence[Stand]) -> Batch:
        """Decide on what is new, within the room that there is."""
        made: dict[str, Decided] = {}
        results = dict(new)
        policy, room = sight.policy, _room_above_minimum(sight, stands)
        is_told = any(stand.decided is not None and stand.decided.tells_way_back for stand in stands)
        for key, result in new.items():
            call = ToolCall(result.tool, result.arguments)
            asked = replace(policy, is_told=is_told)
            alone = Decided.from_shrunk(await self._offload.shrink(result.text, call, asked), policy)
            made[key] = alone
            is_told = is_told or alone.tells_way_back
            if words.is_retrieval(call):
                continue  # whoever went to get it wants it in full, not a word about the copy that was shortened
            room = replace(room, tokens=room.tokens + _underestimated(alone, result))
            repeated = self._repeated(sight, result, alone, stands, made)
            if repeated is not None and room.has(repeated.tokens_saved):
                results[decisions.alone_key(key)] = result
                made[decisions.alone_key(key)], made[key] = alone, repeated
            elif not room.has(alone.tokens_saved):
                made[key] = left_alone(alone, "small_prompt")
            room = replace(room, tokens=room.tokens - made[key].tokens_saved)
        return Batch(sight.owner, made, results, sight.call.conversation)

    def _repeated(
        self, sight: Sight, result: ToolResult, alone: Decided, stands: Sequence[Stand], made: Mapping[str, Decided]
    ) -> Decided | None:
        """The form that refers to what stands above, if there is one and experience does not speak against it."""
        above = sight.call.results[: next(n for n, one in enumerate(sight.call.results) if one is result)]
        # The last answer's calls stay as they are.
        calls = [one for one in sight.calls if one.age_turns > result.age_turns]
        repeated = self._repeats.decided(result, alone, _earlier(above, stands, made, sight.gone), calls, sight.owner)
        if repeated is None or (result.tool, repeated.label, repeated.level) in sight.policy.unwanted_forms:
            return None
        return repeated


def _earlier(
    above: Sequence[ToolResult], stands: Sequence[Stand], made: Mapping[str, Decided], gone: frozenset[str]
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
        is_in_sight = stand.key not in gone and not (decided is not None and decided.refers_to)
        is_plain = form is None or PLAIN_FORMS.issuperset(label.split("+"))
        is_whole = decided is None or not decided.original_hash
        found.append(Earlier(stand.key, stand.result, form or stand.result.text, is_plain, is_whole, is_in_sight))
    return found


def left_alone(decided: Decided, reason: str) -> Decided:
    """The decision to send a text as it is instead."""
    before = decided.tokens_before
    return Decided(None, "", reason, before, before, level="whole", policy_version=decided.policy_version)


def _room_above_minimum(sight: Sight, stands: Sequence[Stand]) -> _Room:
    """The room in a request. Boundless where the provider would not cache the prompt anyway."""
    call, provider = sight.call, sight.provider
    size = sight.body_bytes // BYTES_PER_TOKEN
    if size > LARGE_TOKENS or call.is_continued:
        return _Room(math.inf)
    if provider.DIALECT == "anthropic" and not provider.marks(call):
        return _Room(math.inf)
    decided = [(stand.decided, stand.result) for stand in stands if stand.decided is not None]
    size += sum(_underestimated(made, result) for made, result in decided)
    saved = sum(made.tokens_saved for made, _ in decided)
    discount = CACHED_FROM_TOKENS * (1 - sight.read_share)
    is_far = size < CACHED_FROM_TOKENS - FAR_SHARE * discount
    return _Room(size - saved - CACHED_FROM_TOKENS, FAR_WORTH * discount if is_far else discount)


def _underestimated(decided: Decided, result: ToolResult) -> int:
    """How many tokens a result has beyond what its bytes let expect: logs and tables have half as many again."""
    return decided.tokens_before - len(result.text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN
