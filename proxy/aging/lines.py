"""How conversations stood at their requests, and which of those that share a past was the last: what one worker remembers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from proxy.aging.values import Standing

MAX_REQUESTS = 50_000
MAX_LINKS = 100_000

_Request = tuple[str, int]
"""A request by the last link of its chain of results, and the number of answers in it."""


class Lines:
    """The standings of requests. Those that share the first links of their chains share a past, whatever became of it."""

    def __init__(self) -> None:
        self._standings: OrderedDict[_Request, Standing] = OrderedDict()
        self._last: OrderedDict[str, _Request] = OrderedDict()

    def get(self, chain: str, turns: int) -> Standing | None:
        """How a conversation stood after a request, if that is remembered."""
        return self._standings.get((chain, turns))

    def last(self, chains: Sequence[str]) -> Standing | None:
        """The same after the last request that shared most of these links, if any did."""
        shared = next((chain for chain in reversed(chains) if chain in self._last), None)
        return self._standings.get(self._last[shared]) if shared is not None else None

    def put(self, chains: Sequence[str], turns: int, standing: Standing) -> None:
        """Remember a request, the last one of all that share anything with it."""
        request = (chains[-1], turns)
        self._standings[request] = standing
        self._standings.move_to_end(request)
        for chain in chains:
            self._last[chain] = request
            self._last.move_to_end(chain)
        while len(self._standings) > MAX_REQUESTS:
            self._standings.popitem(last=False)
        while len(self._last) > MAX_LINKS:
            self._last.popitem(last=False)
