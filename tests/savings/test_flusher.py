from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.core.management import call_command
from django.db import connection

from savings import flusher as flushing
from savings.flusher import Flusher
from savings.journal import Journal
from savings.models import LedgerEntry, PriceOverride
from savings.receipts import Usage
from tests.live.proxies import eventually
from tests.savings.databases import connected
from tests.savings.forwarder import Forwarder
from tests.savings.receipts import make_admission, make_settlement


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal" / "own")


@pytest.fixture
def flusher(journal: Journal, database: str) -> Iterator[Flusher]:
    flusher = Flusher(journal, interval_s=0.02, adoption_interval_s=0.05)
    yield flusher
    flusher.stop(timeout_s=60)


def call(journal: Journal, **settlement: object) -> str:
    admission = make_admission()
    journal.admit(admission)
    journal.settle(make_settlement(admission.call_id, **settlement))
    return admission.call_id


def wait_for(condition: Callable[[], bool]) -> None:
    eventually(condition, bool)


def ids() -> set[str]:
    return {str(pk) for pk in LedgerEntry.objects.values_list("pk", flat=True)}


def test_settled_calls_are_in_the_ledger_soon(journal: Journal, flusher: Flusher) -> None:
    flusher.start()
    calls = {call(journal) for _ in range(20)}
    wait_for(lambda: ids() == calls)
    assert set(LedgerEntry.objects.values_list("cost_nano_usd", flat=True)) == {450_000}
    wait_for(lambda: journal.status().used_bytes == 0)
    assert flusher.recorded_rows == 20


def test_stopping_records_what_is_there_and_tidies_up(journal: Journal, flusher: Flusher) -> None:
    flusher.start()
    calls = {call(journal) for _ in range(1200)}
    assert flusher.stop()
    assert ids() == calls
    assert not journal.directory.exists()


def test_stopping_without_having_started_leaves_the_journal_to_others(journal: Journal, database: str) -> None:
    call(journal)
    assert not Flusher(journal).stop()
    assert journal.directory.exists()


def test_a_call_that_never_ended_is_booked_by_whoever_comes_next(journal: Journal, flusher: Flusher) -> None:
    admission = make_admission(tokens_after=400)
    journal.admit(admission)
    flusher.start()
    assert not flusher.stop()
    heir = Flusher(Journal(journal.directory.with_name("heir")), interval_s=0.02)
    heir.start()
    wait_for(lambda: LedgerEntry.objects.exists())
    row = LedgerEntry.objects.get()
    assert (row.status, row.basis, row.input_fresh_tokens, row.output_tokens) == ("interrupted", "estimated", 400, None)
    assert row.cost_nano_usd == 400 * 3000
    wait_for(lambda: not journal.directory.exists())
    assert heir.stop()
    assert heir.interrupted_rows == 1


def test_flush_works_without_a_thread(journal: Journal, database: str) -> None:
    flusher = Flusher(journal)
    calls = {call(journal) for _ in range(3)}
    assert flusher.flush() == 3
    assert ids() == calls
    assert flusher.flush() == 0


def test_a_new_override_counts_within_its_interval(
    journal: Journal, flusher: Flusher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flushing, "PRICES_INTERVAL_S", 0.05)
    flusher.start()
    call(journal)
    wait_for(lambda: LedgerEntry.objects.filter(price_source="genai-prices").exists())
    PriceOverride(provider="anthropic", model="claude-sonnet-*", input_fresh=0, output=0).save()

    def costs_nothing() -> bool:
        call(journal)
        return LedgerEntry.objects.filter(price_source="override", cost_nano_usd=0).exists()

    wait_for(costs_nothing)


