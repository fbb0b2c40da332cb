from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from savings import csv_export, ledger
from savings.models import LedgerEntry
from savings.pricing import Price, PricedReceipt, Saving
from savings.receipts import Usage
from tests.savings.receipts import make_receipt


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_name_becomes_a_formula(text):
    assert csv_export.cell(text) == "'" + text


def test_numbers_stay_numbers_and_times_are_utc():
    moment = datetime(2026, 3, 1, 12, tzinfo=UTC)
    values = [-3, None, csv_export.dollars(-5), moment, ["a", "b"], False]
    assert [csv_export.cell(v) for v in values] == [
        -3,
        "",
        "-0.000000005",
        "2026-03-01T12:00:00.000Z",
        "a b",
        False,
    ]


@pytest.mark.django_db
def test_an_export_has_every_entry_once_and_sums_to_the_nano_dollar(monkeypatch):
    monkeypatch.setattr(csv_export, "CHUNK_ROWS", 3)
    receipts = [make_receipt({"model": "=cmd"}, model="") for _ in range(10)]  # all of the same instant
    ledger.record_many(
        [
            PricedReceipt(receipt, Usage(), "measured", Price(10**9 + n, "test", ""), Saving(-n))
            for n, receipt in enumerate(receipts)
        ]
    )
    response = csv_export.entries(LedgerEntry.objects.all(), "requests", date(2026, 3, 1))
    text = b"".join(response.streaming_content).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {row["call_id"] for row in rows} == {receipt.admission.call_id for receipt in receipts}
    assert sum(Decimal(row["cost_usd"]) for row in rows) == Decimal("10.000000045")
    assert sum(Decimal(row["saved_usd"]) for row in rows) == Decimal("-0.000000045")
    assert {row["model"] for row in rows} == {"'=cmd"}
    assert response["Content-Disposition"] == 'attachment; filename="headroom-requests-2026-03-01.csv"'
