"""What `/stats` says: the running workers' figures under the names that the reference product's clients know."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from django.db import connection

from savings import checkpoints, history, live, rollup_sql
from savings.checkpoints import Checkpoint
from savings.figures import Figures, percent, usd
from savings.live import Lifetime, Live
from savings.models import LedgerEntry

RECENT_REQUESTS = 25
RECENT_CHECKPOINTS = 20
HISTORY_POINTS = 100
CACHED_READS = ("5m", "1h")


def document(now: datetime, *, with_requests: bool) -> dict[str, Any]:
    """Everything but the configuration. Without requests for those who may not see others' calls."""
    found = _put_together(str(connection.settings_dict["NAME"]), live.version(), with_requests)
    return {**found, "generated_at": history.timestamp(now)}


@lru_cache(maxsize=4)
def _put_together(_database: str, _version: tuple[Any, ...], with_requests: bool) -> dict[str, Any]:
    """Once for each state of the tallies: pages ask every second, also when nothing happens."""
    session, lifetime = live.both()
    figures = session.figures
    newest = checkpoints.newest(HISTORY_POINTS)
    found: dict[str, Any] = {
        "summary": _summary(session),
        "requests": _requests(session),
        "tokens": _tokens(figures),
        "latency": _times(figures.latency_ms, figures.latency_min_us, figures.latency_max_us, figures.latency_calls),
        "overhead": _times(
            figures.overhead_ms, figures.overhead_min_us, figures.overhead_max_us, figures.overhead_calls
        ),
        "ttfb": _times(figures.ttfb_ms, figures.ttfb_min_us, figures.ttfb_max_us, figures.ttfb_calls),
        "cost": _cost(session),
        "uncompressed_requests": session.reasons,
        "prefix_cache": _prefix_cache(session),
        "savings_history": _savings_history(session, lifetime, newest),
        "display_session": {
            **history.totals(figures),
            "started_at": session.started_at and history.timestamp(session.started_at),
        },
        "persistent_savings": _persistent(lifetime, newest[:RECENT_CHECKPOINTS]),
        "workers": session.workers,
        "started_at": session.started_at and history.timestamp(session.started_at),
    }
    if with_requests:
        found["persistent_savings"] |= {"projects": history.projects(), "projects_limit": history.MAX_PROJECTS}
        found["recent_requests"] = [_request(call) for call in _newest_calls(RECENT_REQUESTS)]
    return found


def _summary(session: Live) -> dict[str, Any]:
    figures = session.figures
    return {
        "api_requests": figures.requests,
        "primary_model": max(session.by_model, key=lambda name: session.by_model[name].requests, default=""),
        "compression": {
            "requests_compressed": figures.requests - figures.uncompressed_calls,
            "avg_compression_pct": figures.tokens_saved_percent,
            "total_tokens_removed": figures.tokens_saved,
            "total_tokens_before": figures.tokens_before,
            "total_tokens_saved_all_layers": figures.tokens_saved,
        },
        "uncompressed_requests": session.reasons,
        "cost": {
            "without_headroom_usd": float(figures.would_have_been_usd),
            "with_headroom_usd": float(figures.spent_usd),
            "with_headroom_input_usd": float(usd(figures.cost_nano_usd - figures.output_cost_nano_usd)),
            "with_headroom_output_usd": float(usd(figures.output_cost_nano_usd)),
            "total_saved_usd": float(figures.saved_usd),
            "savings_pct": figures.saved_percent,
            "provider_cache_discount_usd": float(figures.cache_discount_usd),
            "breakdown": {
                "cache_savings_usd": float(figures.cache_discount_usd),
                "compression_savings_usd": float(figures.saved_usd),
                "response_cache_avoided_usd": float(figures.avoided_usd),
            },
        },
    }


def _requests(session: Live) -> dict[str, Any]:
    figures = session.figures
    return {
        "total": figures.requests,
        "cached": figures.cached_calls,
        "rate_limited": session.refused.get("rate_limited", 0),
        "refused": session.refused,
        "failed": figures.failed_calls,
        "hung_up": figures.partial_calls,
        "observed": figures.observed_calls,
        "calls": figures.calls,
        "retrieval_rounds": figures.retrieval_calls,
        "by_provider": {name: some.requests for name, some in session.by_provider.items()},
        "failed_by_provider": {name: some.failed_calls for name, some in session.by_provider.items()},
        "by_model": {name: some.requests for name, some in session.by_model.items()},
    }


