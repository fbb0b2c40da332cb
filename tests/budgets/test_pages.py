from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from budgets import keys, pages
from budgets.models import BudgetPeriod
from savings.dashboard.scope import Scope
from tests.budgets.builders import make_budget

pytestmark = pytest.mark.django_db
NANO = 10**9


def period(spent: float, hours: float = 2.0, limit: int = 10, **fields: object) -> BudgetPeriod:
    now = timezone.now()
    return BudgetPeriod.objects.create(
        budget=make_budget(limit),
        starts_at=now - timedelta(hours=hours),
        ends_at=now + timedelta(hours=22),
        limit_nano_usd=limit * NANO,
        spent_nano_usd=int(spent * NANO),
        **fields,
    )


def balance(found: BudgetPeriod) -> pages.Balance:
    return pages.balance(found.budget, found, timezone.now())


def test_speed_says_when_the_money_will_be_gone():
    fast = balance(period(spent=4))
    assert fast.per_hour is not None and abs(fast.per_hour - 2 * NANO) < NANO / 100
    assert fast.gone_at is not None
    assert abs(fast.gone_at - timezone.now() - timedelta(hours=3)) < timedelta(minutes=2)
    assert balance(period(spent=0.1)).gone_at is None, "it lasts until the period's end"


def test_a_bar_is_never_wider_than_its_frame():
    over = balance(period(spent=14, held_nano_usd=3 * NANO))
    assert (over.spent_percent, over.set_aside_percent, over.state) == (100.0, 0.0, "over")
    near = balance(period(spent=9, held_nano_usd=3 * NANO))
    assert (near.spent_percent, near.set_aside_percent, near.state) == (90.0, 10.0, "near")
    assert balance(period(spent=0, limit=0)).state == "over"


def test_a_moment_says_nothing_about_speed():
    assert balance(period(spent=1, hours=0.01)).per_hour is None


def test_a_team_sees_its_own_budgets_and_keys(client):
    mine, _ = keys.create("mine", team="red")
    keys.create("other", team="blue")
    make_budget(5, key=mine)
    make_budget(6)
    rows = pages._budgets(Scope("red"))
    assert [budget.key for budget, _ in rows] == [mine]
    assert [row.key for row in pages._keys(Scope("red"), timezone.now())] == [mine]


def test_the_page_shows_all_of_them(client):
    make_budget(5)
    keys.create("<b>mine</b>")
    text = client.get("/dashboard/keys").content.decode()
    assert "everybody" in text
    assert "&lt;b&gt;mine" in text
