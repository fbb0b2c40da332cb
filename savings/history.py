"""What `/stats-history` says: totals at points in time, and what came together in each hour, day, week and month."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from operator import add
from typing import Any, Literal

import orjson
from django.db import connection

from savings import checkpoints, csv_export, live, stats
from savings.checkpoints import Checkpoint
from savings.figures import NANO, Figures
from savings.models import BucketTotal
from savings.stats import Grain, Window

Series = Literal["history", "hourly", "daily", "weekly", "monthly"]

SCHEMA_VERSION = 6
MAX_PROJECTS = 50
GRAINS: tuple[Grain, ...] = ("hourly", "daily", "weekly", "monthly")
SHOWN = {"hourly": timedelta(days=14), "daily": timedelta(days=400)}
"""How far back the series of a whole document go, unless a time was asked for. Weeks and months go back to the first call."""


def document(mode: checkpoints.Mode, window: Window, now: datetime, *, with_projects: bool) -> dict[str, Any]:
    """Everything, as JSON. Without projects for those who may not see what others work on."""
    found, stored = checkpoints.read(mode)
    lifetime = live.lifetime()
    found_projects = {"projects": projects(), "projects_limit": MAX_PROJECTS} if with_projects else {}
    return {
        "schema_version": SCHEMA_VERSION,
        "generated_at": timestamp(now),
        "lifetime": totals(lifetime.figures),
        "imported": totals(lifetime.imported) if lifetime.imported != Figures() else None,
        "history": points(found),
        "series": _all_series(window, now),
        "by_model": {name: totals(figures) for name, figures in lifetime.by_model.items()},
        **found_projects,
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
        found = [one for one in checkpoints.read("full")[0] if window.start <= one.at < window.end]
        return HISTORY_COLUMNS, (_cells(_checkpoint(one), HISTORY_COLUMNS) for one in found)
    return SERIES_COLUMNS, (_cells(row, SERIES_COLUMNS) for row in _Buckets().rows(series, window))


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
_DOLLARS = frozenset(name for name in (*HISTORY_COLUMNS, *SERIES_COLUMNS) if "_usd" in name)
"""Columns that rows hold in nano-dollars until they are written."""


def totals(figures: Figures) -> dict[str, Any]:
    """Figures by the names that the reference product's clients know, with ours beside them."""
    return {
        "requests": figures.requests,
        "tokens_saved": figures.tokens_saved,
        "compression_savings_usd": figures.saved_nano_usd / NANO,
        "cache_read_tokens": figures.cache_read_tokens,
        "cache_savings_usd": figures.cache_discount_nano_usd / NANO,
        "total_input_tokens": figures.input_tokens,
        "total_input_cost_usd": (figures.cost_nano_usd - figures.output_cost_nano_usd) / NANO,
        "total_output_tokens": figures.output_tokens,
        "total_output_cost_usd": figures.output_cost_nano_usd / NANO,
        "total_cost_usd": figures.cost_nano_usd / NANO,
        "avoided_usd": figures.avoided_nano_usd / NANO,
        "savings_percent": figures.tokens_saved_percent,
        "calls": figures.calls,
        "cost_nano_usd": figures.cost_nano_usd,
        "saved_nano_usd": figures.saved_nano_usd,
    }


def projects() -> dict[str, Any]:
    """What each project has come to since the first call, the dearest first; as of the last rollup."""
    return _projects(str(connection.settings_dict["NAME"]), stats.revision())


@lru_cache(maxsize=4)
def _projects(_database: str, _revision: int) -> dict[str, Any]:
    return {name: totals(figures) for name, figures in stats.by("project", limit=MAX_PROJECTS).items()}


def points(found: Iterable[Checkpoint]) -> list[dict[str, Any]]:
    """Checkpoints as JSON."""
    return [_json(_checkpoint(one)) for one in found]


def timestamp(moment: datetime) -> str:
    """UTC, whole seconds."""
    return f"{moment.astimezone(UTC).isoformat()[:19]}Z"


def _checkpoint(point: Checkpoint) -> dict[str, Any]:
    return {
        "timestamp": timestamp(point.at),
        "provider": point.provider,
        "agent": point.agent,
        "model": point.model,
        "total_tokens_saved": point.tokens_saved,
        "compression_savings_usd": point.saved_nano_usd,
        "cache_read_tokens": point.cache_read_tokens,
        "total_input_tokens": point.input_tokens,
        "total_input_cost_usd": point.cost_nano_usd - point.output_cost_nano_usd,
        "total_output_cost_usd": point.output_cost_nano_usd,
        "total_cost_usd": point.cost_nano_usd,
        "avoided_usd": point.avoided_nano_usd,
        "output_tokens": point.output_tokens,
        "requests": point.requests,
        "is_imported": bool(point.is_imported),
    }