def _tokens(figures: Figures) -> dict[str, Any]:
    return {
        "input": figures.input_tokens,
        "output": figures.output_tokens,
        "input_fresh": figures.input_fresh_tokens,
        "cache_read": figures.cache_read_tokens,
        "cache_write_5m": figures.cache_write_5m_tokens,
        "cache_write_1h": figures.cache_write_1h_tokens,
        "reasoning": figures.reasoning_tokens,
        "saved": figures.tokens_saved,
        "sent_estimated": figures.tokens_after,
        "total_before_compression": figures.tokens_before,
        "savings_percent": figures.tokens_saved_percent,
        "observed_saved": figures.observed_tokens_saved,
    }


def _times(average_ms: float, min_us: int | None, max_us: int, calls: int) -> dict[str, Any]:
    return {
        "average_ms": average_ms,
        "min_ms": (min_us or 0) / 1000,
        "max_ms": max_us / 1000,
        "total_requests": calls,
    }


def _cost(session: Live) -> dict[str, Any]:
    figures = session.figures
    return {
        "total_cost_usd": float(figures.spent_usd),
        "cost_with_headroom_usd": float(figures.spent_usd),
        "total_input_cost_usd": float(usd(figures.cost_nano_usd - figures.output_cost_nano_usd)),
        "output_cost_usd": float(usd(figures.output_cost_nano_usd)),
        "savings_usd": float(figures.saved_usd),
        "compression_savings_usd": float(figures.saved_usd),
        "cache_savings_usd": float(figures.cache_discount_usd),
        "avoided_usd": float(figures.avoided_usd),
        "observed_savings_usd": float(usd(figures.observed_saved_nano_usd)),
        "cost_nano_usd": figures.cost_nano_usd,
        "saved_nano_usd": figures.saved_nano_usd,
        "avoided_nano_usd": figures.avoided_nano_usd,
        "unpriced_calls": figures.unpriced_calls,
        "calls_of_unknown_savings": figures.unknown_savings_calls,
        "total_tokens_saved": figures.tokens_saved,
        "total_input_tokens": figures.input_tokens,
        "cache_write_5m_tokens": figures.cache_write_5m_tokens,
        "cache_write_1h_tokens": figures.cache_write_1h_tokens,
        "per_model": {
            name: {
                "requests": some.requests,
                "tokens_saved": some.tokens_saved,
                "tokens_sent": some.tokens_after,
                "reduction_pct": some.tokens_saved_percent,
                "cost_usd": float(some.spent_usd),
                "savings_usd": float(some.saved_usd),
                "cost_nano_usd": some.cost_nano_usd,
                "saved_nano_usd": some.saved_nano_usd,
            }
            for name, some in session.by_model.items()
        },
    }


def _prefix_cache(session: Live) -> dict[str, Any]:
    figures = session.figures
    totals = _cache(figures)
    return {
        "by_provider": {name: _cache(some) for name, some in session.by_provider.items()},
        "totals": totals,
        "miss_attribution": {
            "ttl_expiry": figures.ttl_expiry_calls,
            "prefix_change": figures.own_change_calls + figures.prefix_change_calls,
            "prefix_change_by_us": figures.own_change_calls,
            "prefix_change_by_client": figures.prefix_change_calls,
            "cold_start": figures.cold_start_calls,
            "unknown": figures.unknown_miss_calls,
        },
        "observed_ttl_buckets": totals["observed_ttl_buckets"],
        "observed_ttl_mix": totals.get("observed_ttl_mix", {}),
    }


def _cache(figures: Figures) -> dict[str, Any]:
    tokens = {"5m": figures.cache_write_5m_tokens, "1h": figures.cache_write_1h_tokens}
    requests = {"5m": figures.cache_write_5m_calls, "1h": figures.cache_write_1h_calls}
    found: dict[str, Any] = {
        "cache_read_tokens": figures.cache_read_tokens,
        "cache_write_tokens": figures.cache_write_tokens,
        "cache_write_5m_tokens": figures.cache_write_5m_tokens,
        "cache_write_1h_tokens": figures.cache_write_1h_tokens,
        "uncached_input_tokens": figures.input_fresh_tokens,
        "requests": figures.prompt_cache_calls,
        "hit_requests": figures.cache_read_calls,
        "hit_rate": figures.cache_hit_percent,
        "request_hit_rate": percent(figures.cache_read_calls, figures.prompt_cache_calls),
        "savings_usd": float(figures.cache_discount_usd),
        "observed_ttl_buckets": {
            name: {"tokens": tokens[name], "requests": requests[name]} for name in CACHED_READS if tokens[name]
        },
    }
    if figures.cache_write_tokens:
        found["observed_ttl_mix"] = {
            "5m_pct": percent(tokens["5m"], figures.cache_write_tokens),
            "1h_pct": percent(tokens["1h"], figures.cache_write_tokens),
            "active_buckets": [name for name in CACHED_READS if tokens[name]],
        }
    return found


