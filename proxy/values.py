"""What travels along the road of one request: each step turns one of these into the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, Protocol, TypeVar, dataclass_transform

from savings.receipts import Usage

Dialect = Literal["anthropic", "openai"]
Path = tuple[str | int, ...]
"""Where a value stands in a JSON document: keys and indices from the root."""

Sizes = Mapping[Path, tuple[int, int]]
"""Tokens of tool results, as the client sent them and as they go out."""

T = TypeVar("T")

Headers = list[tuple[bytes, bytes]]
"""Header lines in order, names in lower case, as ASGI and the wire have them. Duplicates stay."""


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def light(cls: type[T]) -> type[T]:
    """A frozen dataclass, but frozen by the type checker alone: for what a request makes hundreds of. One that guards
    itself takes six times as long to make."""
    return dataclass(slots=True, unsafe_hash=True)(cls)


@dataclass(frozen=True, slots=True)
class Exchange:
    """The client's request as it came in, but for its body. `target` is the undecoded path and query."""

    method: str
    path: str
    target: bytes
    headers: Headers
    peer: str
    started: float

    def header(self, name: bytes) -> str:
        """The first value of a header, "" when there is none."""
        for key, value in self.headers:
            if key == name:
                return value.decode("latin-1")
        return ""

    @property
    def has_body(self) -> bool:
        """Whether the header lines announce a body (RFC 9112 §6.3)."""
        return any(
            key == b"transfer-encoding" or (key == b"content-length" and value != b"0") for key, value in self.headers
        )


@dataclass(slots=True)
class Item:
    """One entry of a conversation: what it says, and where it is written in the body, if that is known.

    An item outlives its request when the next one repeats it. `edited` are its bytes after `edits`.
    """

    value: Any
    span: tuple[int, int] = (0, 0)
    edits: Any = None
    edited: bytes = b""


@dataclass(frozen=True, slots=True)
class History:
    """A request's body and its JSON, with the conversation in it: the entries of the list at `key`, none without a list.

    `members` has the spans of the document's values. It is empty where they or the items cannot be told apart for certain.
    `known` is what was found out about the first items, by the function that did.
    """

    body: bytes
    key: str
    document: dict[str, Any]
    items: tuple[Item, ...] = ()
    members: Mapping[str, tuple[int, int]] = field(default_factory=lambda: MappingProxyType({}))
    known: dict[Callable[..., Any], list[Any]] = field(default_factory=dict)

    def told(self, read: Callable[[Any], T]) -> list[T]:
        """What a pure function says about each item; asked once about each, also if later requests repeat it."""
        found: list[T] = self.known.setdefault(read, [])
        found += [read(item.value) for item in self.items[len(found) :]]
        return found

    def told_of_first(self, count: int, read: Callable[[Sequence[Any]], T]) -> T:
        """What a pure function says about the first items together; asked once, also if later requests repeat them."""
        found: list[Any] = self.known.setdefault(read, [])
        if len(found) < count:  # those that a later request does not repeat are cut off, as those of `told` are
            found[:] = [None] * (count - 1) + [read([item.value for item in self.items[:count]])]
        last: T = found[count - 1]
        return last


Reader = Callable[[bytes, str], History | None]
"""Reads a body whose conversation is at a key; `None` when it is no JSON object."""


@light
class ToolResult:
    """One text of a tool's answer inside a request. `age_turns`: how many answers of the model came after it.

    `known` is what was found out about it, by what that depends on beside the text; the same for each request that has it.
    """

    path: Path
    text: str
    call_id: str
    tool: str
    arguments: str
    age_turns: int
    known: dict[Any, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def is_newest(self) -> bool:
        """No answer came after it yet: the model is about to see it for the first time."""
        return self.age_turns == 0


@dataclass(frozen=True, slots=True)
class Call:
    """A request as its provider understands it. `body` is what the client sent (decoded), `document` its JSON.

    `document` is `None` when the body was not JSON of a known shape: it is then forwarded as it is. `turns` is the number
    of answers of the model in it. `is_continued`: what came before it is kept by the provider and not sent again.
    `conversation` is what the ledger calls the conversation that it belongs to.
    """

    body: bytes
    document: dict[str, Any] | None = None
    model: str = ""
    is_streaming: bool = False
    is_billable: bool = True
    asks_for_usage: bool = False
    results: tuple[ToolResult, ...] = ()
    turns: int = 0
    is_continued: bool = False
    session_hint: str = ""
    user_hint: str = ""
    conversation: str = ""
    history: History | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Outline:
    """The prompt of a request as a provider's cache sees it: blocks in order, those that cannot change included.

    `chars` are sizes as sent by the client. `results` maps tool results to their blocks. `turn_ends` are the numbers of
    blocks that earlier requests of this conversation ended with, ascending. `marks` are the client's cache marks:
    (number of blocks up to and with the marked one, ttl).
    """

    chars: list[int]
    results: dict[Path, int]
    turn_ends: list[int]
    marks: list[tuple[int, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Cut:
    """Messages [start, end) that go, and what stands in their place: `marker`, and after it `kept` parts of theirs."""

    start: int
    end: int
    marker: str
    kept: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send instead of what: texts by their place, and the account of it.

    Tokens are o200k estimates of the whole request; `sizes` has those of results that were counted. `reason` says why nothing was shortened, "" when something was.
    `mark` is the result that carries a cache mark of ours and its ttl. `epoch` names the moment at which older results
    were shortened further, if this is one. `cuts` are messages that go because the context window is full,
    `added_tokens` those of a tool of ours. `policy_version` is the conversation's, 0 where none was needed.
    """

    replacements: Mapping[Path, str] = field(default_factory=dict)
    mark: tuple[Path, str] | None = None
    epoch: str = ""
    cuts: tuple[Cut, ...] = ()
    added_tokens: int = 0
    tokens_before: int = 0
    tokens_after: int = 0
    transforms: tuple[str, ...] = ()
    reason: str = ""
    sizes: Sizes = field(default_factory=dict)
    policy_version: int = 0

    @property
    def tokens_saved(self) -> int:
        return self.tokens_before - self.tokens_after


@dataclass(frozen=True, slots=True)
class Reading:
    """What a meter has seen so far. `is_complete`: the provider said that the answer is finished.

    `has_failed`: the answer says itself that something went wrong. `tier` is the service tier that it says was used. `text` is the generated text that went by, kept only
    until the provider reports its own count of it.
    """

    usage: Usage = field(default_factory=Usage)
    model: str = ""
    is_complete: bool = False
    text: str = ""
    has_failed: bool = False
    tier: str = ""


class Meter(Protocol):
    """Reads the decoded bytes of an answer as they go by, in pieces cut anywhere."""

    def feed(self, chunk: bytes) -> None: ...

    def reading(self) -> Reading: ...


class Provider(Protocol):
    """One dialect on one route. Implemented by modules, not classes: `proxy.providers.anthropic` and its neighbours."""

    @property
    def NAME(self) -> str: ...

    @property
    def DIALECT(self) -> Dialect: ...

    def parse(self, body: bytes, read: Reader = ...) -> Call:
        """Understand a request. What `read` makes nothing of is forwarded as it is."""

    def outline(self, call: Call) -> Outline:
        """The blocks of a request that was parsed."""

    def marks(self, call: Call) -> list[str]:
        """The ttls of the client's cache marks, in order; quicker had than the whole outline."""

    def render(self, call: Call, plan: Plan) -> bytes:
        """The body to send: the client's own bytes but for the planned replacements."""

    def meter(self, is_event_stream: bool) -> Meter:
        """A fresh meter for one answer."""
