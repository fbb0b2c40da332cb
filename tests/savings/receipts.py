"""Builders: a test names only what matters to it."""

from __future__ import annotations

import uuid
from typing import Any

from savings.receipts import Admission, Receipt, Settlement, Usage

NOON = 1_780_000_000.0


def make_admission(**fields: Any) -> Admission:
    return Admission(
        **{
            "call_id": str(uuid.uuid4()),
            "request_id": str(uuid.uuid4()),
            "attempt": 0,
            "admitted_at": NOON,
            "provider": "anthropic",
            "upstream": "https://api.anthropic.com",
            "route": "/v1/messages",
            "model": "claude-sonnet-4-5",
            "owner": "local",
            "tokens_before": 1000,
            "tokens_after": 400,
            **fields,
        }
    )


def make_settlement(call_id: str, **fields: Any) -> Settlement:
    return Settlement(
        **{
            "call_id": call_id,
            "settled_at": NOON + 1,
            "status": "complete",
            "http_status": 200,
            "model": "claude-sonnet-4-5-20250929",
            "usage": Usage(input_fresh=100, cache_read=0, cache_write_5m=0, cache_write_1h=0, output=10),
            "latency_ms": 812.5,
            **fields,
        }
    )


def make_receipt(admission: dict[str, Any] | None = None, **settlement: Any) -> Receipt:
    call = make_admission(**(admission or {}))
    return Receipt(call, make_settlement(call.call_id, **settlement))
