from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from django.db import connection

from budgets import balances, keys, periods
from budgets.balances import Holder
from budgets.models import Budget, BudgetPeriod, BudgetShare, Team
from savings.receipts import Reserved
from tests.budgets.builders import NOON, USD, account, book, make_budget, priced, standing

pytestmark = pytest.mark.usefixtures("database")
ME, OTHER = Holder("here", "w1"), Holder("here", "w2")
CENT = USD // 100


def opened(budget: Budget, at_s: float = NOON) -> int:
    return balances.open_period(budget.pk, periods.containing(budget.period, budget.time_zone, at_s))  # type: ignore[arg-type]


def test_wishes_are_granted_in_order_until_the_limit_and_not_beyond() -> None:
    budget = make_budget(1)
    grant = balances.take(opened(budget), ME, [40 * CENT, 70 * CENT, 60 * CENT, 1])
    assert grant.is_granted == (True, False, True, False)
    assert standing(budget) == (0, USD, 0)


def test_exactly_the_limit_fits_and_nothing_fits_after_it() -> None:
    budget = make_budget(1)
    period = opened(budget)
    assert balances.take(period, ME, [USD]).is_granted == (True,)
    assert balances.take(period, OTHER, [1]).is_granted == (False,)
    assert balances.take(period, OTHER, [0]).is_granted == (True,)


def test_many_threads_together_never_take_more_than_there_is() -> None:
    budget = make_budget(1)
    period = opened(budget)
    barrier = threading.Barrier(8)

    def grab(number: int) -> int:
        try:
            barrier.wait()
            granted = 0
            for _ in range(10):
                granted += sum(balances.take(period, Holder("here", f"w{number}"), [2 * CENT]).is_granted)
            return granted
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(grab, range(8))) == 50
    assert standing(budget) == (0, USD, 0)


def test_far_from_the_limit_there_is_a_lease_and_near_it_there_is_none() -> None:
    budget = make_budget(100)
    period = opened(budget)
    far = balances.take(period, ME, [CENT], lease_for=CENT)
    assert far.leased_nano_usd == 2 * USD
    assert not far.is_near
    book(balances.post, priced(90 * USD + 50 * CENT))
    near = balances.take(period, ME, [CENT], lease_for=CENT)
    assert (near.is_granted, near.leased_nano_usd) == ((True,), 0)
    assert near.is_near


def test_a_lease_that_would_not_take_one_call_is_not_given() -> None:
    assert balances.take(opened(make_budget(100)), ME, [], lease_for=3 * USD).leased_nano_usd == 0


def test_strict_budgets_lease_only_while_a_hundred_calls_fit() -> None:
    period = opened(make_budget(10, policy="strict"))
    assert balances.take(period, ME, [], lease_for=11 * CENT, is_strict=True).leased_nano_usd == 0
    assert balances.take(period, ME, [], lease_for=9 * CENT, is_strict=True).leased_nano_usd == 20 * CENT


def test_booking_turns_what_was_held_into_what_was_spent() -> None:
    budget = make_budget(10)
    period = opened(budget)
    balances.take(period, ME, [USD])
    book(balances.post, priced(30 * CENT, Reserved(period, USD, is_leased=False)))
    assert standing(budget) == (30 * CENT, 0, 0)
    assert BudgetShare.objects.get().held_nano_usd == 0


def test_booking_leaves_the_rest_of_a_lease_with_its_worker() -> None:
    budget = make_budget(100)
    period = opened(budget)
    balances.take(period, ME, [], lease_for=CENT)
    book(balances.post, priced(30 * CENT, Reserved(period, USD, is_leased=True)))
    assert standing(budget) == (30 * CENT, 0, 2 * USD - 30 * CENT)


def test_a_call_that_cost_more_than_was_set_aside_is_booked_in_full() -> None:
    budget = make_budget(100)
    period = opened(budget)
    balances.take(period, ME, [CENT], lease_for=CENT)
    held, leased = Reserved(period, CENT, is_leased=False), Reserved(period, CENT, is_leased=True)
    book(balances.post, priced(5 * CENT, held), priced(7 * CENT, leased))
    assert standing(budget) == (12 * CENT, 0, 2 * USD - CENT)


def test_a_row_that_is_recorded_twice_is_booked_once() -> None:
    budget = make_budget(10)
    period = opened(budget)
    balances.take(period, ME, [USD])
    entry = priced(CENT, Reserved(period, USD, is_leased=False))
    assert [book(balances.post, entry), book(balances.post, entry)] == [1, 0]
    assert standing(budget) == (CENT, 0, 0)


