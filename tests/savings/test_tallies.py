from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from django.db.models.functions import Now

from savings import history, ledger, lifetime_repair, live, rollups, session, stats, tallies
from savings.models import LedgerEntry, SavingsCheckpoint, ServingWorker, Tally
from savings.pricing import PricedReceipt
from tests.savings.ledgers import make_priced, some_entries

pytestmark = pytest.mark.usefixtures("emptied")
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


def make_counter(worker: str = "w1", run: str = "r1", **refused: int) -> tallies.Counter:
    counter = tallies.Counter(worker, run, lambda: refused)
    counter.turn()
    return counter


def record(counter: tallies.Counter, entries: Sequence[PricedReceipt]) -> None:
    for start in range(0, len(entries), 100):
        ledger.record_many(entries[start : start + 100], post_balances=counter.post)


def test_workers_together_have_counted_what_the_ledger_says() -> None:
    first, second = make_counter("w1", rate_limited=2), make_counter("w2", rate_limited=1, budget_spent=1)
    entries = some_entries(250, [NOON])
    record(first, entries[:150])
    record(second, entries[150:])
    record(second, entries[:150])
    rollups.roll()
    now = live.live()
    assert now.figures == live.lifetime().figures == stats.totals()
    assert now.figures.calls == 250
    assert now.by_model == stats.by("model") == live.lifetime().by_model
    assert now.by_provider == stats.by("provider")
    assert now.reasons == stats.reasons()
    assert (now.workers, now.refused) == (2, {"budget_spent": 1, "rate_limited": 3})


def test_what_is_rolled_back_is_not_counted() -> None:
    counter = make_counter()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        ledger.record_many([make_priced(NOON)], post_balances=counter.post)
        raise ZeroDivisionError
    assert live.live().figures.calls == LedgerEntry.objects.count() == 0
    record(counter, [make_priced(NOON)])
    assert live.live().figures.calls == 1


def test_a_run_ends_with_its_last_worker_and_its_count_becomes_the_past() -> None:
    old, sibling, new = make_counter("w1", "r1"), make_counter("w2", "r1"), make_counter("w3", "r2")
    for counter in (old, sibling, new):
        record(counter, some_entries(10, [NOON], seed=ord(counter.worker[1])))
    old.leave()
    assert live.live().figures.calls == 30
    assert tallies.fold() == 0
    sibling.leave()
    assert live.live().figures.calls == 10
    before = live.lifetime()
    assert tallies.fold() == 2
    assert live.lifetime() == before
    assert set(Tally.objects.values_list("worker", flat=True)) == {"past", "w3"}
    record(old, [make_priced(NOON)])  # it had only been asleep
    old._next_seen_s = 0
    old.turn()
    rollups.roll()
    assert live.lifetime().figures == stats.totals()
    assert live.live().figures.calls == 11


def test_more_models_than_are_counted_apart_are_counted_as_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "MAX_MODELS", 2)
    monkeypatch.setattr(tallies, "MAX_PAST_MODELS", 1)
    counter = make_counter()
    for name in ("a", "b", "c", "<script>"):
        record(counter, [make_priced(NOON, model=name), make_priced(NOON, model="a")])
    assert {name: figures.calls for name, figures in live.live().by_model.items()} == {"a": 5, "b": 1, "other": 2}
    counter.leave()
    tallies.fold()
    record(make_counter("w2"), [make_priced(NOON, model="z")])
    ServingWorker.objects.update(seen_at=Now() - timedelta(days=2))
    tallies.fold()
    assert sum(figures.calls for figures in live.lifetime().by_model.values()) == 9
    assert "z" not in live.lifetime().by_model


def test_a_checkpoint_a_second_says_what_there_is_in_all() -> None:
    counter = make_counter()
    assert SavingsCheckpoint.objects.count() == 1
    SavingsCheckpoint.objects.all().delete()
    counter._next_checkpoint_s = 0
    entries = some_entries(30, [NOON])
    record(counter, entries[:10])
    record(counter, entries[10:])
    counter.turn()
    assert SavingsCheckpoint.objects.count() == 1
    SavingsCheckpoint.objects.update(at=Now() - timedelta(seconds=5))
    counter._next_checkpoint_s = 0
    counter.turn()
    counter.turn()
    newest = SavingsCheckpoint.objects.order_by("at").last()
    assert newest is not None and SavingsCheckpoint.objects.count() == 2
    whole = live.lifetime().figures
    assert (newest.cost_nano_usd, newest.saved_nano_usd) == (whole.cost_nano_usd, whole.saved_nano_usd)
    assert (newest.tokens_saved, newest.input_tokens) == (whole.tokens_saved, whole.input_tokens)
    assert newest.agent == entries[-1].receipt.admission.agent


def test_two_workers_share_a_second() -> None:
    first, second = make_counter("w1"), make_counter("w2")
    for counter in (first, second):
        counter._next_checkpoint_s = 0
        record(counter, [make_priced(NOON)])
    seconds = SavingsCheckpoint.objects.values_list("at", flat=True)
    assert len(set(seconds)) == len(seconds)


def test_totals_that_are_not_what_the_ledger_says_are_put_right() -> None:
    counter = make_counter()
    record(counter, some_entries(40, [NOON]))
    assert lifetime_repair.repair() == {}
    ledger.record_many([make_priced(NOON, model="m")])  # as before there were tallies
    Tally.objects.filter(model="no-such-model").update(calls=0)
    assert lifetime_repair.repair()["calls"] > 1
    rollups.roll()
    assert live.lifetime().figures == stats.totals()
    assert live.lifetime().by_model == stats.by("model")
    assert lifetime_repair.repair() == {}


def test_stats_are_put_together_again_when_something_was_booked_and_only_then() -> None:
    counter = make_counter()
    record(counter, some_entries(5, [NOON]))
    first = session.document(NOON, with_requests=True)
    again = session.document(NOON + timedelta(seconds=1), with_requests=True)
    assert again["requests"] is first["requests"]
    assert again["generated_at"] != first["generated_at"]
    assert "recent_requests" not in session.document(NOON, with_requests=False)
    record(counter, [make_priced(NOON)])
    assert session.document(NOON, with_requests=True)["requests"]["calls"] == 6


def test_the_shortest_and_the_longest_time_are_told() -> None:
    assert session.document(NOON, with_requests=False)["overhead"]["min_ms"] == 0
    counter = make_counter()
    for overhead_ms in (None, 7.25, 1.5, 40):
        record(counter, [make_priced(NOON, overhead_ms=overhead_ms)])
    found = session.document(NOON, with_requests=False)["overhead"]
    assert found == {"average_ms": 16.25, "min_ms": 1.5, "max_ms": 40.0, "total_requests": 3}


def test_projects_are_told_to_those_who_may_see_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_PROJECTS", 2)
    counter = make_counter()
    for project, count in (("payments", 3), ("shop", 2), ("<b>", 1), ("other", 9)):
        record(counter, [make_priced(NOON, project=project) for _ in range(count)])
    rollups.roll()
    found = session.document(NOON, with_requests=True)["persistent_savings"]["projects"]
    assert [(name, one["requests"]) for name, one in found.items()] == [("payments", 3), ("shop", 2), ("other", 10)]
    assert "projects" not in session.document(NOON, with_requests=False)["persistent_savings"]
    assert history.document("none", stats.EVER, NOON, with_projects=True)["projects"] == found
