"""Which epoch is in force for a request, whichever worker began it.

Every decision names the epoch under which it first went out, and every epoch the results of the request that it began with.
So a request goes on from the latest epoch that one of its earlier results went out under, or that began when all of them
were there: also where the client took back or changed what came after them. Parallel lines of one conversation have results
of their own, and do not disturb each other. All of this is stored, so that all workers come to the same.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Protocol

from proxy.aging.values import Beginning, Begun, Held, Look, PastEpoch, Standing, packed, unpacked
from proxy.decisions import Decided

MAX_HELD_BYTES = 32 * 1024 * 1024
ENTRY_BYTES = 600


class EpochStore(Protocol):
    """Where epochs outlive the process. Every method may raise DatabaseError or TimeoutError."""

    async def load_epochs(self, past: Past) -> list[Begun]:
        """The epochs of a request's past that it does not know yet."""

    async def news(self, past: Past) -> list[Begun]:
        """The same, where others may have begun any."""

    async def save_epoch(self, owner: str, beginning: Beginning) -> Held:
        """Store an epoch with its deep forms and the originals behind them, in one transaction; the first writer's holds."""

    async def load(self, keys: list[str]) -> dict[str, Decided]:
        """The stored decisions among these keys."""


class Past:
    """What a request goes on from: its earlier results, and the epochs of all that begins as it does, with what the user said
    and with the same result. Some clients number their calls, so that many conversations have the same results.

    `is_looked_up`: what other workers began is among its `epochs`; `was_elsewhere`: one of them had this very request before.
    """

    def __init__(self, look: Look, chains: Sequence[str], chains_before: Callable[[], list[str]]) -> None:
        stands = look.stands
        self.owner, self.chains, self.turns = look.owner, chains, look.call.turns
        self.root = chains[0]
        self._chains_before = chains_before
        # Where all is newest, what was decided has been here before: the client took back everything behind it.
        asked = [stand for stand in stands if not stand.result.is_newest] or [
            stand for stand in stands if stand.decided is not None
        ]
        decided = [stand for stand in asked if stand.decided is not None]
        self._named = {stand.decided.epoch for stand in decided if stand.decided is not None}
        # What the client changed is new, and was in no request.
        self._asked = [stand.key for stand in decided or asked]
        self._keys = frozenset(stand.key for stand in stands)
        self.asked_chains = [chain for chain, stand in zip(chains, stands, strict=True) if not stand.result.is_newest]
        self.epochs: dict[int, Begun] = {}
        self.is_looked_up = self.was_elsewhere = False

    @cached_property
    def older_chains(self) -> list[str]:
        """Its chain as an older version made it, which did not tell conversations apart."""
        return self._chains_before()

    @property
    def is_beginning(self) -> bool:
        """Whether nothing was asked in this conversation before."""
        return not self._asked

    def learn(self, epochs: Iterable[Begun]) -> None:
        self.epochs |= {one.number: one for one in epochs}

    def in_force(self, more: Iterable[Begun] = ()) -> Begun | None:
        """The epoch that the request goes on from, of those that are known and `more`."""
        if self.is_beginning:
            return None
        known = self.epochs | {one.number: one for one in more}
        for number in sorted(known, reverse=True):
            if number in self._named or self._was_in(known[number]):
                return known[number]
        return None

    def _was_in(self, begun: Begun) -> bool:
        if not begun.results:
            return begun.past.turn <= self.turns and begun.past.chain in self.older_chains
        # The last results are the first to be missing.
        return all(packed([key]) in begun.results for key in reversed(self._asked))

    def standing(self, asked_at_s: float | None) -> Standing:
        """How the conversation stands before the request: with what is in force of the results that are still there."""
        begun = self.in_force()
        return Standing(asked_at_s=asked_at_s) if begun is None else self.after(begun, asked_at_s)

    def after(self, begun: Begun, asked_at_s: float | None) -> Standing:
        """How it stands with an epoch in force."""
        return Standing(
            self._keys.intersection(unpacked(begun.deepened)),
            self._keys.intersection(unpacked(begun.buried)),
            begun.mark_key if begun.mark_key in self._keys else "",
            min(begun.past.turn, self.turns),
            self._up_to(begun),
            asked_at_s,
            begun.number,
        )

    def is_of(self, standing: Standing) -> bool:
        """Whether the latest epoch of a standing began with this very request."""
        latest = standing.epochs[-1] if standing.epochs else None
        return latest is not None and (latest.chain, latest.turn) == (self.chains[-1], self.turns)

    def _up_to(self, begun: Begun) -> tuple[PastEpoch, ...]:
        found: list[PastEpoch] = []
        one: Begun | None = begun
        while one is not None:
            found.append(one.past)
            one = self.epochs.get(one.after) if one.after < one.number else None
        return tuple(reversed(found))


class Pasts:
    """The epochs that one worker knows of, by owner and first result; bounded in bytes."""

    def __init__(self, max_held_bytes: int = MAX_HELD_BYTES) -> None:
        self._max_held_bytes = max_held_bytes
        self._held_bytes = 0
        self._known: OrderedDict[tuple[str, str], dict[int, Begun]] = OrderedDict()

    def recall(self, past: Past) -> bool:
        """Tell a request what is known of its past. Whether anything is, or there can be nothing."""
        known = self._known.get((past.owner, past.root))
        if known is None:
            return past.is_beginning
        self._known.move_to_end((past.owner, past.root))
        past.learn(known.values())
        return True

    def remember(self, past: Past) -> None:
        """Keep what a request was told of its past."""
        name = past.owner, past.root
        known = self._known.setdefault(name, {})
        self._known.move_to_end(name)
        for number, begun in past.epochs.items():
            if number not in known:
                known[number] = begun
                self._held_bytes += _held_bytes(begun)
        while self._held_bytes > self._max_held_bytes and len(self._known) > 1:
            _, forgotten = self._known.popitem(last=False)
            self._held_bytes -= sum(map(_held_bytes, forgotten.values()))


def _held_bytes(begun: Begun) -> int:
    return ENTRY_BYTES + len(begun.results) + len(begun.deepened) + len(begun.buried)
