"""`--log-file`: one JSON line for each booked call, in the names of the field; prompts only with `--log-messages`."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from savings.observability.bodies import Bodies
from savings.pricing import PricedReceipt

Recall = Callable[[str], Bodies | None]
"""The bodies of a call by its id, while they are in memory."""


class RequestLog:
    """An open log file. Several processes may append to one: each batch of lines is one write."""

    def __init__(self, path: Path, recall: Recall | None = None) -> None:
        self._path = path
        self._recall = recall
        self._lock = threading.Lock()
        self._file = self._open()

    def __call__(self, entries: Sequence[PricedReceipt]) -> None:
        """Append a line for each call."""
        lines = b"".join(orjson.dumps(self._line(entry), option=orjson.OPT_APPEND_NEWLINE) for entry in entries)
        with self._lock:
            os.write(self._file, lines)

    def reopen(self) -> None:
        """Go on in a new file of the same name: the old one was moved away."""
        with self._lock:
            os.close(self._file)
            self._file = self._open()

    def close(self) -> None:
        with self._lock:
            os.close(self._file)

    def _open(self) -> int:
        # Prompts may be in it.
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _line(self, entry: PricedReceipt) -> dict[str, Any]:
        line = fields(entry)
        bodies = self._recall(entry.receipt.admission.call_id) if self._recall is not None else None
        if bodies is not None:
            line |= {
                "request_body": bodies.asked.decode("utf-8", "replace"),
                "sent_body": bodies.sent.decode("utf-8", "replace"),
                "response_body": bodies.answered.decode("utf-8", "replace"),
            }
        return line


def fields(entry: PricedReceipt) -> dict[str, Any]:
    """What a log line says of a call. Tokens before and after are our estimates, all others are as booked; `None` is "not
    known". Money is in nano-dollars."""
    admission, settlement, usage = entry.receipt.admission, entry.receipt.settlement, entry.usage
    before, after = admission.tokens_before, admission.tokens_after
    saved = before - after if before is not None and after is not None else None
    return {
        "timestamp": datetime.fromtimestamp(admission.admitted_at, UTC).isoformat(timespec="milliseconds"),
        "request_id": admission.request_id,
        "call_id": admission.call_id,
        "attempt": admission.attempt,
        "origin": admission.origin,
        "provider": admission.provider,
        "model": settlement.model or admission.model,
        "route": admission.route,
        "status": settlement.status,
        "http_status": settlement.http_status,
        "error": settlement.error or None,
        "session": admission.session,
        "agent": admission.agent,
        "project": admission.project,
        "key_id": admission.key_id,
        "team": admission.team,
        "input_tokens_original": before,
        "input_tokens_optimized": after,
        "tokens_saved": saved,
        "savings_percent": round(100 * saved / before, 2) if saved is not None and before else None,
        "uncached_input_tokens": usage.input_fresh,
        "cache_read_tokens": usage.cache_read,
        "cache_write_5m_tokens": usage.cache_write_5m,
        "cache_write_1h_tokens": usage.cache_write_1h,
        "output_tokens": usage.output,
        "basis": entry.basis,
        "cost_nano_usd": entry.price.cost_nano_usd,
        "saved_nano_usd": entry.saving.nano_usd,
        "is_observed": admission.is_observed,
        "cache_hit": admission.origin == "response_cache",
        "cache_outcome": entry.saving.cache_outcome or None,
        "transforms_applied": list(admission.transforms),
        "reason": admission.reason or None,
        "optimization_latency_ms": _rounded(settlement.overhead_ms),
        "ttfb_ms": _rounded(settlement.ttfb_ms),
        "total_latency_ms": _rounded(settlement.latency_ms),
    }


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 3)
