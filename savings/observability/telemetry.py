"""Anonymous aggregates of one day. Nothing is sent unless an endpoint is set; `headroom telemetry --show` prints it all.

No prompt, no key, no name that a person gave, no identifier of the installation: counts, sums and ratios, the version, the
platform, and the names of models that the public price list knows.
"""

from __future__ import annotations

import json
import platform
import urllib.request
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Q, Sum

from savings.models import LedgerEntry

SCHEMA = 1
WINDOW = timedelta(hours=24)
MAX_REASONS = 30
PRICE_LIST = "genai-prices"
SEND_TIMEOUT_S = 10


def payload(now: datetime, *, version: str, sdk: str, database: str, workers: int) -> dict[str, Any]:
    """Everything that would be sent, of the 24 hours before `now`."""
    entries = LedgerEntry.objects.filter(admitted_at__gt=now - WINDOW, admitted_at__lte=now)
    sums = entries.aggregate(
        calls=Count("id"),
        before=Sum("tokens_before", filter=Q(is_observed=False)),
        saved=Sum("tokens_saved", filter=Q(is_observed=False)),
        fresh=Sum("input_fresh_tokens"),
        read=Sum("cache_read_tokens"),
        write_5m=Sum("cache_write_5m_tokens"),
        write_1h=Sum("cache_write_1h_tokens"),
        output=Sum("output_tokens"),
        overhead_ms=Sum("overhead_ms"),
    )
    before, saved = sums["before"] or 0, sums["saved"] or 0
    return {
        "schema": SCHEMA,
        "sdk": sdk,
        "version": version,
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "database": database,
        "workers": workers,
        "window_hours": int(WINDOW.total_seconds() // 3600),
        "calls": sums["calls"],
        "calls_by_provider": _counts(entries.values_list("provider").annotate(n=Count("id"))),
        "calls_by_status": _counts(entries.values_list("status").annotate(n=Count("id"))),
        "calls_by_model": _counts(
            entries.filter(price_source=PRICE_LIST).values_list("model_answered").annotate(n=Count("id"))
        ),
        "uncompressed_by_reason": _reasons(entries.exclude(reason="").values_list("reason").annotate(n=Count("id"))),
        "tokens": {
            "before": before,
            "saved": saved,
            "input_fresh": sums["fresh"] or 0,
            "cache_read": sums["read"] or 0,
            "cache_write_5m": sums["write_5m"] or 0,
            "cache_write_1h": sums["write_1h"] or 0,
            "output": sums["output"] or 0,
        },
        "saved_share": round(saved / before, 4) if before else None,
        "overhead_ms_mean": round((sums["overhead_ms"] or 0) / sums["calls"], 3) if sums["calls"] else None,
    }


def send(endpoint: str, document: dict[str, Any]) -> int:
    """Post a payload; returns the HTTP status. Raises OSError when nobody answers well."""
    request = urllib.request.Request(
        endpoint, json.dumps(document).encode(), {"content-type": "application/json", "user-agent": "headroom"}
    )
    with urllib.request.urlopen(request, timeout=SEND_TIMEOUT_S) as answer:
        return int(answer.status)


def _counts(rows: Iterable[tuple[str, int]]) -> dict[str, int]:
    return {name: count for name, count in sorted(rows) if name}


def _reasons(rows: Iterable[tuple[str, int]]) -> dict[str, int]:
    """By the word before the colon: what comes after it may name a file or a tool."""
    counted: Counter[str] = Counter()
    for reason, count in rows:
        counted[reason.partition(":")[0]] += count
    return dict(counted.most_common(MAX_REASONS))
