"""What `/stats-history` says: totals at points in time, and what came together in each hour, day, week and month."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from savings import checkpoints, live, stats
from savings.figures import Figures, usd
from savings.models import SavingsCheckpoint
from savings.stats import Bucket, Grain, Window

Series = Literal["history", "hourly", "daily", "weekly", "monthly"]

SCHEMA_VERSION = 6
GRAINS: tuple[Grain, ...] = ("hourly", "daily", "weekly", "monthly")
SHOWN = {"hourly": timedelta(days=14), "daily": timedelta(days=400)}
"""How far back the series of a whole document go, unless a time was asked for. Weeks and months go back to the first call."""


def document(mode: checkpoints.Mode, window: Window, now: datetime) -> dict[str, Any]:
    """Everything, as JSON."""
    found = checkpoints.read(mode)
    stored = checkpoints.stored()
    lifetime = live.lifetime()
    return {
        "schema_version": SCHEMA_VERSION,
        "generated_at": timestamp(now),
        "lifetime": totals(lifetime.figures),
        "imported": totals(lifetime.imported) if lifetime.imported != Figures() else None,
        "history": points(found),
        "series": {grain: [_floats(row) for row in _buckets(grain, _shown(grain, window, now))] for grain in GRAINS},
        "by_model": {name: totals(figures) for name, figures in lifetime.by_model.items()},
        "exports": {
            "default_format": "json",
            "available_formats": ["json", "csv"],
            "available_series": ["history", *GRAINS],
        },
        "retention": {
            "max_history_points": None,
            "max_history_age_days": None,
            "max_response_history_points": checkpoints.COMPACT_POINTS,
        },
        "history_summary": {
            "mode": mode,
            "stored_points": stored,
            "returned_points": len(found),
            "compacted": 0 < len(found) < stored,
        },
    }


def table(series: Series, window: Window) -> tuple[tuple[str, ...], Iterator[list[Any]]]:
    """The header and rows of one series, dollars as exact decimals. Without a time, all there is."""
    if series == "history":
        found = [one for one in checkpoints.read("full") if window.start <= one.at < window.end]
        return HISTORY_COLUMNS, ([row[name] for name in HISTORY_COLUMNS] for row in map(_checkpoint, found))
    return SERIES_COLUMNS, ([row[name] for name in SERIES_COLUMNS] for row in _buckets(series, window))


HISTORY_COLUMNS = (
    *("timestamp", "total_tokens_saved", "compression_savings_usd", "total_input_tokens", "total_input_cost_usd"),
    *("total_output_cost_usd", "total_cost_usd", "avoided_usd", "cache_read_tokens", "output_tokens", "requests"),
    *("provider", "agent", "model", "is_imported"),
)
SERIES_COLUMNS = (
    *("timestamp", "tokens_saved", "compression_savings_usd_delta", "total_tokens_saved", "compression_savings_usd"),
    *("total_input_tokens_delta", "total_input_tokens", "total_input_cost_usd_delta", "total_input_cost_usd"),
    *("total_output_cost_usd_delta", "total_output_cost_usd", "total_cost_usd_delta", "total_cost_usd"),
    *("output_tokens_delta", "cache_read_tokens_delta", "cache_savings_usd_delta", "avoided_usd_delta"),
    *("requests_delta", "calls_delta", "failed_calls_delta", "unpriced_calls_delta", "is_imported"),
)


def totals(figures: Figures) -> dict[str, Any]:
    """Figures by the names that the reference product's clients know, with ours beside them."""
    return {
        "requests": figures.requests,
        "tokens_saved": figures.tokens_saved,
        "compression_savings_usd": float(figures.saved_usd),
        "cache_read_tokens": figures.cache_read_tokens,
        "cache_savings_usd": float(figures.cache_discount_usd),
        "total_input_tokens": figures.input_tokens,
        "total_input_cost_usd": float(usd(figures.cost_nano_usd - figures.output_cost_nano_usd)),
        "total_output_tokens": figures.output_tokens,
        "total_output_cost_usd": float(usd(figures.output_cost_nano_usd)),
        "total_cost_usd": float(figures.spent_usd),
        "avoided_usd": float(figures.avoided_usd),
        "savings_percent": figures.tokens_saved_percent,
        "calls": figures.calls,
        "cost_nano_usd": figures.cost_nano_usd,
        "saved_nano_usd": figures.saved_nano_usd,
    }


