"""What the weavers of all dialects share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from proxy import splice
from proxy.providers import bodies
from proxy.retrieval.turns import Turn
from proxy.sse import END_OF_EVENT


@dataclass(frozen=True, slots=True)
class OwnCall:
    """A call of our tool: where it stands among the parts of its round's answer, and the part itself."""

    place: int
    call_id: str
    arguments: Any
    part: Any


@dataclass(frozen=True, slots=True)
class Said:
    """What we answer to a call."""

    text: str
    is_error: bool = False


class Weaver(Protocol):
    """Passes answers on as they come, one round after another, and holds back what is not the client's.

    A chunk filter for each round: `feed` and `flush` return what the client may have. When a round has ended, `calls` are
    those of ours that wait for an answer. `is_held`: the end of the answer is still here, because rounds are behind it.
    """

    calls: list[OwnCall]
    has_client_calls: bool

    @property
    def is_held(self) -> bool: ...

    def feed(self, chunk: bytes) -> bytes: ...

    def flush(self) -> bytes: ...

    def next_round(self, said: Sequence[Said]) -> list[Any]:
        """Begin another round: the messages to send behind those of the last one."""

    def retold(self, text: str) -> list[Any]:
        """The messages of the last round with this in place of what was looked up."""

    def turn(self, said: Sequence[Said]) -> tuple[Turn, list[Any]]:
        """What is to be recorded: the turn, and the answer as the client gets it."""

    def ending(self) -> bytes:
        """The end of the answer that was held back."""

    def refused(self, body: bytes) -> bytes:
        """What to say when a further round got this error answer."""


def recorded(
    rounds: Sequence[tuple[Any, ...]], shown: Sequence[int], calls: Sequence[OwnCall], results: Sequence[Any]
) -> Turn:
    """What is to be recorded of a turn: its rounds, and calls of ours that its end still has, with what answers them."""
    return Turn(tuple(rounds), tuple(shown), tuple((call.place, call.part) for call in calls), tuple(results))


def retold(rounds: list[tuple[Any, ...]], text: str) -> list[Any]:
    """The last round with this in place of what was looked up, there and for good."""
    sent = [_answered(item, text) for item in rounds[-1]]
    rounds[-1] = tuple(sent)
    return sent


def _answered(item: Any, text: str) -> Any:
    if item.get("role") == "tool":
        return {**item, "content": text}
    if item.get("type") == "function_call_output":
        return {**item, "output": text}
    if item.get("role") == "user":
        return {**item, "content": [{**block, "content": text, "is_error": True} for block in item["content"]]}
    return item


class Events:
    """Cuts a stream of bytes into whole events, each with its document (`None`: no JSON object)."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterable[tuple[bytes, dict[str, Any] | None]]:
        self._rest += chunk
        start = 0
        while found := END_OF_EVENT.search(self._rest, start):
            raw = self._rest[start : found.end()]
            start = found.end()
            yield raw, _document(raw)
        self._rest = self._rest[start:]

    def flush(self) -> bytes:
        """What came of an event that never ended."""
        rest, self._rest = self._rest, b""
        return rest


def _document(raw: bytes) -> dict[str, Any] | None:
    data = b"\n".join(line[5:].strip() for line in raw.splitlines() if line.startswith(b"data:"))
    return loaded(data) if data.startswith(b"{") else None


def loaded(body: bytes) -> dict[str, Any] | None:
    """A JSON object of which parts will be sent on, spelled anew; `None` when it is anything else."""
    try:
        document = splice.loads_exactly(body)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def event(document: dict[str, Any], *, is_named: bool = True) -> bytes:
    """One event as the providers write them."""
    name = b"event: " + str(document.get("type", "")).encode() + b"\n" if is_named else b""
    return name + b"data: " + splice.spelled(document) + b"\n\n"


def summed(usages: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The usage of all rounds together: counts added up at every depth, anything else as the last round has it."""
    total: dict[str, Any] = {}
    for usage in usages:
        for key, value in usage.items():
            before = total.get(key)
            if isinstance(value, dict):
                total[key] = summed([before if isinstance(before, dict) else {}, value])
            elif isinstance(value, int) and not isinstance(value, bool):
                total[key] = value + (before if isinstance(before, int) and not isinstance(before, bool) else 0)
            elif value is not None or key not in total:
                total[key] = value
    return total


def error_of(body: bytes) -> dict[str, Any]:
    """The error object of an error answer, or one that says that there was none."""
    document = bodies.load_object(body) or {}
    error = document.get("error")
    return error if isinstance(error, dict) else {"type": "api_error", "message": "a further round failed"}
