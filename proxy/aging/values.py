"""How conversations stand as they age, and what may be done about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

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


KEY_DIGITS = 32


def packed(keys: Iterable[str]) -> bytes:
    """Keys as they take little room."""
    return bytes.fromhex("".join(keys))


def unpacked(keys: bytes) -> list[str]:
    """The keys that `packed` was given."""
    digits = keys.hex()
    return [digits[start : start + KEY_DIGITS] for start in range(0, len(digits), KEY_DIGITS)]


@dataclass(frozen=True, slots=True)
class Begun:
    """An epoch that began somewhere: `after` is the number of the one that was in force until then (0: none), `results` the
    keys of all results of its request, `deepened` and `buried` those in force since, packed.

    Epochs of a version that did not note results have none.
    """

    number: int
    after: int
    past: PastEpoch
    mark_key: str
    results: bytes
    deepened: bytes
    buried: bytes


@dataclass(frozen=True, slots=True)
class Standing:
    """How a conversation stands after one of its requests.

    `deepened` are the keys of results in their deep form, `buried` those of them of which one line is left, `mark_key` is
    the one whose block carries our cache mark.
    `epoch_turn` is the number of answers that there were at the last epoch: what was cached before it is void since.
    `epochs` are those so far, and `asked_at_s` is the time of the last request, `None` when this process did not see it.
    `epoch` is the number of the one in force.
    """

    deepened: frozenset[str] = frozenset()
    buried: frozenset[str] = frozenset()
    mark_key: str = ""
    epoch_turn: int = 0
    epochs: tuple[PastEpoch, ...] = ()
    asked_at_s: float | None = None
    epoch: int = 0

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
    """An epoch that begins with a request: its root and chain, the keys of its results, the standing from then on, in
    which `epoch` is still the number of the one before, and the deep forms that are new, each with its own identity."""

    root: str
    chain: str
    results: Sequence[str]
    standing: Standing
    deep: tuple[tuple[str, ToolResult, Decided], ...]
    trigger: str
    epoch: Epoch
    read_share: float
    conversation: str

    def begun(self, number: int) -> Begun:
        """The epoch as others know it, once it has a number."""
        standing = self.standing
        return Begun(
            number,
            standing.epoch,
            PastEpoch(self.chain, standing.epoch_turn, self.epoch.saved_tokens, self.epoch.cost),
            standing.mark_key,
            packed(self.results),
            packed(standing.deepened),
            packed(standing.buried),
        )


@dataclass(frozen=True, slots=True)
class Held:
    """What holds from an epoch on: the epoch as whoever was first began it, and the new forms by their own keys."""

    begun: Begun
    forms: dict[str, Decided]


@dataclass(frozen=True, slots=True)
class Gain:
    """A result that may be shortened further, all but one line of it if `is_buried`, the tokens that this saves, and how many
    times as likely as others it is to be asked for. It `must_go` with the one that it refers to."""

    stand: Stand
    is_buried: bool
    tokens: int
    risk: float
    must_go: bool
