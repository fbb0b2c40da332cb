from __future__ import annotations

import re

import pytest
from django.utils import timezone

from savings import ledger, rollups
from savings.pricing import Price, PricedReceipt, Saving
from savings.receipts import Usage
from tests.savings.receipts import make_receipt

pytestmark = pytest.mark.django_db


def book(saved_nano_usd: int) -> None:
    receipt = make_receipt({"admitted_at": timezone.now().timestamp(), "project": "shop"}, latency_ms=100.0)
    price = Price(3 * 10**9, "test", "")
    ledger.record_many([PricedReceipt(receipt, Usage(), "measured", price, Saving(saved_nano_usd))])
    rollups.roll()


@pytest.mark.parametrize(("saved", "tone", "text"), [(-2 * 10**9, "loss", "−$2.0000"), (10**9, "gain", "$1.0000")])
def test_what_was_lost_is_shown_as_a_loss_in_tiles_and_tables(client, saved, tone, text):
    book(saved)
    page = client.get("/dashboard/history").content.decode()
    (tile,) = re.findall(r'<dd[^>]*data-figure="saved" data-number[^>]*>[^<]*', page)
    assert f'data-number="{saved}"' in tile and tone in tile and text in tile
    assert f'<td class="n {tone}" data-column="saved" data-number="{saved}">{text}<' in page
    assert f'data-figure="would_have_been" data-number="{3 * 10**9 + saved}"' in page
    rows = client.get("/dashboard/requests").content.decode()
    assert f'<td class="n {tone}">{text}' in rows