def points(found: Iterable[SavingsCheckpoint]) -> list[dict[str, Any]]:
    """Checkpoints as JSON."""
    return [_floats(_checkpoint(one)) for one in found]


def timestamp(moment: datetime) -> str:
    """UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _shown(grain: Grain, window: Window, now: datetime) -> Window:
    if window == stats.EVER and grain in SHOWN:
        return Window(now - SHOWN[grain], window.end)
    return window


def _checkpoint(point: SavingsCheckpoint) -> dict[str, Any]:
    return {
        "timestamp": timestamp(point.at),
        "provider": point.provider,
        "agent": point.agent,
        "model": point.model,
        "total_tokens_saved": point.tokens_saved,
        "compression_savings_usd": usd(point.saved_nano_usd),
        "cache_read_tokens": point.cache_read_tokens,
        "total_input_tokens": point.input_tokens,
        "total_input_cost_usd": usd(point.cost_nano_usd - point.output_cost_nano_usd),
        "total_output_cost_usd": usd(point.output_cost_nano_usd),
        "total_cost_usd": usd(point.cost_nano_usd),
        "avoided_usd": usd(point.avoided_nano_usd),
        "output_tokens": point.output_tokens,
        "requests": point.requests,
        "is_imported": point.is_imported,
    }


@dataclass(slots=True)
class _Running:
    """What came together up to a bucket."""

    tokens_saved: int
    input_tokens: int
    saved_nano_usd: int
    cost_nano_usd: int
    output_cost_nano_usd: int

    @classmethod
    def of(cls, figures: Figures) -> _Running:
        return cls(
            figures.tokens_saved,
            figures.input_tokens,
            figures.saved_nano_usd,
            figures.cost_nano_usd,
            figures.output_cost_nano_usd,
        )

    def add(self, figures: Figures) -> None:
        self.tokens_saved += figures.tokens_saved
        self.input_tokens += figures.input_tokens
        self.saved_nano_usd += figures.saved_nano_usd
        self.cost_nano_usd += figures.cost_nano_usd
        self.output_cost_nano_usd += figures.output_cost_nano_usd


def _buckets(grain: Grain, window: Window) -> Iterator[dict[str, Any]]:
    found = stats.series(grain, window, with_imported=True)
    before = Figures()
    if found and window.start > stats.EARLIEST:
        before = stats.totals(Window(end=window.start), with_imported=True)
    return _accumulated(found, _Running.of(before))


def _accumulated(buckets: Iterable[Bucket], running: _Running) -> Iterator[dict[str, Any]]:
    for bucket in buckets:
        figures = bucket.figures
        running.add(figures)
        yield {
            "timestamp": timestamp(bucket.starts_at),
            "tokens_saved": figures.tokens_saved,
            "compression_savings_usd_delta": figures.saved_usd,
            "total_tokens_saved": running.tokens_saved,
            "compression_savings_usd": usd(running.saved_nano_usd),
            "total_input_tokens_delta": figures.input_tokens,
            "total_input_tokens": running.input_tokens,
            "total_input_cost_usd_delta": usd(figures.cost_nano_usd - figures.output_cost_nano_usd),
            "total_input_cost_usd": usd(running.cost_nano_usd - running.output_cost_nano_usd),
            "total_output_cost_usd_delta": usd(figures.output_cost_nano_usd),
            "total_output_cost_usd": usd(running.output_cost_nano_usd),
            "total_cost_usd_delta": figures.spent_usd,
            "total_cost_usd": usd(running.cost_nano_usd),
            "output_tokens_delta": figures.output_tokens,
            "cache_read_tokens_delta": figures.cache_read_tokens,
            "cache_savings_usd_delta": figures.cache_discount_usd,
            "avoided_usd_delta": figures.avoided_usd,
            "requests_delta": figures.requests,
            "calls_delta": figures.calls,
            "failed_calls_delta": figures.failed_calls,
            "unpriced_calls_delta": figures.unpriced_calls,
            "is_imported": bucket.is_imported,
        }


def _floats(row: dict[str, Any]) -> dict[str, Any]:
    return {name: float(value) if isinstance(value, Decimal) else value for name, value in row.items()}
