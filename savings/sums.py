"""The one place that says what each figure is: a column of `Sums` and how SQL computes it from ledger entries."""

from __future__ import annotations

from django.db import connection
from django.db.models import Max, Min, Sum

from savings.rollup_models import Sums

FAILED = "(COALESCE(http_status, 0) >= 400 OR status IN ('interrupted', 'void'))"
"""The provider refused or failed, or no answer was seen. A client that hung up is no failure."""

IS_REQUEST = "(attempt = 0 AND origin <> 'retrieval' AND NOT (reason = 'not_a_prompt' AND price_source = 'free'))"
"""What a client asked for: no retries, no retrieval rounds of ours, no token counting or lists of models."""

COUNTS = f"(NOT is_observed AND NOT {FAILED})"
"""Whether tokens before, after and saved count: the call went out as planned, and did not fail."""

MODEL = "COALESCE(NULLIF(model_answered, ''), model_asked)"
"""The name of the model that answered, else of the one that was asked for."""


def _calls(condition: str) -> str:
    return f"COUNT(*) FILTER (WHERE {condition})"


def _sum(column: str, condition: str = "") -> str:
    only = f" FILTER (WHERE {condition})" if condition else ""
    return f"COALESCE(SUM({column}){only}, 0)"


def _us(column: str) -> str:
    return f"CAST(ROUND({column} * 1000) AS BIGINT)"


def _times(name: str) -> dict[str, str]:
    column = f"{name}_ms"
    return {
        f"{name}_calls": f"COUNT({column})",
        f"{name}_us": f"COALESCE(SUM({_us(column)}), 0)",
        # Rounded once for a group, not for each call: the least of rounded times is the rounded least one.
        f"{name}_min_us": _us(f"MIN({column})"),
        f"{name}_max_us": f"COALESCE({_us(f'MAX({column})')}, 0)",
    }


EXPRESSIONS = {
    "calls": "COUNT(*)",
    "requests": _calls(IS_REQUEST),
    "complete_calls": _calls("status = 'complete'"),
    "partial_calls": _calls("status = 'partial'"),
    "interrupted_calls": _calls("status = 'interrupted'"),
    "void_calls": _calls("status = 'void'"),
    "failed_calls": _calls(FAILED),
    "cached_calls": _calls("origin = 'response_cache'"),
    "retrieval_calls": _calls("origin = 'retrieval'"),
    "uncompressed_calls": _calls(f"reason <> '' AND {IS_REQUEST}"),
    "observed_calls": _calls("is_observed"),
    "measured_calls": _calls("basis = 'measured'"),
    "unpriced_calls": _calls("cost_nano_usd IS NULL"),
    "unknown_savings_calls": _calls("saved_nano_usd IS NULL"),
    **{
        name: _sum(name)
        for name in (
            "input_fresh_tokens",
            "cache_read_tokens",
            "cache_write_5m_tokens",
            "cache_write_1h_tokens",
            "output_tokens",
            "reasoning_tokens",
        )
    },
    "prompt_cache_calls": _calls("cache_read_tokens > 0 OR cache_write_5m_tokens > 0 OR cache_write_1h_tokens > 0"),
    "cache_read_calls": _calls("cache_read_tokens > 0"),
    "cache_write_5m_calls": _calls("cache_write_5m_tokens > 0"),
    "cache_write_1h_calls": _calls("cache_write_1h_tokens > 0"),
    "tokens_before": _sum("tokens_before", COUNTS),
    "tokens_after": _sum("tokens_after", COUNTS),
    "tokens_saved": _sum("tokens_saved", COUNTS),
    "observed_tokens_saved": _sum("tokens_saved", f"is_observed AND NOT {FAILED}"),
    "cost_nano_usd": _sum("cost_nano_usd"),
    "output_cost_nano_usd": _sum("output_cost_nano_usd"),
    "cache_discount_nano_usd": _sum("cache_discount_nano_usd"),
    "saved_nano_usd": _sum("saved_nano_usd", "NOT is_observed"),
    "observed_saved_nano_usd": _sum("saved_nano_usd", "is_observed"),
    "avoided_nano_usd": _sum("avoided_nano_usd"),
    "hit_calls": _calls("cache_outcome = 'hit'"),
    "ttl_expiry_calls": _calls("cache_outcome = 'ttl_expiry'"),
    "prefix_change_calls": _calls("cache_outcome = 'prefix_change'"),
    "own_change_calls": _calls("cache_outcome = 'own_change'"),
    "cold_start_calls": _calls("cache_outcome = 'cold_start'"),
    "unknown_miss_calls": _calls("cache_outcome = 'unknown'"),
    **_times("latency"),
    **_times("overhead"),
    **_times("ttfb"),
}
"""How each column comes out of ledger entries."""

COLUMNS = tuple(field.name for field in Sums._meta.fields)
LABELS = ("team", "key_id", "key_label", "provider", "model", "agent", "project")


def again(column: str) -> str:
    """How a column is summed over rows that are sums already."""
    return f"{_how(column)}({column})"


def added(column: str, old: str) -> str:
    """How a new value joins the one of an `old` row."""
    pair, is_postgres = f"{old}.{column}, excluded.{column}", connection.vendor == "postgresql"
    if _how(column) == "MAX":
        return f"{'GREATEST' if is_postgres else 'MAX'}({pair})"
    if _how(column) == "MIN":
        return f"COALESCE({'LEAST' if is_postgres else 'MIN'}({pair}), {pair})"
    return f"{old}.{column} + excluded.{column}"


def _how(column: str) -> str:
    return "MIN" if column.endswith("_min_us") else "MAX" if column.endswith("_max_us") else "SUM"


AGGREGATES = {name: {"MIN": Min, "MAX": Max, "SUM": Sum}[_how(name)](name) for name in COLUMNS}
"""The same for querysets."""
