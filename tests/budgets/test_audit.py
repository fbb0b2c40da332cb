from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from budgets import audit as audits
from budgets import balances, keys, periods, sums
from budgets.balances import Holder
from budgets.models import BudgetPeriod, BudgetShare, Team
from savings.receipts import Reserved
from tests.budgets.builders import NOON, USD, book, make_budget, priced
from tests.budgets.test_live_budgets import headroom
from tests.live.proxies import Proxy


@pytest.fixture
def accounts(database: str) -> list[int]:
    """Three accounts that calls were booked on and that hold something."""
    key, _ = keys.create("a", team="core")
    team = Team.objects.get()
    ids = []
    for budget in (make_budget(9), make_budget(9, key=key, policy="strict"), make_budget(9, "monthly", team=team)):
        span = periods.containing(budget.period, "UTC", NOON)  # type: ignore[arg-type]
        ids.append(balances.open_period(budget.pk, span))
        balances.take(ids[-1], Holder("here", "w1"), [USD, 5], lease_for=1)
    book(
        balances.post,
        priced(7, *(Reserved(pk, USD, is_leased=False) for pk in ids), key_id=str(key.pk), owner=f"team:{team.pk}"),
        priced(100),
    )
    return ids


def test_accounts_that_are_right_have_no_differences(accounts: list[int]) -> None:
    found = audits.audit(timezone.now())
    assert (found.periods, found.differences, found.old_holds) == (3, (), ())
    assert found.is_clean
    assert [BudgetPeriod.objects.get(pk=pk).spent_nano_usd for pk in accounts] == [107, 7, 7]


@pytest.mark.parametrize("figure", ["spent", "held", "leased"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_every_figure_that_was_changed_by_hand_is_found(accounts: list[int], place: int, figure: str) -> None:
    period = BudgetPeriod.objects.get(pk=accounts[place])
    before = getattr(period, f"{figure}_nano_usd")
    BudgetPeriod.objects.filter(pk=period.pk).update(**{f"{figure}_nano_usd": before + 1})
    (difference,) = audits.audit(timezone.now()).differences
    assert (difference.period_id, difference.figure) == (period.pk, figure)
    assert (difference.stored_nano_usd, difference.summed_nano_usd) == (before + 1, before)


def test_what_is_held_for_more_than_a_day_is_found(accounts: list[int]) -> None:
    found = audits.audit(timezone.now() + timedelta(hours=25))
    assert {hold.period_id for hold in found.old_holds} == set(accounts)
    assert {hold.holder for hold in found.old_holds} == {"w1"}
    BudgetShare.objects.update(held_nano_usd=0, leased_nano_usd=0)
    BudgetPeriod.objects.update(held_nano_usd=0, leased_nano_usd=0)
    assert audits.audit(timezone.now() + timedelta(hours=25)).is_clean


def test_one_pass_gives_what_each_account_gives_by_itself(database: str) -> None:
    one, _ = keys.create("one", team="core")
    alone, _ = keys.create("alone")
    team = Team.objects.get()
    budgets = [
        make_budget(9, kind, key=key, team=whose, time_zone=zone)
        for kind, zone in (
            ("hourly", "UTC"),
            ("daily", "Asia/Kathmandu"),
            ("weekly", "Europe/Berlin"),
            ("total", "UTC"),
        )
        for key, whose in ((None, None), (one, None), (alone, None), (None, team))
    ]
    times = [NOON + hours * 3600 - 0.25 for hours in (0, 0.3, 1, 5, 6, 24, 30, 200)]
    calls = [
        priced(number * 1000 + len(owner), key_id=key, owner=owner, admitted_at=at_s)
        for number, at_s in enumerate(times, start=1)
        for key, owner in ((str(one.pk), f"team:{team.pk}"), (str(alone.pk), f"key:{alone.pk}"), ("", "local"))
    ]
    for budget in budgets:
        for at_s in times:
            balances.open_period(budget.pk, periods.containing(budget.period, budget.time_zone, at_s))  # type: ignore[arg-type]
    book(balances.post, *calls)
    accounts = list(BudgetPeriod.objects.select_related("budget"))
    expected = {p.pk: balances.spent_by_entries(p.budget, p.starts_at, p.ends_at) for p in accounts}
    assert sums.spent_of(accounts) == expected and sum(expected.values()) > 0
    moved = BudgetPeriod(pk=0, budget=budgets[0], starts_at=accounts[0].starts_at + timedelta(seconds=1), ends_at=None)
    assert sums.spent_of([moved])[0] == balances.spent_by_entries(moved.budget, moved.starts_at, None)
    assert audits.audit(timezone.now()).is_clean


def test_older_accounts_can_be_left_out(accounts: list[int]) -> None:
    ended = BudgetPeriod.objects.exclude(ends_at=None).latest("ends_at").ends_at
    assert ended is not None
    assert audits.audit(timezone.now(), since=ended).periods == 0


def test_the_command_says_so_and_exits_with_1(tmp_path: Path) -> None:
    proxy = Proxy(tmp_path / "workspace", "http://127.0.0.1:9", env={"PYTHONWARNINGS": "default"})
    clean = headroom(proxy, "audit")
    assert (clean.returncode, clean.stdout) == (0, "0 accounts: 0 differences, 0 old holds.\n")


@pytest.mark.postgres
def test_a_database_that_is_not_ready_is_said_in_one_line(tmp_path: Path, postgres_url: str) -> None:
    proxy = Proxy(tmp_path / "workspace", "http://127.0.0.1:9", env={"HEADROOM_DATABASE_URL": postgres_url})
    refused = headroom(proxy, "audit")
    assert (refused.returncode, "Traceback" in refused.stderr) == (1, False)
    assert "run `python3 manage.py migrate` once" in refused.stderr
