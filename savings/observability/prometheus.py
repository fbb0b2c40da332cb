"""Counters and histograms for `GET /metrics`, of this process or, with `PROMETHEUS_MULTIPROC_DIR`, of all workers.

Money is whole nano-dollars and only ever grows: losses have a counter of their own. A double counts nano-dollars exactly up
to nine million dollars. Labels hold few values by construction: a model that would be one too many is called `other`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from savings.pricing import PricedReceipt

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Read by the library when it is first imported, so it has to be set before."""
MAX_MODELS = 100
OTHER = "other"

CALLS = Counter("headroom_calls", "Calls booked in the ledger.", ["provider", "model", "status", "origin"])
RESPONSES = Counter("headroom_responses", "Provider answers by class of HTTP status.", ["provider", "status_class"])
ALERTS = Counter("headroom_alerts", "Events that somebody should know of.", ["kind"])
REFUSALS = Counter("headroom_refusals", "Requests that this proxy answered with an error of its own.", ["code"])
BILLED_TOKENS = Counter(
    "headroom_billed_tokens", "Billed tokens by class, as the ledger has them.", ["provider", "model", "token_class"]
)
TOKENS_BEFORE = Counter("headroom_tokens_before", "Estimated prompt tokens as clients sent them.", ["provider"])
TOKENS_SAVED = Counter("headroom_tokens_saved", "Estimated prompt tokens that were taken out.", ["provider"])
TOKENS_ADDED = Counter("headroom_tokens_added", "Estimated prompt tokens that were put in.", ["provider"])
COST = Counter("headroom_cost_nano_usd", "What providers charge, in nano-dollars.", ["provider", "model"])
SAVED = Counter("headroom_saved_nano_usd", "What calls would have cost more without us.", ["provider", "model"])
LOST = Counter("headroom_lost_nano_usd", "What calls cost more than they would have without us.", ["provider", "model"])
WOULD_SAVE = Counter("headroom_would_save_nano_usd", "What observed calls would have cost less with us.", ["provider"])
WOULD_LOSE = Counter("headroom_would_lose_nano_usd", "What observed calls would have cost more with us.", ["provider"])
AVOIDED = Counter("headroom_avoided_nano_usd", "What answers from the response cache would have cost.", ["provider"])
UNPRICED = Counter("headroom_unpriced_calls", "Calls of models without a known price.", ["provider"])
UNCOMPRESSED = Counter("headroom_uncompressed_calls", "Calls of which nothing was shortened.", ["reason"])
CACHE_OUTCOMES = Counter("headroom_prompt_cache_calls", "What became of the provider's prompt cache.", ["outcome"])

_SLOW = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_QUICK = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)
REQUEST_SECONDS = Histogram(
    "headroom_request_seconds", "From a request to the end of its answer.", ["provider"], buckets=_SLOW
)
OVERHEAD_SECONDS = Histogram(
    "headroom_overhead_seconds", "From a request until it was sent on.", ["provider"], buckets=_QUICK
)
FIRST_BYTE_SECONDS = Histogram(
    "headroom_first_byte_seconds", "From sending to the provider's first byte.", ["provider"], buckets=_SLOW
)
JOURNAL_SHARE = Gauge(
    "headroom_journal_share", "The fullest worker's journal, as a share of its size.", multiprocess_mode="livemax"
)

_TOKEN_CLASSES = ("input_fresh", "cache_read", "cache_write_5m", "cache_write_1h", "output")
_models: set[str] = set()
_refused: dict[str, int] = {}


def prepare(folder: Path) -> None:
    """Make the folder that workers share, and empty it: figures begin anew with the server. Called before any worker."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob("*.db"):
        left.unlink(missing_ok=True)
    os.environ[FOLDER_VARIABLE] = str(folder)


def record(entries: Sequence[PricedReceipt]) -> None:
    """Count calls that were booked."""
    for entry in entries:
        _count(entry)


def refused(code: str) -> None:
    """Count a request that got an error of ours. `code` is one of the table's."""
    REFUSALS.labels(code).inc()
    _refused[code] = _refused.get(code, 0) + 1


def refused_here() -> dict[str, int]:
    """How many requests this very process answered with an error of ours, by code."""
    return dict(_refused)


def page() -> tuple[bytes, str]:
    """All figures in Prometheus' text format, and its content type."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return generate_latest(REGISTRY), CONTENT_TYPE_LATEST
    _forget_the_dead(Path(folder))
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_LATEST


def _count(entry: PricedReceipt) -> None:
    admission, settlement, usage = entry.receipt.admission, entry.receipt.settlement, entry.usage
    provider, model = admission.provider, _model(entry)
    CALLS.labels(provider, model, settlement.status, admission.origin).inc()
    if settlement.http_status:
        RESPONSES.labels(provider, f"{settlement.http_status // 100}xx").inc()
    for name in _TOKEN_CLASSES:
        if tokens := getattr(usage, name):
            BILLED_TOKENS.labels(provider, model, name).inc(tokens)
    _count_savings(entry, provider, model)
    for histogram, milliseconds in (
        (REQUEST_SECONDS, settlement.latency_ms),
        (OVERHEAD_SECONDS, settlement.overhead_ms),
        (FIRST_BYTE_SECONDS, settlement.ttfb_ms),
    ):
        if milliseconds is not None:
            histogram.labels(provider).observe(milliseconds / 1000)


def _count_savings(entry: PricedReceipt, provider: str, model: str) -> None:
    admission, saving = entry.receipt.admission, entry.saving
    if entry.price.cost_nano_usd is None:
        UNPRICED.labels(provider).inc()
    else:
        COST.labels(provider, model).inc(entry.price.cost_nano_usd)
    if saving.avoided_nano_usd:
        AVOIDED.labels(provider).inc(saving.avoided_nano_usd)
    if saving.cache_outcome:
        CACHE_OUTCOMES.labels(saving.cache_outcome).inc()
    if admission.reason:
        UNCOMPRESSED.labels(admission.reason.partition(":")[0]).inc()
    if admission.is_observed:  # what would have been is no saving
        if saving.nano_usd:
            (WOULD_SAVE if saving.nano_usd > 0 else WOULD_LOSE).labels(provider).inc(abs(saving.nano_usd))
        return
    if saving.nano_usd:
        (SAVED if saving.nano_usd > 0 else LOST).labels(provider, model).inc(abs(saving.nano_usd))
    if admission.tokens_before is not None and admission.tokens_after is not None:
        TOKENS_BEFORE.labels(provider).inc(admission.tokens_before)
        taken_out = admission.tokens_before - admission.tokens_after
        (TOKENS_SAVED if taken_out >= 0 else TOKENS_ADDED).labels(provider).inc(abs(taken_out))


def _model(entry: PricedReceipt) -> str:
    """The model's name if it is known to a price list and one of the first hundred here, else `other`."""
    name = entry.receipt.settlement.model or entry.receipt.admission.model
    if name in _models:
        return name
    if not name or not entry.price.source or len(_models) >= MAX_MODELS:
        return OTHER
    _models.add(name)
    return name


def _forget_the_dead(folder: Path) -> None:
    """Take away the gauges of workers that are gone; their counters stay, as what was counted has happened."""
    for path in folder.glob("gauge_live*_*.db"):
        pid = int((re.search(r"_(\d+)\.db$", path.name) or ["", "0"])[1])
        if pid and not _is_alive(pid):
            mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
