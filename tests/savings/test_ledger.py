from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection

from savings import ledger
from savings.models import LedgerEntry
from savings.pricing import PriceBook, PricedReceipt
from savings.receipts import Receipt, Usage
from tests.savings.receipts import NOON, make_admission, make_receipt, make_settlement

pytestmark = pytest.mark.usefixtures("database")
BOOK = PriceBook()


def priced(*receipts: Receipt) -> list[PricedReceipt]:
    return [BOOK.priced(receipt) for receipt in receipts]


def test_a_row_says_what_the_receipt_said() -> None:
    admission = make_admission(
        session="s",
        agent="claude-code",
        project="p",
        user="u",
        key_id="k",
        key_label="laptop",
        team="core",
        is_streaming=True,
        reason="",
        transforms=("router:log:0.31", "router:json:0.42"),
    )
    usage = Usage(
        input_fresh=20_000, cache_read=60_000, cache_write_5m=20_000, cache_write_1h=0, output=0, reasoning=None
    )
    settlement = make_settlement(
        admission.call_id,
        usage=usage,
        overhead_ms=0.7,
        ttfb_ms=300.25,
        provider_request_id="req_1",
        settled_at=NOON + 2.5,
    )
    assert ledger.record_many(priced(Receipt(admission, settlement))) == 1
    row = LedgerEntry.objects.get(pk=admission.call_id)
    assert row.request_id == uuid.UUID(admission.request_id)
    assert (row.session, row.agent, row.project, row.user, row.key_id, row.key_label, row.team) == (
        *("s", "claude-code", "p", "u", "k", "laptop", "core"),
    )
    assert (row.model_asked, row.model_answered) == ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929")
    assert (row.input_fresh_tokens, row.cache_read_tokens, row.cache_write_5m_tokens) == (20_000, 60_000, 20_000)
    assert (row.cache_write_1h_tokens, row.output_tokens, row.reasoning_tokens) == (0, 0, None)
    assert (row.tokens_before, row.tokens_after, row.tokens_saved) == (1000, 400, 600)
    assert row.transforms == ["router:log:0.31", "router:json:0.42"]
    assert row.cost_nano_usd == 153_000_000
    assert (row.price_source, row.basis, row.status, row.is_streaming) == ("genai-prices", "measured", "complete", True)
    assert (row.latency_ms, row.overhead_ms, row.ttfb_ms) == (812.5, 0.7, 300.25)
    assert row.admitted_at == datetime.fromtimestamp(NOON, UTC)
    assert row.settled_at == datetime.fromtimestamp(NOON + 2.5, UTC)


def test_rows_written_without_the_orm_are_found_by_it() -> None:
    early = make_receipt({"admitted_at": NOON, "session": "s", "transforms": ("a",)})
    late = make_receipt({"admitted_at": NOON + 0.000_25, "session": "s"})
    ledger.record_many(priced(late, early))
    found = LedgerEntry.objects.filter(
        request_id=early.admission.request_id,
        admitted_at__lt=datetime.fromtimestamp(NOON + 0.000_1, UTC),
        transforms=["a"],
        is_streaming=False,
    )
    assert [str(row.pk) for row in found] == [early.admission.call_id]
    assert LedgerEntry.objects.filter(session="s").order_by("admitted_at").first() == found.get()


def test_recording_twice_inserts_and_posts_once() -> None:
    posted: list[PricedReceipt] = []
    first, second = priced(make_receipt(), make_receipt())
    assert ledger.record_many([first], post_balances=posted.extend) == 1
    assert ledger.record_many([first, second, second], post_balances=posted.extend) == 1
    assert ledger.record_many([first, second], post_balances=posted.extend) == 0
    assert posted == [first, second]
    assert LedgerEntry.objects.count() == 2


def test_rows_and_balances_come_together_or_not_at_all() -> None:
    def fail(_: object) -> None:
        raise RuntimeError("no balance")

    with pytest.raises(RuntimeError, match="no balance"):
        ledger.record_many(priced(make_receipt()), post_balances=fail)
    assert not LedgerEntry.objects.exists()


def test_odd_texts_and_numbers_are_clipped_not_refused() -> None:
    receipt = make_receipt(
        {"session": "x" * 5000, "model": "a\x00b", "transforms": ("n\x00l",), "tokens_before": -1, "attempt": 3},
        model="m" * 300,
        latency_ms=float("nan"),
        http_status=529,
        usage=Usage(input_fresh=-5, output=2**70),
        error="e" * 2000,
    )
    assert ledger.record_many(priced(receipt)) == 1
    row = LedgerEntry.objects.get()
    assert (len(row.session), row.model_asked, len(row.model_answered), len(row.error)) == (200, "ab", 200, 500)
    assert (row.tokens_before, row.tokens_saved, row.latency_ms) == (None, None, None)
    # What was reported makes no sense, so what we sent stands for it.
    assert (row.input_fresh_tokens, row.output_tokens, row.basis, row.attempt) == (400, None, "estimated", 3)
    assert row.transforms == ["nl"]


def test_another_call_for_the_same_attempt_is_refused_and_harms_nobody() -> None:
    one = make_receipt()
    twin = make_receipt({"request_id": one.admission.request_id})
    ledger.record_many(priced(one))
    with pytest.raises(ledger.RowsRefused):
        ledger.record_many(priced(twin, make_receipt()))
    assert LedgerEntry.objects.count() == 1
    assert ledger.record_many(priced(make_receipt())) == 1


@pytest.mark.parametrize(
    "broken",
    [
        {"status": "lost"},
        {"basis": "guessed"},
        {"output_tokens": -1},
        {"cost_nano_usd": -1},
        {"cost_nano_usd": None},
        {"tokens_saved": 601},
    ],
)
def test_the_database_itself_refuses_what_cannot_be(broken: dict[str, object]) -> None:
    row = {**ledger._row(priced(make_receipt())[0]), "transforms": []}
    with pytest.raises(IntegrityError):
        LedgerEntry.objects.create(**{**row, **broken})
    connection.close()
    assert not LedgerEntry.objects.exists()


def test_migrations_go_back_and_forth() -> None:
    call_command("migrate", "budgets", "zero", verbosity=0)
    call_command("migrate", "savings", "zero", verbosity=0)
    assert "savings_ledgerentry" not in connection.introspection.table_names()
    call_command("migrate", "savings", verbosity=0)
    assert ledger.record_many(priced(make_receipt())) == 1


def test_models_and_migrations_agree() -> None:
    call_command("makemigrations", "savings", "budgets", check=True, dry_run=True, verbosity=0)


def test_a_row_says_when_it_was_written_by_the_databases_clock() -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    receipt = make_receipt()
    ledger.record_many(priced(receipt))
    row = LedgerEntry.objects.get()
    assert before < row.recorded_at < datetime.now(UTC) + timedelta(seconds=2)
    assert LedgerEntry.objects.filter(recorded_at__gte=before).exists()
    assert not LedgerEntry.objects.filter(recorded_at__lt=before).exists()
