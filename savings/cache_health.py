"""What became of the providers' prompt caches: how often they were read as expected, and why not, out of the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from django.db.models import Count, Max, Min, Q, QuerySet, Sum

from savings.models import LedgerEntry
from savings.receipts import CacheOutcome

OUTCOMES: tuple[CacheOutcome, ...] = tuple(outcome for outcome in get_args(CacheOutcome) if outcome)
EPOCH = "epoch:"
"""What the name of a transform begins with that may change what was sent before."""


@dataclass(frozen=True, slots=True)
class Health:
    """The prompt caches of some calls. Tokens are the providers'; `outcomes` counts calls whose outcome is known.

    `own_changes_outside_epochs` must be 0: nothing that was sent once may change but in an epoch.
    """

    calls: int
    outcomes: dict[CacheOutcome, int]
    read_tokens: int
    written_5m_tokens: int
    written_1h_tokens: int
    fresh_tokens: int
    own_changes_outside_epochs: int
    first_at: datetime | None = None
    last_at: datetime | None = None

    @property
    def hit_share(self) -> float | None:
        """Hits among the calls that had something to read; None where there were none."""
        told = sum(self.outcomes.values()) - self.outcomes.get("cold_start", 0)
        return self.outcomes.get("hit", 0) / told if told else None

    @property
    def read_share(self) -> float | None:
        """The share of all input tokens that was read from a cache; None without input."""
        total = self.read_tokens + self.written_5m_tokens + self.written_1h_tokens + self.fresh_tokens
        return self.read_tokens / total if total else None

    @property
    def written_1h_share(self) -> float | None:
        """The share of written tokens that are kept for an hour; None where nothing was written."""
        written = self.written_5m_tokens + self.written_1h_tokens
        return self.written_1h_tokens / written if written else None


def of(entries: QuerySet[LedgerEntry]) -> Health:
    """The prompt caches of these calls, such as those of one conversation."""
    sums = entries.aggregate(
        calls=Count("id"),
        read=Sum("cache_read_tokens"),
        written_5m=Sum("cache_write_5m_tokens"),
        written_1h=Sum("cache_write_1h_tokens"),
        fresh=Sum("input_fresh_tokens"),
        first_at=Min("admitted_at"),
        last_at=Max("admitted_at"),
        **{outcome: Count("id", filter=Q(cache_outcome=outcome)) for outcome in OUTCOMES},
    )
    changed = entries.filter(cache_outcome="own_change").values_list("transforms", flat=True)
    return Health(
        calls=sums["calls"],
        outcomes={outcome: sums[outcome] for outcome in OUTCOMES if sums[outcome]},
        read_tokens=sums["read"] or 0,
        written_5m_tokens=sums["written_5m"] or 0,
        written_1h_tokens=sums["written_1h"] or 0,
        fresh_tokens=sums["fresh"] or 0,
        own_changes_outside_epochs=sum(not _is_epoch(names) for names in changed),
        first_at=sums["first_at"],
        last_at=sums["last_at"],
    )


def is_own_change_outside_epochs(entry: LedgerEntry) -> bool:
    """Whether a call changed what was sent before though no epoch began with it, which must never be."""
    return entry.cache_outcome == "own_change" and not _is_epoch(entry.transforms)


def _is_epoch(transforms: Iterable[str]) -> bool:
    return any(EPOCH in name for name in transforms)
