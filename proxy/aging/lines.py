"""When conversations asked, and which of the requests that share a past was the last: what one worker remembers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

MAX_REQUESTS = 50_000
MAX_LINKS = 100_000

_Request = tuple[str, int]
"""A request by the last link of its chain of results, and the number of answers in it."""


class Lines:
    """The times of requests. Those that share the first links of their chains share a past, whatever became of it."""

    def __init__(self) -> None:
        self._asked_at_s: OrderedDict[_Request, float] = OrderedDict()
        self._last: OrderedDict[str, _Request] = OrderedDict()

    def get(self, chain: str, turns: int) -> float | None:
        """When a request was made, if that is remembered."""
        return self._asked_at_s.get((chain, turns))

    def last(self, chains: Sequence[str]) -> float | None:
        """The same of the last request that shared most of these links, if any did."""
        shared = next((chain for chain in reversed(chains) if chain in self._last), None)
        return self._asked_at_s.get(self._last[shared]) if shared is not None else None

    def put(self, chains: Sequence[str], turns: int, at_s: float) -> None:
        """Remember a request, the last one of all that share anything with it."""
        request = (chains[-1], turns)
        self._asked_at_s[request] = at_s
        self._asked_at_s.move_to_end(request)
        for chain in chains:
            self._last[chain] = request
            self._last.move_to_end(chain)
        while len(self._asked_at_s) > MAX_REQUESTS:
            self._asked_at_s.popitem(last=False)
        while len(self._last) > MAX_LINKS:
            self._last.popitem(last=False)
