"""What old results go out as: their deep forms, and the one line that is left of the very old."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from headroom.values import ToolCall
from proxy import decisions, mentions
from proxy.aging.epochs import Tuning
from proxy.aging.ripeness import can_be_had_again, is_read
from proxy.aging.values import Gain, Look, Stand, Standing
from proxy.decisions import Decided, Memory
from proxy.offload import Offload
from proxy.recall import Loads, recalled
from proxy.values import ToolResult

MIN_TOKENS = 80
"""Shorter results are not worth a marker."""
MAX_SIZES = 50_000


class DeepForms:
    """The deep forms of one worker's conversations: those in force, and how long others would be."""

    def __init__(self, store: Loads, memory: Memory, offload: Offload, tuning: Tuning) -> None:
        self._store, self._memory, self._offload, self._tuning = store, memory, offload, tuning
        self._sizes: OrderedDict[str, int] = OrderedDict()

    async def in_force(self, look: Look, standing: Standing) -> dict[str, Decided]:
        """The deep forms by their results' keys, remembered or stored. One that cannot be had is missing: its result goes
        out as before."""
        keyed = {standing.form_key(stand.key): stand for stand in look.stands if stand.key in standing.deepened}
        forms = await recalled(list(keyed), self._memory, self._store)
        return {stand.key: forms[key] for key, stand in keyed.items() if key in forms}

    def known_size(self, stand: Stand, *, is_buried: bool) -> int | None:
        """What `size` returned before, `None` where nobody asked."""
        return self._sizes.get(_size_key(stand, is_buried=is_buried))

    async def size(self, stand: Stand, look: Look, *, is_buried: bool) -> int:
        """The tokens of a deep form. Without the names that were spoken of: by the result alone, so that every worker sees
        the same gain."""
        known = self.known_size(stand, is_buried=is_buried)
        if known is not None:
            return known
        made = await self._made(stand, look, [], is_buried=is_buried, is_told=True)
        self._sizes[_size_key(stand, is_buried=is_buried)] = made.tokens_after
        while len(self._sizes) > MAX_SIZES:
            self._sizes.popitem(last=False)
        return made.tokens_after

    async def fresh(
        self, gains: Sequence[Gain], look: Look, after: Standing, telling: AbstractSet[str]
    ) -> tuple[tuple[str, ToolResult, Decided], ...]:
        """The deep forms of results as what was said so far makes them, each with its own key. Those whose markers say how
        originals can be had, `telling`, go on to say so."""
        said = mentions.talk(look.call.document or {})
        made: list[tuple[str, ToolResult, Decided]] = []
        for gain in gains:
            stand = gain.stand
            is_told = stand.key not in telling
            form = await self._made(stand, look, said, is_buried=gain.is_buried, is_told=is_told)
            made.append((after.form_key(stand.key), stand.result, form))
        return tuple(made)

    async def _made(self, stand: Stand, look: Look, said: list[str], *, is_buried: bool, is_told: bool) -> Decided:
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


def _size_key(stand: Stand, *, is_buried: bool) -> str:
    return decisions.buried_key(stand.key) if is_buried else stand.key
