from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from savings import ledger
from savings.observability import telemetry
from savings.pricing import Price, PricedReceipt
from savings.receipts import Usage
from tests.savings.receipts import NOON, make_receipt

NOW = datetime.fromtimestamp(NOON + 60, UTC)
NAMES = {"session": "se-1", "project": "pr-1", "user": "us-1", "key_label": "la-1", "team": "te-1", "agent": "ag-1"}


@pytest.mark.django_db
def test_counts_go_out_and_names_do_not():
    receipts = [
        make_receipt({**NAMES, "reason": "too_small"}),
        make_receipt({**NAMES, "reason": "failed:/home/me/secret"}, model="my-own-model"),
    ]
    sources = ["genai-prices", "override"]
    ledger.record_many(
        [
            PricedReceipt(receipt, Usage(input_fresh=5, output=1), "measured", Price(1, source, ""))
            for receipt, source in zip(receipts, sources, strict=True)
        ]
    )
    sent = telemetry.payload(NOW, version="1", sdk="proxy", database="sqlite", workers=1)
    text = json.dumps(sent)
    assert sent["calls"] == 2
    assert sent["calls_by_model"] == {"claude-sonnet-4-5-20250929": 1}
    assert sent["uncompressed_by_reason"] == {"too_small": 1, "failed": 1}
    assert (sent["tokens"]["before"], sent["tokens"]["saved"], sent["saved_share"]) == (2000, 1200, 0.6)
    for name in (*NAMES.values(), "my-own-model", "secret"):
        assert name not in text


@pytest.mark.django_db
def test_an_empty_ledger_has_no_ratios():
    sent = telemetry.payload(NOW, version="1", sdk="proxy", database="sqlite", workers=1)
    assert (sent["calls"], sent["saved_share"], sent["overhead_ms_mean"]) == (0, None, None)
