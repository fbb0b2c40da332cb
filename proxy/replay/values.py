"""What a recording is once it was read, whatever kind of file it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from proxy.replay.billing import Ttl
from proxy.values import Dialect

Message = dict[str, Any]


class Unreadable(ValueError):
    """A file that holds no session we can price, and why."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One request of a session: the first `length` messages of `history`, answered by the message after them.

    `at_s` is when it was sent (seconds since 1970), and `recorded_input_tokens` the provider's own count of the whole
    prompt; both are None where the recording does not say. `thread` names the agent: each has a system prompt of its own.
    """

    history: Sequence[Message]
    length: int
    model: str = ""
    at_s: float | None = None
    recorded_input_tokens: int | None = None
    recorded_output_tokens: int = 0
    thread: str = ""

    @property
    def answer(self) -> Message:
        return self.history[self.length]


@dataclass(frozen=True, slots=True)
class Session:
    """The turns of one recording in the order in which they were sent. `bad_lines` could not be read and were skipped.

    `leaves_out_prefix`: the recording holds neither the system prompt nor the tools that stood in front of its messages.
    """

    name: str
    dialect: Dialect
    turns: tuple[Turn, ...]
    system: Sequence[Message] = ()
    tools: Sequence[Message] = ()
    ttl: Ttl = "5m"
    leaves_out_prefix: bool = False
    bad_lines: int = 0
    needed: Mapping[int, Sequence[str]] = field(default_factory=dict)
    """Texts that an answer made use of, by the answer's place in the history: they should be visible when it is asked for."""
