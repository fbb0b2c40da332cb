from __future__ import annotations

import pytest

from proxy import pages
from savings.figures import Figures
from savings.models import LedgerEntry

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
    assert first.reasons == [("Expired", 2)]
    assert second.reasons == [("First of its kind", 1)]


def test_every_outcome_is_shown_and_they_sum_to_all():
    figures = Figures(hit_calls=6, cold_start_calls=2, own_change_calls=1, unknown_miss_calls=1)
    shown = {name: (count, share) for name, _, _, count, share in pages.outcomes(figures)}
    assert shown["hit"] == (6, "60.0 %")
    assert shown.keys() == pages.OUTCOMES.keys()


def test_the_page_opens_on_nothing(client):
    assert client.get("/dashboard/cache").status_code == 200
