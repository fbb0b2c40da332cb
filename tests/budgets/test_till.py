from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection

from budgets import keys, limits, snapshot
from budgets.balances import Holder
from budgets.models import Budget, BudgetShare
from budgets.purse import Run
from budgets.till import NOTHING, BudgetHeld, BudgetSpent, BudgetUnreachable, Hold, NoBound, NoPrice, Till, Unpriced
from savings.models import PriceOverride
from savings.pricing import PriceBook
from tests.budgets.builders import NOON, USD, account, book, make_budget, make_demand, priced, somebody, standing

pytestmark = pytest.mark.usefixtures("database")
CENT = USD // 100
BOUND = 3000 * (4000 + 4096) * 2 + 15_000 * 100
"""What a demand of `make_demand` costs at most: its bytes as 1-hour cache writes, and its answer."""


class Switch:
    """A way to the database that can be cut."""

    def __init__(self) -> None:
        self.is_cut = False
        self.jobs = 0
        self.threads = ThreadPoolExecutor(4)

    async def run(self, job: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self.jobs += 1
        if self.is_cut:
            raise OperationalError("the server is gone")

        def work() -> Any:
            try:
                return job(*args, **kwargs)
            finally:
                connection.close()

        return await asyncio.get_running_loop().run_in_executor(self.threads, work)


@pytest.fixture
def switch(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Switch]:
    # The tests look into the database from inside their coroutines; the till itself never does.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    switch = Switch()
    yield switch
    switch.threads.shutdown()


PRICES = PriceBook()


@pytest.fixture
def open_till(tmp_path: Path, switch: Switch) -> Callable[..., Till]:
    def start(name: str = "w1", run: Run = switch.run, unpriced: Unpriced = "by_policy", workers: int = 1) -> Till:
        (tmp_path / name).mkdir(exist_ok=True)
        seen = snapshot.load()
        holder = Holder("here", name)
        return Till(holder, tmp_path, PRICES, run, unpriced=unpriced, workers=workers, limits_of=seen.limits_of)

    return start


async def admit(till: Till, *, now_s: float = NOON, key_id: str = "", **demand: Any) -> Hold:
    return await till.admit(make_demand(**demand), somebody(key_id), now_s)


def held(hold: Hold) -> int:
    return sum(one.nano_usd for one in hold.reserved)


async def test_without_a_budget_nothing_is_asked_and_nothing_held(open_till, switch) -> None:
    assert await admit(open_till()) == NOTHING
    assert switch.jobs == 0


async def test_far_from_the_limit_the_road_asks_no_database(open_till, switch) -> None:
    make_budget(1000)
    till = open_till()
    await admit(till)
    await till.close()
    jobs = switch.jobs
    holds = [await admit(till) for _ in range(200)]
    assert switch.jobs == jobs
    assert {hold.reserved[0].is_leased for hold in holds} == {True}


async def test_a_lease_is_renewed_before_it_runs_out(open_till, switch) -> None:
    budget = make_budget(1000)
    till = open_till()
    for _ in range(3000):
        await admit(till, max_output_tokens=1000)
    await till.close()
    assert 3 < switch.jobs < 20
    spent, of_calls, leased = standing(budget)
    # One call was held for itself, before there was a lease.
    assert spent == 0 and of_calls < 20 * CENT and leased > 3000 * 15_000 * 1000


async def test_a_strict_budget_for_fifty_takes_fifty_of_two_hundred(open_till) -> None:
    budget = make_budget(Decimal(BOUND * 50) / USD, policy="strict")
    tills = [open_till(f"w{number}") for number in range(4)]
    outcomes = await asyncio.gather(*(admit(tills[n % 4]) for n in range(200)), return_exceptions=True)
    holds = [one for one in outcomes if isinstance(one, Hold)]
    assert {type(one) for one in outcomes} == {Hold, BudgetHeld}
    assert len(holds) == 50 and {held(hold) for hold in holds} == {BOUND}
    assert standing(budget) == (0, 50 * BOUND, 0)


async def test_what_is_refused_says_whose_budget_how_much_and_when_it_resets(open_till) -> None:
    key, _ = keys.create("laptop")
    budget = make_budget(1, key=key)
    till = open_till()
    await admit(till, key_id=str(key.pk))
    book(till.post, priced(USD, key_id=str(key.pk)))
    till.tidy()
    with pytest.raises(BudgetSpent) as refusal:
        await admit(till, key_id=str(key.pk))
    assert f"{key.prefix}… (laptop) spent $1.00 of $1.00 (daily); resets " in str(refusal.value)
    assert refusal.value.retry_after_s is not None
    assert account(budget).ends_at is not None
    assert 0 < refusal.value.retry_after_s <= 86_401
    assert NOON + refusal.value.retry_after_s >= account(budget).ends_at.timestamp()


async def test_what_does_not_fit_any_more_says_why_though_something_is_left(open_till) -> None:
    make_budget("0.05", "total", policy="strict")
    till = open_till()
    with pytest.raises(BudgetSpent, match=r"may cost \$0.05\d*; it does not reset") as refusal:
        await admit(till)
    assert refusal.value.retry_after_s is None


async def test_what_is_only_held_is_said_to_be_free_again_soon(open_till) -> None:
    make_budget(Decimal(BOUND) / USD, policy="strict")
    till = open_till()
    hold = await admit(till)
    with pytest.raises(BudgetHeld, match="held for calls that are under way") as refusal:
        await admit(till)
    assert refusal.value.retry_after_s == 2
    book(till.post, priced(0, *hold.reserved))
    assert held(await admit(till)) == BOUND


async def test_a_call_that_one_budget_refuses_holds_nothing_in_the_others(open_till) -> None:
    wide, narrow = make_budget(100), make_budget(0)
    till = open_till()
    with pytest.raises(BudgetSpent):
        await admit(till)
    till.tidy()
    till.stop()
    assert (standing(wide), standing(narrow)) == ((0, 0, 0), (0, 0, 0))


async def test_calls_that_end_leave_what_they_did_not_need(open_till) -> None:
    budget = make_budget(1000)
    till = open_till()
    await admit(till)
    hold = await admit(till)
    (purse,) = till._by_period.values()
    before = purse.available_nano_usd
    book(till.post, priced(1000, *hold.reserved))
    assert purse.available_nano_usd == before + held(hold) - 1000
    till.stop()
    # The first call is still on its way: what it holds stays.
    assert standing(budget)[0] == 1000
    assert standing(budget)[2] == 0


async def test_what_many_calls_at_once_left_is_for_others(open_till, switch) -> None:
    budget = make_budget(1000, policy="strict")
    till = open_till()
    holds = [await admit(till, max_output_tokens=60_000) for _ in range(300)]
    await till.close()
    book(till.post, *(priced(1000, *hold.reserved) for hold in holds))
    assert standing(budget)[2] > 200 * USD, "all that they could have cost"
    till.tidy()
    assert 0 < standing(budget)[2] <= 40 * USD, "two leases of 2 %"
    jobs = switch.jobs
    await admit(till)
    assert switch.jobs == jobs, "the next call asks nobody"


async def test_what_is_dearer_than_expected_calls_leases_back_where_the_limit_may_be_near(open_till) -> None:
    make_budget(10)
    till = open_till()
    holds = [await admit(till) for _ in range(3)]
    (purse,) = till._by_period.values()
    book(till.post, priced(held(holds[0]) + CENT, *holds[0].reserved))
    assert not till._called.is_set(), "nine dollars are left"
    book(till.post, priced(1, *holds[1].reserved))
    assert not till._called.is_set(), "it was cheaper than expected"
    book(till.post, priced(9 * USD, *holds[2].reserved))
    assert till._called.is_set()
    till.tidy()
    assert not purse.available_nano_usd, "others may need what is leased"


async def test_a_call_that_was_not_made_gives_its_money_back(open_till) -> None:
    budget = make_budget(10, policy="strict")
    till = open_till()
    first, second = await admit(till), await admit(till)
    till.release(first)
    till.release(second)
    till.tidy()
    spent, of_calls, leased = standing(budget)
    assert (spent, of_calls) == (0, 0)
    till.stop()
    assert standing(budget) == (0, 0, 0)
    assert leased >= 0


async def test_a_client_that_leaves_while_money_is_asked_for_leaves_none_behind(open_till, switch) -> None:
    budget = make_budget(1, policy="strict")
    till = open_till()
    waiting = [asyncio.create_task(admit(till)) for _ in range(5)]
    await asyncio.sleep(0)
    for one in waiting:
        one.cancel()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(one) for one in outcomes} == {asyncio.CancelledError}
    await till.close()
    till.tidy()
    assert standing(budget) == (0, 0, 0)