def test_a_receipt_that_the_database_refuses_is_set_aside_alone(
    journal: Journal, flusher: Flusher, caplog: pytest.LogCaptureFixture
) -> None:
    first = make_admission()
    twin = make_admission(request_id=first.request_id)
    calls = {call(journal) for _ in range(10)} | {first.call_id}
    for admission in (first, twin):
        journal.admit(admission)
        journal.settle(make_settlement(admission.call_id))
    calls |= {call(journal, usage=Usage(input_fresh=0, output=0)) for _ in range(10)}
    flusher.start()
    wait_for(lambda: journal.status().rejected_lines == 2)
    assert flusher.stop()
    assert ids() == calls
    assert twin.call_id in Path(f"{journal.directory}.rejected").read_text()
    assert twin.call_id in caplog.text


def test_a_database_without_tables_is_waited_for(
    journal: Journal, flusher: Flusher, caplog: pytest.LogCaptureFixture
) -> None:
    call_command("migrate", "savings", "zero", verbosity=0)
    flusher.start()
    calls = {call(journal) for _ in range(10)}
    wait_for(lambda: bool(flusher.problem))
    call_command("migrate", "savings", verbosity=0)
    wait_for(lambda: ids() == calls and not flusher.problem)
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING]


def test_balances_that_fail_hold_the_rows_back_and_lose_none(journal: Journal, database: str) -> None:
    def post(entries: object) -> None:
        if len(failures) < 2:
            failures.append(entries)
            raise ValueError("not now")

    failures: list[object] = []
    flusher = Flusher(journal, post_balances=post, interval_s=0.02)
    calls = {call(journal) for _ in range(5)}
    flusher.start()
    wait_for(lambda: len(failures) == 1)
    wait_for(lambda: ids() == calls)
    assert len(failures) == 2
    assert flusher.stop()


@pytest.mark.postgres
def test_a_database_that_goes_and_comes_back_gets_every_row_once(
    tmp_path: Path, postgres_url: str, django_db_blocker: object, caplog: pytest.LogCaptureFixture
) -> None:
    parts = urlsplit(postgres_url)
    forwarder = Forwarder((parts.hostname or "127.0.0.1", parts.port or 5432))
    user = f"{parts.username}@" if parts.username else ""
    url = urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{forwarder.port}"))
    with django_db_blocker.unblock(), connected(url, patience_s=3):  # type: ignore[attr-defined]
        call_command("migrate", "savings", verbosity=0)
        connection.close()
        journal = Journal(tmp_path / "journal" / "own")
        flusher = Flusher(journal, interval_s=0.02)
        flusher.start()
        calls = {call(journal) for _ in range(50)}
        wait_for(lambda: flusher.recorded_rows == 50)
        for _ in range(2):
            forwarder.switch_off()
            calls |= {call(journal) for _ in range(50)}
            wait_for(lambda: bool(flusher.problem))
            assert journal.status().used_bytes > 0
            calls |= {call(journal) for _ in range(50)}
            forwarder.switch_on()
            wait_for(lambda: not flusher.problem and journal.status().used_bytes == 0)
            assert flusher.recorded_rows == len(calls)
        assert flusher.stop()
        assert ids() == calls
        connection.close()
    forwarder.switch_off()
    errors = [record for record in caplog.records if record.name == "headroom.ledger"]
    assert [record.levelno for record in errors] == [logging.ERROR, logging.WARNING] * 2


@pytest.mark.postgres
def test_stopping_while_the_database_is_away_ends_in_time_and_keeps_the_journal(
    tmp_path: Path, postgres_url: str, django_db_blocker: object
) -> None:
    parts = urlsplit(postgres_url)
    with django_db_blocker.unblock(), connected(urlunsplit(parts._replace(netloc="127.0.0.1:9")), patience_s=3):  # type: ignore[attr-defined]
        journal = Journal(tmp_path / "journal" / "own")
        flusher = Flusher(journal, interval_s=0.02)
        flusher.start()
        call(journal)
        ended: list[bool] = []
        stopping = threading.Thread(target=lambda: ended.append(flusher.stop(timeout_s=0.5)), daemon=True)
        stopping.start()
        stopping.join(60)  # it would wait for ever
        assert ended == [False]
    assert list(journal.directory.glob("*.jsonl"))
