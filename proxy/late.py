"""While the database is away, nobody can say what other workers decided: the same is decided again, and stored when it is back.

Decisions follow from the history. Only whether a form that leaves something out was allowed to go depends on the moment: those
wait while the database is away.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import DatabaseError

from proxy.aging.values import Stand
from proxy.decisions import Batch, Decided, Memory
from proxy.values import Call

logger = logging.getLogger(__name__)

INTERVAL_S = 2.0
MAX_BATCHES = 2000


class Late:
    """What one worker decided and could not store yet."""

    def __init__(self, memory: Memory, store: Callable[[Batch], dict[str, Decided]]) -> None:
        self._memory, self._store = memory, store
        self._batches: deque[Batch] = deque(maxlen=MAX_BATCHES)

    def add(self, batch: Batch) -> None:
        self._batches.append(batch)

    def save(self) -> None:
        """Store what there is, and go by what others stored first. Runs queries; for a thread in which nobody waits."""
        while self._batches:
            batch = self._batches.popleft()
            try:
                held = self._store(batch)
            except DatabaseError as exc:
                self._batches.appendleft(batch)
                logger.info("%d turns of decisions are still to be stored: %s", len(self._batches), exc)
                return
            for key, decided in held.items():
                self._memory.put(key, decided)


@dataclass(frozen=True, slots=True)
class Moment:
    """When the results were decided that are missing: the request came at `at_s`, this worker had one of the conversation
    last at `seen_at_s`, and the database is missed since `away_since_s` (`None`: not known)."""

    at_s: float
    seen_at_s: float | None
    away_since_s: float | None

    def was_away(self, age_turns: int, oldest_turns: int) -> bool:
        """Whether the database was away when results of that age were new, of which the oldest missing is so old: turns take
        about the same time each."""
        if self.seen_at_s is None or self.away_since_s is None:
            return False
        share = (oldest_turns + 1 - age_turns) / (oldest_turns + 1)
        return self.seen_at_s + share * (self.at_s - self.seen_at_s) >= self.away_since_s


def turns(stands: Sequence[Stand], missing: frozenset[str]) -> list[int]:
    """The ages of what is missing, oldest first."""
    return sorted({stand.result.age_turns for stand in stands if stand.key in missing}, reverse=True)


def body_bytes(call: Call, age_turns: int) -> int:
    """About how long the request was in which the results of that age were the newest."""
    history = call.history
    ends = [result.path[1] for result in call.results if result.age_turns >= age_turns]
    if history is None or not history.members or not ends:
        return len(call.body)
    last = history.items[max(int(end) for end in ends)]
    return len(call.body) - (history.items[-1].span[1] - last.span[1])
