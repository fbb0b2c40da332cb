"""When conversations asked, and which of the requests that share a past was the last: what one worker remembers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

MAX_REQUESTS = 50_000
MAX_LINKS = 100_000


class Asked(NamedTuple):
    """When a request was made, and whether this worker knew then when the one before it was made."""

    at_s: float
    is_sure: bool


_Request = tuple[str, int]
"""A request by the last link of its chain of results, and the number of answers in it."""


class Lines:
    """The times of requests. Those that share the first links of their chains share a past, whatever became of it."""

    def __init__(self) -> None:
        self._asked: OrderedDict[_Request, Asked] = OrderedDict()
        self._last: OrderedDict[str, _Request] = OrderedDict()

    def get(self, chain: str, turns: int) -> Asked | None:
        """What is remembered of a request."""
        return self._asked.get((chain, turns))

    def last(self, chains: Sequence[str]) -> float | None:
        """When the last request was made that shared most of these links, if any did."""
        shared = next((chain for chain in reversed(chains) if chain in self._last), None)
        asked = self._asked.get(self._last[shared]) if shared is not None else None
        return asked.at_s if asked is not None else None

    def put(self, chains: Sequence[str], turns: int, asked: Asked) -> None:
        """Remember a request, the last one of all that share anything with it."""
        request = (chains[-1], turns)
        self._asked[request] = asked
        self._asked.move_to_end(request)
        for chain in chains:
            self._last[chain] = request
            self._last.move_to_end(chain)
        while len(self._asked) > MAX_REQUESTS:
            self._asked.popitem(last=False)
        while len(self._last) > MAX_LINKS:
            self._last.popitem(last=False)