def test_calls_count_against_their_key_their_team_and_everybody() -> None:
    key, _ = keys.create("a", team="core")
    other, _ = keys.create("b", team="core")
    alone, _ = keys.create("c")
    team = Team.objects.get()
    of = {"key": make_budget(9, key=key), "team": make_budget(9, team=team), "all": make_budget(9)}
    for budget in of.values():
        opened(budget)
    book(
        balances.post,
        priced(1, key_id=str(key.pk), owner=f"team:{team.pk}"),
        priced(10, key_id=str(other.pk), owner=f"team:{team.pk}"),
        priced(100, key_id=str(alone.pk), owner=f"key:{alone.pk}"),
        priced(1000, owner="local"),
        priced(None, owner="local"),
        priced(10_000, key_id="not a key", owner="team:not a team"),
    )
    assert {name: account(budget).spent_nano_usd for name, budget in of.items()} == {
        "key": 1,
        "team": 11,
        "all": 11_111,
    }


def test_a_call_belongs_to_the_period_that_it_was_admitted_in() -> None:
    budget = make_budget(9)
    midnight = datetime(2026, 5, 30, tzinfo=UTC).timestamp()
    before, after = opened(budget, midnight - 1), opened(budget, midnight)
    book(balances.post, priced(1, admitted_at=midnight - 0.001), priced(10, admitted_at=midnight))
    spent = dict(BudgetPeriod.objects.values_list("pk", "spent_nano_usd"))
    assert spent == {before: 1, after: 10}


def test_an_account_opens_with_what_its_period_has_cost_already() -> None:
    book(balances.post, priced(CENT), priced(CENT, admitted_at=NOON - 2 * 86_400))
    budget = make_budget(9)
    opened(budget)
    assert account(budget).spent_nano_usd == CENT
    assert opened(budget) == account(budget).pk


def test_an_account_that_opens_while_entries_are_written_misses_none() -> None:
    budgets = [make_budget(9, "total" if number % 2 else "daily") for number in range(4)]
    stop = threading.Event()
    written = []

    def write() -> None:
        try:
            while not stop.is_set():
                written.append(book(balances.post, priced(1), priced(1)))
        finally:
            connection.close()

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    for budget in budgets:
        while len(written) < 5 * (budgets.index(budget) + 1):
            pass
        opened(budget)
    stop.set()
    for writer in writers:
        writer.join()
    assert {account(budget).spent_nano_usd for budget in budgets} == {sum(written)}


def test_what_was_not_needed_goes_back() -> None:
    budget = make_budget(100)
    period = opened(budget)
    balances.take(period, ME, [CENT], lease_for=CENT)
    balances.give_back(ME, [Reserved(period, CENT, is_leased=False), Reserved(period, USD, is_leased=True)])
    assert standing(budget) == (0, 0, USD)


def test_the_share_of_a_worker_whose_journal_is_recorded_goes_back_and_no_other() -> None:
    budget = make_budget(100)
    period = opened(budget)
    elsewhere = Holder("there", "w3")
    for worker in (ME, OTHER, elsewhere):
        balances.take(period, worker, [CENT], lease_for=CENT)
    assert balances.sweep("here", lambda name: name in ("w1", "w3")) == 1
    assert set(BudgetShare.objects.values_list("holder", flat=True)) == {"w2", "w3"}
    shares = BudgetShare.objects.values_list("held_nano_usd", "leased_nano_usd")
    assert standing(budget) == (0, sum(held for held, _ in shares), sum(leased for _, leased in shares))


def test_an_entry_that_comes_after_its_share_was_returned_is_only_spent() -> None:
    budget = make_budget(100)
    period = opened(budget)
    balances.take(period, ME, [CENT])
    balances.sweep("here", lambda name: True)
    book(balances.post, priced(CENT, Reserved(period, CENT, is_leased=False)))
    assert standing(budget) == (CENT, 0, 0)


def test_eighty_percent_and_all_are_said_once_each(caplog) -> None:
    budget = make_budget(1)
    opened(budget)
    for _ in range(11):
        book(balances.post, priced(10 * CENT))
    said = [record.getMessage() for record in caplog.records if "has reached" in record.getMessage()]
    assert [message.split("has reached ")[1][:5].strip() for message in said] == ["80 %:", "100 %"]


def test_leases_of_others_are_called_back_near_the_limit() -> None:
    budget = make_budget(100)
    period = opened(budget)
    book(balances.post, priced(89 * USD))
    assert balances.is_near([period]) == set()
    book(balances.post, priced(USD + 1))
    assert balances.is_near([period]) == {period}
