"""What was summed up over some calls, as one value, with the figures that follow from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from operator import attrgetter
from typing import Any

NANO = 1_000_000_000


def usd(nano_usd: int) -> Decimal:
    """Nano-dollars as dollars, exactly."""
    return Decimal(nano_usd) / NANO


def percent(part: float, whole: float, digits: int = 1) -> float:
    """A share in percent, 0 where there is nothing to have a share of."""
    return round(100 * part / whole, digits) if whole else 0.0


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums over calls. Columns are those of `Sums`; docs/figures.md says what each one counts."""

    calls: int = 0
    requests: int = 0
    complete_calls: int = 0
    partial_calls: int = 0
    interrupted_calls: int = 0
    void_calls: int = 0
    failed_calls: int = 0
    cached_calls: int = 0
    retrieval_calls: int = 0
    uncompressed_calls: int = 0
    observed_calls: int = 0
    measured_calls: int = 0
    unpriced_calls: int = 0
    unknown_savings_calls: int = 0
    input_fresh_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    prompt_cache_calls: int = 0
    cache_read_calls: int = 0
    cache_write_5m_calls: int = 0
    cache_write_1h_calls: int = 0
    tokens_before: int = 0
    tokens_after: int = 0
    tokens_saved: int = 0
    observed_tokens_saved: int = 0
    cost_nano_usd: int = 0
    output_cost_nano_usd: int = 0
    cache_discount_nano_usd: int = 0
    saved_nano_usd: int = 0
    observed_saved_nano_usd: int = 0
    avoided_nano_usd: int = 0
    hit_calls: int = 0
    ttl_expiry_calls: int = 0
    prefix_change_calls: int = 0
    own_change_calls: int = 0
    cold_start_calls: int = 0
    unknown_miss_calls: int = 0
    latency_calls: int = 0
    latency_us: int = 0
    latency_min_us: int | None = None
    latency_max_us: int = 0
    overhead_calls: int = 0
    overhead_us: int = 0
    overhead_min_us: int | None = None
    overhead_max_us: int = 0
    ttfb_calls: int = 0
    ttfb_us: int = 0
    ttfb_min_us: int | None = None
    ttfb_max_us: int = 0

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Figures:
        """The columns found in a row; null and missing sums are 0."""
        return cls(**{name: int(value) for name in NAMES if (value := row.get(name)) is not None})

    @classmethod
    def sum(cls, parts: Iterable[Figures]) -> Figures:
        """Everything together."""
        columns = list(zip(*map(_values, parts), strict=True))
        if not columns:
            return cls()
        return cls(*(join(column) for join, column in zip(_JOINS, columns, strict=True)))

    @property
    def spent_usd(self) -> Decimal:
        """What providers charge for these calls, as far as their prices are known."""
        return usd(self.cost_nano_usd)

    @property
    def cache_discount_usd(self) -> Decimal:
        """What the provider's own prompt cache took off, less what writing to it cost on top. None of our doing."""
        return usd(self.cache_discount_nano_usd)

    @property
    def saved_usd(self) -> Decimal:
        """What these calls would have cost without us, less what they cost. Negative where we made it dearer."""
        return usd(self.saved_nano_usd)

    @property
    def would_have_been_usd(self) -> Decimal:
        """The bill without us: spent and saved together."""
        return usd(self.cost_nano_usd + self.saved_nano_usd)

    @property
    def avoided_usd(self) -> Decimal:
        """What answers out of the response cache would have cost."""
        return usd(self.avoided_nano_usd)

    @property
    def saved_percent(self) -> float:
        """Saved as a share of what the bill would have been."""
        return percent(self.saved_nano_usd, self.cost_nano_usd + self.saved_nano_usd)

    @property
    def tokens_saved_percent(self) -> float:
        """Tokens not sent, as a share of those that would have been."""
        return percent(self.tokens_saved, self.tokens_before)

    @property
    def input_tokens(self) -> int:
        """Billed input of every class: fresh, read from and written to the provider's cache."""
        return (
            self.input_fresh_tokens + self.cache_read_tokens + self.cache_write_5m_tokens + self.cache_write_1h_tokens
        )

    @property
    def cache_write_tokens(self) -> int:
        """Written to the provider's cache, for whatever time."""
        return self.cache_write_5m_tokens + self.cache_write_1h_tokens

    @property
    def cache_hit_percent(self) -> float:
        """The share of billed input that the provider read from its cache."""
        return percent(self.cache_read_tokens, self.input_tokens)

    @property
    def cache_outcomes(self) -> dict[str, int]:
        """How many calls there were of each thing that may become of the provider's prompt cache."""
        return {
            "hit": self.hit_calls,
            "cold_start": self.cold_start_calls,
            "ttl_expiry": self.ttl_expiry_calls,
            "prefix_change": self.prefix_change_calls,
            "own_change": self.own_change_calls,
            "unknown": self.unknown_miss_calls,
        }

    @property
    def latency_ms(self) -> float:
        """Mean time from a request's arrival to the end of its answer."""
        return _mean_ms(self.latency_us, self.latency_calls)

    @property
    def overhead_ms(self) -> float:
        """Mean time that a request spent here before it was sent."""
        return _mean_ms(self.overhead_us, self.overhead_calls)

    @property
    def ttfb_ms(self) -> float:
        """Mean time from sending to the provider's first byte."""
        return _mean_ms(self.ttfb_us, self.ttfb_calls)


NAMES = tuple(field.name for field in fields(Figures))
_values = attrgetter(*NAMES)


def _least(column: Iterable[int | None]) -> int | None:
    return min((value for value in column if value is not None), default=None)


_JOINS: tuple[Any, ...] = tuple(
    _least if name.endswith("_min_us") else max if name.endswith("_max_us") else sum for name in NAMES
)
"""How each column of several figures becomes one."""


def _mean_ms(total_us: int, calls: int) -> float:
    return round(total_us / calls / 1000, 3) if calls else 0.0