def _savings_history(session: Live, lifetime: Lifetime, newest: list[Checkpoint]) -> list[list[Any]]:
    """How tokens saved grew since the start, oldest first. Checkpoints hold totals of all time, of which this is the end."""
    if session.started_at is None:
        return []
    before = lifetime.figures.tokens_saved - session.figures.tokens_saved
    since = session.started_at
    return [[history.timestamp(one.at), one.tokens_saved - before] for one in reversed(newest) if one.at >= since]


def _persistent(lifetime: Lifetime, newest: list[Checkpoint]) -> dict[str, Any]:
    return {
        "schema_version": history.SCHEMA_VERSION,
        "lifetime": history.totals(lifetime.figures),
        "imported": history.totals(lifetime.imported) if lifetime.imported != Figures() else None,
        "by_model": {name: history.totals(figures) for name, figures in lifetime.by_model.items()},
        "recent_history": history.points(reversed(newest)),
        "retention": {"max_response_history_points": checkpoints.COMPACT_POINTS},
    }


class _Call(NamedTuple):
    """What is told of one call, as the ledger has it."""

    request_id: Any
    admitted_at: Any
    provider: str
    model_answered: str
    model_asked: str
    agent: str
    project: str
    origin: str
    status: str
    http_status: int | None
    tokens_before: int | None
    tokens_after: int | None
    tokens_saved: int | None
    output_tokens: int | None
    cost_nano_usd: int | None
    saved_nano_usd: int | None
    overhead_ms: float | None
    latency_ms: float | None
    basis: str
    transforms: Any
    reason: str
    cache_read_tokens: int | None
    cache_write_5m_tokens: int | None
    cache_write_1h_tokens: int | None
    input_fresh_tokens: int | None


_CALL_COLUMNS = ", ".join(_Call._fields)


def _newest_calls(limit: int) -> list[_Call]:
    """Newest first, in plain SQL, as an ORM takes most of the time of the whole document for it."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_CALL_COLUMNS} FROM {rollup_sql.table(LedgerEntry)} ORDER BY admitted_at DESC LIMIT %s",  # noqa: S608
            [limit],
        )
        return [_Call(*row) for row in cursor.fetchall()]


def _request(entry: _Call) -> dict[str, Any]:
    before, saved = entry.tokens_before, entry.tokens_saved
    return {
        "request_id": str(UUID(str(entry.request_id))),
        "timestamp": history.timestamp(rollup_sql.moment(entry.admitted_at)),
        "provider": entry.provider,
        "model": entry.model_answered or entry.model_asked,
        "agent": entry.agent,
        "project": entry.project,
        "input_tokens_original": before,
        "input_tokens_optimized": entry.tokens_after,
        "output_tokens": entry.output_tokens,
        "tokens_saved": saved,
        "savings_percent": percent(saved, before) if saved is not None and before else 0.0,
        "cost_usd": None if entry.cost_nano_usd is None else float(usd(entry.cost_nano_usd)),
        "savings_usd": None if entry.saved_nano_usd is None else float(usd(entry.saved_nano_usd)),
        "optimization_latency_ms": entry.overhead_ms,
        "total_latency_ms": entry.latency_ms,
        "has_exact_tokens": entry.basis == "measured",
        "token_accounting_status": {"measured": "complete", "partial": "partial"}.get(entry.basis, "missing"),
        "transforms_applied": orjson.Fragment(entry.transforms),
        "reason": entry.reason,
        "status": entry.status,
        "http_status": entry.http_status,
        "cache_hit": entry.origin == "response_cache",
        "cache_read_tokens": entry.cache_read_tokens,
        "cache_write_tokens": (entry.cache_write_5m_tokens or 0) + (entry.cache_write_1h_tokens or 0),
        "uncached_input_tokens": entry.input_fresh_tokens,
    }
