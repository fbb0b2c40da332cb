from __future__ import annotations

from decimal import Decimal
from functools import partial

import pytest
from click.testing import CliRunner

from budgets import balances, keys, limits, periods, snapshot
from budgets.balances import Holder
from budgets.models import Team
from headroom_site.cli import main
from tests.budgets.builders import NOON, USD, account, make_budget, standing

pytestmark = pytest.mark.usefixtures("database")


@pytest.mark.parametrize("usd", ["-0.01", "NaN", "Infinity", "10000001", "0.0000000001"])
def test_limits_that_cannot_be_meant_are_refused(usd) -> None:
    with pytest.raises(limits.BadBudget):
        make_budget(usd)


@pytest.mark.parametrize("fields", [{"period": "yearly"}, {"policy": "lax"}, {"time_zone": "Nowhere"}])
def test_periods_policies_and_zones_must_exist(fields) -> None:
    with pytest.raises(ValueError, match=next(iter(fields.values()))):
        make_budget(5, **fields)


def test_a_key_cannot_be_buried_under_budgets() -> None:
    key, _ = keys.create("a")
    for _ in range(limits.MAX_PER_SCOPE):
        make_budget(1, key=key)
    with pytest.raises(limits.BadBudget, match="end one first"):
        make_budget(1, key=key)
    limits.end(key.budgets.first().pk)
    make_budget(1, key=key)


def test_every_budget_that_applies_is_in_the_snapshot() -> None:
    key, _ = keys.create("a", team="core")
    other, _ = keys.create("b")
    team = Team.objects.get()
    everybody, of_team = make_budget(1), make_budget(2, team=team, policy="strict")
    of_key, ended = make_budget(3, key=key), make_budget(4, key=key)
    limits.end(ended.pk)
    seen = snapshot.load()

    def ids(key_id: str, owner: str) -> set[int]:
        return {limit.id for limit in seen.limits_of(key_id, owner)}

    assert ids(str(key.pk), f"team:{team.pk}") == {everybody.pk, of_team.pk, of_key.pk}
    assert ids(str(other.pk), f"key:{other.pk}") == {everybody.pk}
    assert ids("", "local") == {everybody.pk}
    assert {limit.is_strict for limit in seen.limits[f"team:{team.pk}"]} == {True}


def test_a_change_of_budgets_moves_the_revision() -> None:
    revisions = [snapshot.load().revision]
    budget = make_budget(1)
    revisions.append(snapshot.load().revision)
    limits.set_limit(budget.pk, Decimal(2))
    revisions.append(snapshot.load().revision)
    limits.end(budget.pk)
    revisions.append(snapshot.load().revision)
    assert len(set(revisions)) == 4


def test_a_limit_below_what_is_spent_refuses_and_loses_nothing() -> None:
    budget = make_budget(10, "total")
    period = balances.open_period(budget.pk, periods.containing("total", "UTC", NOON))
    worker = Holder("here", "w1")
    assert balances.take(period, worker, [4 * USD]).is_granted == (True,)
    limits.set_limit(budget.pk, Decimal(3))
    assert account(budget).limit_nano_usd == 3 * USD
    assert balances.take(period, worker, [1]).is_granted == (False,)
    assert standing(budget) == (0, 4 * USD, 0)
    limits.set_limit(budget.pk, Decimal(5))
    assert balances.take(period, worker, [USD]).is_granted == (True,)


def test_the_settings_make_one_budget_and_keep_it_while_they_say_the_same() -> None:
    def apply(usd: str | None, period: periods.Kind = "daily") -> limits.Budget | None:
        return limits.apply_settings(Decimal(usd) if usd else None, period, time_zone="UTC", policy="normal")

    assert apply(None) is None
    first = apply("5")
    assert first is not None
    again = apply("5")
    raised = apply("7")
    assert again is not None and raised is not None
    assert {first.pk, again.pk, raised.pk} == {first.pk}
    assert raised.limit_nano_usd == 7 * USD
    monthly = apply("7", "monthly")
    assert monthly is not None
    assert [budget.pk for budget in limits.list_budgets()] == [monthly.pk]
    apply(None)
    assert limits.list_budgets() == []


def test_small_amounts_and_topped_up_ones_are_shown_as_they_are() -> None:
    budget = make_budget("0.0015")
    assert str(budget).startswith("0.0015 USD daily")
    run = partial(CliRunner().invoke, main)
    assert run(["budget", "top-up", str(budget.pk), "2"]).output == f"Budget {budget.pk} has $2.0015 in this period.\n"
    assert "$0.0000 of $2.0015, " in run(["budget", "list"]).output
    assert run(["budget", "top-up", str(budget.pk), "2.9985"]).output.endswith(" has $5.00 in this period.\n")
    assert "$0.0000 of $5.00, " in run(["budget", "list"]).output
    assert run(["budget", "top-up", "0", "2"]).exit_code == 1
    assert run(["budget", "top-up", str(budget.pk), "0"]).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("create", "-1"), 2, "No such option"),
        (("create", "--", "-1"), 2, "0 to 10,000,000"),
        (("create", "1", "--time-zone", "Mars"), 2, "not a time zone"),
        (("create", "1", "--key", "nobody"), 1, "no key has"),
        (("create", "1", "--team", "nobody"), 1, "no team"),
        (("set", "99", "1"), 1, "no budget in force"),
        (("end", "99"), 1, "no budget in force"),
    ],
)
def test_budgets_that_cannot_be_meant_are_refused_in_one_line(
    arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = CliRunner().invoke(main, ["budget", *arguments])
    assert (done.exit_code, done.stdout) == (code, "")
    assert words in done.stderr.splitlines()[-1]
    assert isinstance(done.exception, SystemExit)


def test_ending_twice_says_that_there_is_none() -> None:
    budget = make_budget(1)
    limits.end(budget.pk)
    with pytest.raises(limits.NoSuchBudget):
        limits.end(budget.pk)
    with pytest.raises(limits.NoSuchBudget):
        limits.set_limit(budget.pk, Decimal(1))