async def test_a_strict_budget_needs_a_bound_and_a_price(open_till) -> None:
    make_budget(1000, policy="strict")
    till = open_till()
    with pytest.raises(NoBound, match="tools that the provider runs"):
        await admit(till, has_open_end=True)
    with pytest.raises(NoPrice, match="'mystery-1'"):
        await admit(till, model="mystery-1")
    with pytest.raises(NoPrice, match="POST /v1/batches"):
        await admit(till, model="", route="/v1/batches", is_known_route=False)
    # The model's own limit stands in for one of the client, or for pictures of any size.
    assert held(await admit(till, max_output_tokens=None)) >= 15_000 * 200_000
    assert held(await admit(till, has_opaque_input=True)) >= 6000 * 200_000


async def test_a_strict_budget_cannot_bound_what_nobody_knows_the_size_of(open_till) -> None:
    PriceOverride.objects.create(provider="anthropic", model="own-1", input_fresh=1, output=1)
    PRICES.refresh()
    try:
        make_budget(1000, policy="strict")
        till = open_till()
        with pytest.raises(NoBound, match="max_tokens"):
            await admit(till, model="own-1", max_output_tokens=None)
        with pytest.raises(NoBound, match="pictures"):
            await admit(till, model="own-1", has_opaque_input=True)
        assert held(await admit(till, model="own-1")) == 1000 * (4000 + 4096 + 100)
    finally:
        PriceOverride.objects.all().delete()
        PRICES.refresh()


