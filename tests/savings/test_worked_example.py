"""The example of docs/figures.md, booked: a reader who adds it up by hand finds what the program finds."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from savings import live, rollups, stats
from savings.receipts import Usage
from tests.savings.ledgers import BOOK, make_priced
from tests.savings.test_tallies import make_counter, record

pytestmark = pytest.mark.usefixtures("emptied")
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "figures.md").read_text()


def test_the_example_of_the_documents_adds_up() -> None:
    first = Usage(1000, 0, 20_000, 0, 200)
    second = Usage(500, 20_000, 1500, 0, 100)
    BOOK.warm()
    record(
        make_counter(),
        [
            make_priced(NOON, usage=first, counterfactual=Usage(1000, 0, 24_000, 0, 200)),
            make_priced(NOON, usage=second, counterfactual=Usage(500, 24_000, 1500, 0, 100)),
            make_priced(NOON, usage=second, origin="response_cache"),
            make_priced(NOON, usage=Usage(), http_status=429),
        ],
    )
    rollups.roll()
    found = stats.totals()
    assert found == live.live().figures
    for nano_usd, expected in (
        (found.cost_nano_usd, 95_625_000),
        (found.saved_nano_usd, 16_200_000),
        (found.cost_nano_usd + found.saved_nano_usd, 111_825_000),
        (found.avoided_nano_usd, 9_450_000),
        (found.cache_discount_nano_usd, 37_875_000),
    ):
        assert nano_usd == expected
        assert f"{expected:,}" in PAGE
    assert (found.requests, found.cached_calls, found.failed_calls, found.saved_percent) == (4, 1, 1, 14.5)