def _all_series(window: Window, now: datetime) -> dict[str, Any]:
    """Every series, written out. They change with rollups only, and most of those who ask, ask again soon."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    return _written(str(connection.settings_dict["NAME"]), stats.revision(), window, hour)


@lru_cache(maxsize=4)
def _written(_database: str, _revision: int, window: Window, hour: datetime) -> dict[str, Any]:
    shown = {grain: _shown(grain, window, hour) for grain in GRAINS}
    buckets = _Buckets()
    return {
        grain: orjson.Fragment(orjson.dumps([_json(row) for row in buckets.rows(grain, shown[grain])]))
        for grain in GRAINS
    }


def _shown(grain: Grain, window: Window, hour: datetime) -> Window:
    if window == stats.EVER and grain in SHOWN:
        return Window(hour - SHOWN[grain], window.end)
    return window


class _Buckets:
    """What came together in every day that there was, without labels; hours only where they are asked for."""

    def __init__(self) -> None:
        self._totals = BucketTotal.objects.values_list("starts_at", "source", *_FIGURES).order_by("starts_at")
        self._days = _merged(self._totals.filter(grain="day"))

    def rows(self, grain: Grain, window: Window) -> Iterator[dict[str, Any]]:
        """The buckets of a window, with what had come together until then since the beginning."""
        nothing = [0] * len(_FIGURES)
        if grain != "hourly":
            return _accumulated(_joined(self._days, grain), nothing, window)
        first = window.start.replace(hour=0, minute=0, second=0, microsecond=0)
        hours = _merged(self._totals.filter(grain="hour", starts_at__gte=first, starts_at__lt=window.end))
        before = [figures for starts_at, _, figures in self._days if starts_at < first]
        return _accumulated(hours, [sum(column) for column in zip(*before, strict=True)] or nothing, window)


_FIGURES = (
    *("tokens_saved", "input_fresh_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens"),
    *("output_tokens", "cost_nano_usd", "output_cost_nano_usd", "saved_nano_usd", "cache_discount_nano_usd"),
    *("avoided_nano_usd", "requests", "calls", "failed_calls", "unpriced_calls"),
)
_Bucket = tuple[datetime, bool, list[int]]


def _merged(rows: Iterable[tuple[Any, ...]]) -> list[_Bucket]:
    """One bucket for each time, whatever its sources."""
    found: list[_Bucket] = []
    for starts_at, source, *figures in rows:
        _add(found, starts_at, source == "imported", figures)
    return found


def _joined(days: list[_Bucket], grain: Grain) -> list[_Bucket]:
    found: list[_Bucket] = []
    for day, is_imported, figures in days:
        _add(found, stats.start_of(grain, day), is_imported, figures)
    return found


def _add(buckets: list[_Bucket], starts_at: datetime, is_imported: bool, figures: list[int]) -> None:
    if buckets and buckets[-1][0] == starts_at:
        _, was_imported, before = buckets.pop()
        is_imported, figures = is_imported or was_imported, list(map(add, before, figures))
    buckets.append((starts_at, is_imported, figures))


def _accumulated(buckets: Iterable[_Bucket], running: list[int], window: Window) -> Iterator[dict[str, Any]]:
    """Those that begin in the window, each with what had come together by its end."""
    start = window.start.replace(minute=0, second=0, microsecond=0)
    for starts_at, is_imported, figures in buckets:
        running = list(map(add, running, figures))
        if start <= starts_at < window.end:
            yield _row(starts_at, is_imported, figures, running)


def _row(starts_at: datetime, is_imported: bool, figures: list[int], running: list[int]) -> dict[str, Any]:
    new, total = dict(zip(_FIGURES, figures, strict=True)), dict(zip(_FIGURES, running, strict=True))
    return {
        "timestamp": timestamp(starts_at),
        "tokens_saved": new["tokens_saved"],
        "compression_savings_usd_delta": new["saved_nano_usd"],
        "total_tokens_saved": total["tokens_saved"],
        "compression_savings_usd": total["saved_nano_usd"],
        "total_input_tokens_delta": _input_tokens(new),
        "total_input_tokens": _input_tokens(total),
        "total_input_cost_usd_delta": new["cost_nano_usd"] - new["output_cost_nano_usd"],
        "total_input_cost_usd": total["cost_nano_usd"] - total["output_cost_nano_usd"],
        "total_output_cost_usd_delta": new["output_cost_nano_usd"],
        "total_output_cost_usd": total["output_cost_nano_usd"],
        "total_cost_usd_delta": new["cost_nano_usd"],
        "total_cost_usd": total["cost_nano_usd"],
        "output_tokens_delta": new["output_tokens"],
        "cache_read_tokens_delta": new["cache_read_tokens"],
        "cache_savings_usd_delta": new["cache_discount_nano_usd"],
        "avoided_usd_delta": new["avoided_nano_usd"],
        "requests_delta": new["requests"],
        "calls_delta": new["calls"],
        "failed_calls_delta": new["failed_calls"],
        "unpriced_calls_delta": new["unpriced_calls"],
        "is_imported": is_imported,
    }


def _input_tokens(figures: dict[str, int]) -> int:
    return (
        figures["input_fresh_tokens"]
        + figures["cache_read_tokens"]
        + figures["cache_write_5m_tokens"]
        + figures["cache_write_1h_tokens"]
    )


def _json(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value / NANO if name in _DOLLARS else value for name, value in row.items()}


def _cells(row: dict[str, Any], columns: tuple[str, ...]) -> list[Any]:
    return [csv_export.dollars(row[name]) if name in _DOLLARS else row[name] for name in columns]
