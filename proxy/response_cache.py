"""Answers that were complete, kept for requests that are the same: in this process, or in Redis for all workers."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from savings.receipts import Usage

MAX_ENTRY_BYTES = 1024 * 1024
MAX_BYTES = 64 * 1024 * 1024
"""Of all answers together. A thousand usual ones are a tenth of it."""


@dataclass(frozen=True, slots=True)
class Name:
    """What an answer is found by: whose it is, and a digest of everything that it depends on."""

    owner: str
    digest: str

    def __str__(self) -> str:
        return f"{self.owner}:{self.digest}"


@dataclass(frozen=True, slots=True)
class Kept:
    """A complete answer, decoded, with what the provider counted for it."""

    headers: tuple[tuple[str, str], ...]
    body: bytes
    model: str
    usage: Usage

    @property
    def size_bytes(self) -> int:
        return len(self.body) + 500


class Answers(Protocol):
    """Where answers are kept. Nothing here raises for a store that is away, but `clear`."""

    @property
    def is_whole(self) -> bool:
        """Whether the store could be asked at the last attempt."""

    async def open(self) -> None:
        """Begin; inside the loop that serves."""

    async def get(self, name: Name) -> Kept | None:
        """The answer, if there is one and it is not too old."""

    def put(self, name: Name, kept: Kept) -> None:
        """Keep an answer, and let go of those that were not used for longest."""

    async def clear(self, owner: str) -> int:
        """Forget an owner's answers; how many those were. Raises Away."""

    async def close(self) -> None:
        """Let go of connections."""


class Away(RuntimeError):
    """The store does not answer."""


class LocalAnswers:
    """Answers in this process."""

    is_whole = True

    def __init__(
        self,
        max_entries: int,
        ttl_s: float,
        *,
        max_bytes: int = MAX_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_entries, self._ttl_s, self._max_bytes, self._clock = max_entries, ttl_s, max_bytes, clock
        self._entries: OrderedDict[Name, tuple[float, Kept]] = OrderedDict()
        self._bytes = 0

    async def open(self) -> None:
        """There is nothing to open."""

    async def get(self, name: Name) -> Kept | None:
        found = self._entries.get(name)
        if found is None:
            return None
        if self._clock() - found[0] >= self._ttl_s:
            self._drop(name)
            return None
        self._entries.move_to_end(name)
        return found[1]

    def put(self, name: Name, kept: Kept) -> None:
        self._drop(name)
        self._entries[name] = (self._clock(), kept)
        self._bytes += kept.size_bytes
        while len(self._entries) > self._max_entries or self._bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))

    async def clear(self, owner: str) -> int:
        names = [name for name in self._entries if name.owner == owner]
        for name in names:
            self._drop(name)
        return len(names)

    async def close(self) -> None:
        """There is nothing to close."""

    def _drop(self, name: Name) -> None:
        dropped = self._entries.pop(name, None)
        if dropped is not None:
            self._bytes -= dropped[1].size_bytes