async def test_a_normal_budget_counts_unknown_prices_as_nothing_and_says_so(open_till, caplog) -> None:
    make_budget(1)
    till = open_till()
    with caplog.at_level(logging.WARNING):
        assert held(await admit(till, model="mystery-1")) == 0
        assert held(await admit(till, model="mystery-1")) == 0
    assert sum("mystery-1" in record.getMessage() for record in caplog.records) == 1
    with pytest.raises(NoPrice):
        await admit(till, model="", route="/v1/batches", is_known_route=False)


@pytest.mark.parametrize(("unpriced", "policy", "passes"), [("refuse", "normal", False), ("allow", "strict", True)])
async def test_a_setting_decides_on_unknown_prices_for_all(open_till, unpriced, policy, passes) -> None:
    make_budget(1, policy=policy)
    till = open_till(unpriced=unpriced)
    if passes:
        assert held(await admit(till, model="mystery-1")) == 0
    else:
        with pytest.raises(NoPrice):
            await admit(till, model="mystery-1")


async def test_a_normal_budget_learns_how_long_answers_are(open_till) -> None:
    make_budget(1000)
    till = open_till()

    async def output_tokens() -> float:
        return (held(await admit(till, max_output_tokens=None)) - 3000 * 1000) / 15_000

    assert await output_tokens() == 2000
    for _ in range(20):
        entry = priced(1, model="claude-sonnet-4-5")
        object.__setattr__(entry.usage, "output", 300)
        book(till.post, entry)
    assert await output_tokens() == 300


async def test_while_the_database_is_away_normal_goes_on_and_strict_waits(open_till, switch) -> None:
    normal = make_budget(10)
    till = open_till()
    switch.is_cut = True
    assert await admit(till) == Hold((), is_strict=False)
    strict = make_budget(10, policy="strict")
    till = open_till()
    with pytest.raises(BudgetUnreachable):
        await admit(till)
    switch.is_cut = False
    assert (await admit(till)).is_strict
    assert account(normal).budget != strict


async def test_unasked_a_worker_spends_its_part_of_what_was_left_and_counts_it_until_it_is_booked(
    open_till, switch
) -> None:
    limit, cost = USD // 20, 3000 * 1000 + 15_000 * 100
    budget = make_budget("0.05")
    till = open_till(workers=2)

    async def admit_all(refusal: type[Exception]) -> list[Hold]:
        admitted = []
        with pytest.raises(refusal):
            while True:
                admitted.append(await admit(till))
        return admitted

    await admit(till)
    switch.is_cut = True
    unasked = await admit_all(BudgetUnreachable)
    assert len(unasked) == (limit - cost) // 2 // cost == 5
    switch.is_cut = False
    await admit_all(BudgetHeld)
    assert standing(budget)[1] == (limit // cost - len(unasked)) * cost, "they count though they are not booked"
    book(till.post, *(priced(cost, *hold.reserved) for hold in unasked))
    assert await admit_all(BudgetHeld) == []
    assert standing(budget) == (5 * cost, 6 * cost, 0)


async def test_a_lease_outlasts_an_outage(open_till, switch) -> None:
    make_budget(1000, policy="strict")
    till = open_till()
    await admit(till)
    await till.close()
    switch.is_cut = True
    assert (await admit(till)).reserved[0].is_leased


async def test_a_new_period_has_a_new_account_and_the_old_lease_goes_back(open_till) -> None:
    budget = make_budget(1000)
    till = open_till()
    await admit(till)
    first = account(budget)
    await admit(till, now_s=NOON + 86_400)
    till.tidy()
    first.refresh_from_db()
    assert first.leased_nano_usd == 0
    assert budget.periods.count() == 2


async def test_what_a_killed_worker_held_comes_back_when_its_journal_is_recorded(open_till, tmp_path) -> None:
    budget = make_budget(1000)
    killed, other = open_till("killed"), open_till("other")
    hold = await admit(killed)
    await admit(killed)
    await killed.close()
    other.sweep()
    assert standing(budget)[2] > 0
    book(other.post, priced(7, *hold.reserved, holder="killed"))
    (tmp_path / "killed").rmdir()
    other.sweep()
    assert standing(budget) == (7, 0, 0)
    assert not BudgetShare.objects.exists()


def test_money_is_written_as_people_read_it(open_till) -> None:
    budget = make_budget("0.000001")
    assert isinstance(budget, Budget)
    assert limits.nano_usd(Decimal("0.000001")) == 1000


async def test_a_strict_budget_holds_what_the_asked_tier_costs_and_no_less_than_the_usual_one(open_till) -> None:
    make_budget(1000, policy="strict")
    openai: dict[str, Any] = {"provider": "openai", "upstream": "https://api.openai.com", "model": "gpt-5.1"}
    # From October 2026 on the price list knows the prices of service tiers.
    openai["now_s"] = NOON + 180 * 86_400
    holds = {tier: held(await admit(open_till(), tier=tier, **openai)) for tier in ("", "priority", "flex")}
    assert holds["priority"] == 2 * holds[""] and holds["flex"] == holds[""]
