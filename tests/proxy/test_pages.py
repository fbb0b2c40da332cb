from __future__ import annotations

from datetime import UTC, datetime

import pytest

from proxy import pages
from savings import ledger
from savings.figures import Figures
from savings.models import LedgerEntry
from savings.pricing import PriceBook
from savings.receipts import Usage
from tests.savings.receipts import NOON, make_receipt

pytestmark = pytest.mark.django_db


def entry(conversation: str, outcome: str = "hit", **fields: object) -> LedgerEntry:
    return LedgerEntry(conversation=conversation, cache_outcome=outcome, **fields)


def test_a_conversation_counts_its_misses_by_reason():
    newest = [
        entry("a", "ttl_expiry", cost_nano_usd=5, saved_nano_usd=2, input_fresh_tokens=10, cache_read_tokens=30),
        entry("b", "cold_start"),
        entry("a", "hit", cost_nano_usd=None, saved_nano_usd=-1, is_observed=True),
        entry("a", "ttl_expiry"),
    ]
    first, second = pages.conversations(newest)
    assert (first.name, first.calls, first.cost, first.saved, first.read_percent) == ("a", 3, 5, 2, 75.0)
    assert (first.would_save, second.would_save) == (-1, 0)
    assert first.reasons == [("Expired", 2)]
    assert second.reasons == [("First of its kind", 1)]


def test_every_outcome_is_shown_and_they_sum_to_all():
    figures = Figures(hit_calls=6, cold_start_calls=2, own_change_calls=1, unknown_miss_calls=1)
    shown = {name: (count, share) for name, _, _, count, share in pages.outcomes(figures)}
    assert shown["hit"] == (6, "60.0 %")
    assert shown.keys() == pages.OUTCOMES.keys()


def test_the_page_opens_on_nothing(client):
    assert client.get("/dashboard/cache").status_code == 200
    assert client.get("/dashboard/cache/nobody").status_code == 404


def test_a_conversation_is_drawn_call_by_call_with_the_reason_of_every_miss(client):
    for second, (outcome, transforms) in enumerate(
        [("cold_start", ()), ("hit", ("log",)), ("own_change", ("log", "epoch:size")), ("ttl_expiry", ())]
    ):
        receipt = make_receipt(
            {
                "conversation": "a",
                "admitted_at": NOON + 400 * second,
                "transforms": transforms,
                "project": "<b>shop</b>",
            },
            usage=Usage(5, 40 * second, 60, 0, 3),
            cache_outcome=outcome,
        )
        ledger.record_many([PriceBook().priced(receipt)])
    entries = list(LedgerEntry.objects.order_by("admitted_at"))
    bars = pages.turns(entries)
    assert [(bar.read, round(bar.above + bar.fresh)) for bar in bars] == [
        (0, 35),
        (21.62, 57),
        (43.24, 78),
        (64.86, 100),
    ]
    assert [(bar.is_told, bar.epoch) for bar in bars] == [(True, ""), (False, ""), (True, "size"), (True, "")]
    page = client.get("/dashboard/cache/a").content.decode()
    assert page.count("<tr>") == 1 + 3
    assert "epoch: it pays" in page and "longer than the provider keeps a prompt" in page and "400 s" in page
    assert "<b>shop" not in page and "&lt;b&gt;shop" in page
    assert 'data-figure="own_changes" data-number="0"' in page


def test_what_would_have_been_saved_is_told_apart(client):
    receipt = make_receipt(
        {"conversation": "a", "admitted_at": NOON, "is_observed": True, "tokens_before": 9_000, "tokens_after": 4_000},
        usage=Usage(10_000, output=10),
        counterfactual=Usage(4_000, output=10),
        cache_outcome="cold_start",
    )
    ledger.record_many([PriceBook().priced(receipt)])
    entry = LedgerEntry.objects.get()
    assert entry.saved_nano_usd and entry.saved_nano_usd > 0
    page = client.get("/dashboard/cache/a").content.decode()
    assert "without <code>--observe</code> it would have been" in page and "<small>would have</small>" in page


def test_a_change_of_ours_outside_of_epochs_stands_out(client):
    for outcome, transforms in (("own_change", ("log", "epoch:size")), ("own_change", ("log",)), ("hit", ())):
        receipt = make_receipt({"conversation": "a", "transforms": transforms}, cache_outcome=outcome)
        priced = PriceBook().priced(receipt)
        ledger.record_many([priced])
    LedgerEntry.objects.update(admitted_at=datetime.now(UTC))
    page = client.get("/dashboard/cache").content.decode()
    assert 'class="loss" data-figure="own_changes" data-number="1"' in page
    assert "Of the newest 3 calls" in page
