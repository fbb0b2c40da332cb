"""How conversations stand as they age, and what may be done about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from headroom.values import Policy
from proxy import decisions
from proxy.aging.epochs import Billing, Epoch
from proxy.decisions import Decided
from proxy.values import Call, Outline, Path, Provider, ToolResult, light

Place = tuple[str, str, int]
"""Where an epoch began: its owner, chain and turn."""
Progress = dict[Place, int]
"""How many answers a conversation has by now that had an epoch."""


@light
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
    """A result that may be shortened further, all but one line of it if `is_buried`, and the tokens that this saves. It
    `must_go` with the one that it refers to."""

    stand: Stand
    is_buried: bool
    tokens: int
    must_go: bool


class EpochStore(Protocol):
    """Where epochs outlive the process. Every method may raise DatabaseError or TimeoutError."""

    async def load_standing(self, owner: str, chains: list[str], turns: int) -> Standing | None:
        """The standing after the last epoch up to a turn among these links of a chain, which come in order."""

    async def save_epoch(self, owner: str, beginning: Beginning) -> Held:
        """Store an epoch with its deep forms and the originals behind them, in one transaction; the first writer's holds."""

    async def load(self, keys: list[str]) -> dict[str, Decided]:
        """The stored decisions among these keys."""
