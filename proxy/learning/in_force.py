"""The adopted policy versions in memory, as they were two seconds ago at most: the road asks here and never the database."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy.learning import versions
from proxy.learning.judgement import Rule
from proxy.learning.models import PolicyVersion
from savings.poller import Poller

log = logging.getLogger("headroom.learning")

INTERVAL_S = 2.0
BUILT_IN = 1


@dataclass(frozen=True, slots=True)
class InForce:
    """The number of the version that new conversations begin with, and the rules of all that ever were in force.

    `horizons` are their shares of the turns so far that are counted on to follow, where they say another one than usual.
    """

    number: int = BUILT_IN
    rules: Mapping[int, frozenset[Rule]] = field(default_factory=lambda: {BUILT_IN: frozenset()})
    horizons: Mapping[int, float] = field(default_factory=dict)


def load() -> InForce:
    """Read the adopted versions."""
    rows = list(PolicyVersion.objects.filter(state="adopted").order_by("decided_at", "pk"))
    rules = {row.pk: frozenset(versions.rules_of(row)) for row in rows}
    horizons = {row.pk: row.horizon_share for row in rows if row.horizon_share is not None}
    return InForce(rows[-1].pk if rows else BUILT_IN, {BUILT_IN: frozenset(), **rules}, horizons)


class Reader:
    """What is in force and what keeps that fresh, once it is started."""

    def __init__(self, *, interval_s: float = INTERVAL_S) -> None:
        self.found = InForce()
        self.poller = Poller(self._look, name="policies", interval_s=interval_s, what="policy versions", log=log)

    def _look(self) -> None:
        found = load()
        if found.number != self.found.number:
            log.info("new conversations begin with policy version %d", found.number)
        self.found = found


_reader = Reader()


def start() -> None:
    """Open the reader of this process."""
    _reader.poller.start()


def stop() -> None:
    """Close it; new conversations begin with the built-in policy again."""
    _reader.poller.stop()
    _reader.found = InForce()


def refresh() -> None:
    """Look at the database now."""
    _reader.poller.refresh()


def current() -> InForce:
    """What is in force. No I/O."""
    return _reader.found
