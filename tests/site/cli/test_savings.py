"""`headroom savings` says what the ledger says, as a table and as JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from headroom_site.cli import main
from savings.pricing import Saving
from savings.receipts import Usage
from tests.savings.ledgers import book, make_priced, sum_by_hand

pytestmark = pytest.mark.django_db


def said(*arguments: str) -> str:
    done = CliRunner().invoke(main, ["savings", *arguments])
    assert done.exit_code == 0, done.output
    return done.output


def test_every_time_and_label_adds_up_to_the_ledger() -> None:
    today = datetime.now(UTC).replace(hour=0, minute=1)
    for days, project in ((0, "payments"), (6, "=shop"), (29, ""), (400, "payments")):
        book(
            make_priced(today - timedelta(days=days), project=project, saving=Saving(-1_234_567, None, "exact", "hit"))
        )
    found = json.loads(said("--json"))
    assert [one["requests"] for one in found["times"].values()] == [1, 2, 3, 4]
    lifetime = found["times"]["lifetime"]
    assert lifetime["cost_nano_usd"] == sum_by_hand("cost_nano_usd") > 0
    assert lifetime["saved_nano_usd"] == -4 * 1_234_567
    assert {name: one["requests"] for name, one in found["by_project"].items()} == {
        "payments": 1,
        "=shop": 1,
        "(none)": 1,
    }
    table = said().splitlines()
    assert table[4].split()[:2] == ["lifetime", "4"]
    assert "-$0.0049" in table[4]
    assert any(line.startswith("by model, 30 days") for line in table)


def test_what_was_only_observed_has_a_table_of_its_own() -> None:
    now = datetime.now(UTC)
    saving = Saving(2_500_000, None, "exact", "hit")
    book(make_priced(now, saving=saving, is_observed=True, tokens_before=9_000, tokens_after=4_000))
    lifetime = json.loads(said("--json"))["times"]["lifetime"]
    assert (lifetime["observed_calls"], lifetime["observed_saved_usd"]) == (1, 0.0025)
    assert (lifetime["saved_usd"], lifetime["tokens_saved"], lifetime["observed_tokens_saved"]) == (0, 0, 5_000)
    table = said().splitlines()
    assert table[6].split() == ["only", "observed", "calls", "would", "have", "saved", "tokens"]
    assert table[10].split() == ["lifetime", "1", "$0.0025", "5,000"]


def test_what_became_of_the_prompt_cache_is_told() -> None:
    now = datetime.now(UTC)
    for outcome in ("hit", "hit", "own_change", "cold_start"):
        usage = Usage(100, 700, 150, 50, 9)
        book(make_priced(now, usage=usage, saving=Saving(0, None, "exact", outcome)))
    cache = json.loads(said("--json"))["prompt_cache"]
    assert {name: calls for name, calls in cache["calls"].items() if calls} == {
        "hit": 2,
        "own_change": 1,
        "cold_start": 1,
    }
    assert (cache["read_percent"], cache["written_5m_tokens"], cache["written_1h_tokens"]) == (70.0, 600, 200)
    lines = [line.split() for line in said().splitlines()]
    assert ["Changed", "by", "us", "1", "25.0", "%"] in lines and ["Read", "as", "expected", "2", "50.0", "%"] in lines
    assert "70.0 % of the input was read from it; written to it were 600 tokens for 5 minutes and 200 for" in said()


def test_an_empty_ledger_is_a_table_of_nothing() -> None:
    assert said().splitlines()[1].split() == ["today", "0", "$0.0000", "$0.0000", "$0.0000", "0.0", "%", "0"]
