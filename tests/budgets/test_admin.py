"""The admin: what people do there, and what it never shows."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from budgets import credentials, keys, limits, people
from budgets.models import ApiKey, Budget, BudgetPeriod, Change, UpstreamCredential
from savings.models import PriceOverride
from tests.budgets.pages import do, form_of, logged_in, make_entry, make_team, shown_secret

pytestmark = pytest.mark.django_db

TOKEN = re.compile(rb'csrfmiddlewaretoken" value="\w+"')
ADD = "/admin/budgets/apikey/add/"
NO_BUDGETS = {
    f"budgets-{name}": value for name, value in (("TOTAL_FORMS", 0), ("INITIAL_FORMS", 0), ("MIN_NUM_FORMS", 0))
}
KEY = {"name": "laptop", "label_lines": "cost centre=42", "model_lines": "claude-*", **NO_BUDGETS}


def everything_kept() -> str:
    """All that the database has to say about what was done."""
    told = [
        *LogEntry.objects.values_list("object_repr", "change_message"),
        *Change.objects.values_list("label", "detail"),
        *ApiKey.objects.values_list(),
        *UpstreamCredential.objects.values_list(),
    ]
    return repr(told)


def test_a_secret_is_on_one_page_once():
    owner = logged_in(name="olga")
    page = owner.post(ADD, KEY)
    secret, key = shown_secret(page), ApiKey.objects.get()
    assert "no-store" in page["Cache-Control"]
    assert keys.find_by_secret(secret) == key
    assert (key.labels, key.allowed_models) == ({"cost centre": "42"}, ["claude-*"])
    rest = secret[keys.PREFIX_CHARS :]
    for path in ("", f"{key.pk}/change/", f"{key.pk}/history/"):
        assert rest not in owner.get(f"/admin/budgets/apikey/{path}").content.decode()
    assert rest not in everything_kept()
    assert Change.objects.filter(actor="olga", action="issued", object_id=str(key.pk)).exists()


def test_rotating_shows_another_secret_and_both_work():
    key, old = keys.create("laptop")
    new = shown_secret(do(logged_in(), "apikey", "rotate", key, hours="1"))
    assert {keys.find_by_secret(old), keys.find_by_secret(new)} == {key}
    assert old != new


def test_revoking_asks_first():
    key, secret = keys.create("laptop")
    owner = logged_in()
    asked = owner.post("/admin/budgets/apikey/", {"action": "revoke", "_selected_action": str(key.pk)})
    assert b"for good" in asked.content
    assert keys.find_by_secret(secret)
    do(owner, "apikey", "revoke", key)
    assert keys.find_by_secret(secret) is None
    assert owner.get(f"/admin/budgets/apikey/{key.pk}/change/").context["has_change_permission"] is False


def test_the_second_of_two_who_edit_at_once_is_told():
    key, _ = keys.create("laptop")
    path = f"/admin/budgets/apikey/{key.pk}/change/"
    first, second = logged_in(), logged_in()
    mine, theirs = form_of(first, path), form_of(second, path)
    assert first.post(path, mine | {"name": "first"}).status_code == 302
    page = second.post(path, theirs | {"name": "second"})
    assert b"changed by somebody else" in page.content
    assert ApiKey.objects.get().name == "first"


def test_two_who_change_a_limit_at_once():
    budget = limits.create(Decimal(5), "daily")
    path = f"/admin/budgets/budget/{budget.pk}/change/"
    owner = logged_in()
    stale = form_of(owner, path)
    limits.set_limit(budget.pk, Decimal(7))
    assert b"changed by somebody else" in owner.post(path, stale | {"limit_usd": "9"}).content
    assert Budget.objects.get().limit_nano_usd == 7 * 10**9


def test_budgets_are_kept_within_the_form_of_their_key():
    key, _ = keys.create("laptop")
    owner, path = logged_in(), f"/admin/budgets/apikey/{key.pk}/change/"
    new = {"budgets-0-limit_usd": "5.50", "budgets-0-period": "daily", "budgets-0-time_zone": "UTC"}
    added = owner.post(path, form_of(owner, path) | new | {"budgets-0-policy": "strict", "budgets-TOTAL_FORMS": "1"})
    assert added.status_code == 302
    budget = Budget.objects.get()
    assert (budget.key, budget.limit_nano_usd, budget.policy) == (key, 5_500_000_000, "strict")
    owner.post(path, form_of(owner, path) | {"budgets-0-limit_usd": "6"})
    assert Budget.objects.get().limit_nano_usd == 6 * 10**9
    owner.post(path, form_of(owner, path) | {"budgets-0-DELETE": "on"})
    assert Budget.objects.get().ended_at is not None
    assert [change.action for change in Change.objects.filter(kind="budget").order_by("pk")] == [
        "began",
        "limit set",
        "ended",
    ]


@pytest.mark.parametrize("limit", ["-1", "10000001", "NaN", "1e40", "0.0000000001", ""])
def test_absurd_budgets_are_refused(limit):
    fields = {"limit_usd": limit, "period": "daily", "time_zone": "UTC", "policy": "normal"}
    assert logged_in().post("/admin/budgets/budget/add/", fields).status_code == 200
    assert not Budget.objects.exists()


def test_a_top_up_is_for_the_running_period():
    budget = limits.create(Decimal(5), "daily")
    page = do(logged_in(), "budget", "top_up", budget, usd="2.50")
    assert b"$7.50" in page.content
    assert (Budget.objects.get().limit_nano_usd, BudgetPeriod.objects.get().limit_nano_usd) == (
        5 * 10**9,
        7_500_000_000,
    )


def test_an_alert_is_reset():
    budget = limits.create(Decimal(5), "daily")
    limits.top_up(budget.pk, Decimal(1))
    BudgetPeriod.objects.update(alerted_percent=100)
    do(logged_in(), "budget", "reset_alert", budget)
    assert BudgetPeriod.objects.get().alerted_percent == 0


def test_a_credential_is_written_and_never_read():
    owner, secret = logged_in(), "sk-ant-very-secret"
    path = "/admin/budgets/upstreamcredential/"
    owner.post(path + "add/", {"provider": "anthropic", "secret": secret})
    assert credentials.opened()[0] == {("", "anthropic"): secret}
    row = UpstreamCredential.objects.get()
    refused = owner.post(f"{path}{row.pk}/change/", {"secret": secret + " two words"})
    for page in (owner.get(path), owner.get(f"{path}{row.pk}/change/"), owner.get(f"{path}{row.pk}/history/"), refused):
        assert secret not in page.content.decode()
    assert secret not in everything_kept()
    owner.post(f"{path}{row.pk}/delete/", {"post": "yes"})
    assert credentials.opened()[0] == {}


def test_prices_are_kept_with_their_time():
    owner = logged_in()
    fields = {"provider": "anthropic", "model": "own-*", "input_fresh": "1", "output": "2"}
    times = {"valid_from_0": "2026-01-01", "valid_from_1": "00:00:00"}
    owner.post("/admin/savings/priceoverride/add/", fields | times)
    assert PriceOverride.objects.get().valid_from == datetime(2026, 1, 1, tzinfo=UTC)
    backwards = times | {"valid_until_0": "2025-01-01", "valid_until_1": "00:00:00"}
    page = owner.post("/admin/savings/priceoverride/add/", fields | backwards)
    assert b"end after it begins" in page.content
    owner.post(f"/admin/savings/priceoverride/{PriceOverride.objects.get().pk}/delete/", {"post": "yes"})
    assert not PriceOverride.objects.exists()
    assert list(Change.objects.filter(kind="price").order_by("pk").values_list("action", flat=True)) == [
        "set",
        "removed",
    ]


def test_labels_are_text_wherever_they_are_shown():
    key, _ = keys.create("<script>alert(1)</script>", "<b>team</b>", {"<i>": "<img src=x>"})
    limits.create(Decimal(5), "daily", key=key)
    make_entry(key, agent="<svg onload=1>")
    owner = logged_in()
    for path in (
        "budgets/apikey/",
        f"budgets/apikey/{key.pk}/change/",
        "budgets/budget/",
        "budgets/team/",
        "budgets/change/",
    ):
        page = owner.get(f"/admin/{path}").content.decode()
        assert "<script>alert" not in page and "<b>team" not in page and "<img src=x" not in page, path
    assert "<svg onload" not in owner.get("/admin/savings/ledgerentry/").content.decode()


@pytest.mark.parametrize("name", ["a\nb", "a\r\nx-evil: 1", "\x00", "x" * 101, "  "])
def test_names_that_would_break_a_header_are_refused(name):
    assert logged_in().post(ADD, KEY | {"name": name}).status_code == 200
    assert not ApiKey.objects.exists()


class TestTeams:
    """Managers and viewers see their team and nothing else."""

    @pytest.fixture
    def ours(self):
        return keys.create("ours", "payments")[0]

    @pytest.fixture
    def theirs(self, ours):
        return keys.create("theirs", "rivals")[0]

    @pytest.fixture
    def manager(self, ours) -> Client:
        return logged_in("manager", ours.team, "mara")

    def test_what_is_not_theirs_is_not_there(self, manager, ours, theirs):
        budget = limits.create(Decimal(5), "daily", key=theirs)
        entry = make_entry(theirs)
        foreign = [
            f"budgets/apikey/{theirs.pk}/change/",
            f"budgets/apikey/{theirs.pk}/history/",
            f"budgets/team/{theirs.team.pk}/change/",
            f"budgets/budget/{budget.pk}/change/",
            f"savings/ledgerentry/{entry.pk}/change/",
        ]
        missing = [
            "budgets/apikey/00000000-0000-4000-8000-000000000000/change/",
            "budgets/apikey/00000000-0000-4000-8000-000000000000/history/",
            "budgets/team/999999/change/",
            "budgets/budget/999999/change/",
            "savings/ledgerentry/00000000-0000-4000-8000-000000000000/change/",
        ]
        for one, other in zip(foreign, missing, strict=True):
            known, unknown = manager.get(f"/admin/{one}"), manager.get(f"/admin/{other}")
            assert (known.status_code, unknown.status_code) == (404, 404), one
            assert TOKEN.sub(b"", known.content) == TOKEN.sub(b"", unknown.content)
        assert manager.get(f"/admin/budgets/apikey/{ours.pk}/change/").status_code == 200

    def test_lists_filters_and_searches_hold_their_own_only(self, manager, ours, theirs):
        make_entry(ours)
        make_entry(theirs, session="their-session")
        limits.create(Decimal(5), "daily", key=theirs)
        limits.create(Decimal(5), "daily")
        for path in (
            "budgets/apikey/",
            "budgets/team/",
            "budgets/budget/",
            "budgets/budget/add/",
            "savings/ledgerentry/",
        ):
            page = manager.get(f"/admin/{path}").content.decode()
            assert "theirs" not in page and "rivals" not in page, path
        assert manager.get("/admin/budgets/budget/").context["cl"].result_count == 0
        assert manager.get("/admin/savings/ledgerentry/?q=their-session").context["cl"].result_count == 0
        assert manager.get("/admin/savings/ledgerentry/").context["cl"].result_count == 1
        choose = "/admin/autocomplete/?app_label=budgets&model_name=budget&field_name=key&term="
        assert [one["text"] for one in json.loads(manager.get(choose).content)["results"]] == [str(ours)]

    def test_nothing_of_others_can_be_changed_through_a_forged_form(self, manager, ours, theirs):
        do(manager, "apikey", "revoke", theirs)
        fields = {"limit_usd": "5", "period": "daily", "time_zone": "UTC", "policy": "normal"}
        for whose in ({"key": str(theirs.pk)}, {"team": str(theirs.team.pk)}, {}):
            assert manager.post("/admin/budgets/budget/add/", fields | whose).status_code == 200
        moved = form_of(manager, f"/admin/budgets/apikey/{ours.pk}/change/") | {"team": str(theirs.team.pk)}
        manager.post(f"/admin/budgets/apikey/{ours.pk}/change/", moved)
        manager.post(ADD, KEY)  # without a team
        assert not Budget.objects.exists()
        assert set(ApiKey.objects.values_list("name", "team__name", "revoked_at")) == {
            ("ours", "payments", None),
            ("theirs", "rivals", None),
        }

    def test_managers_issue_keys_and_keep_budgets_of_their_team(self, manager, ours):
        shown_secret(manager.post(ADD, KEY | {"team": str(ours.team.pk)}))
        fields = {
            "limit_usd": "5",
            "period": "daily",
            "time_zone": "UTC",
            "policy": "normal",
            "team": str(ours.team.pk),
        }
        assert manager.post("/admin/budgets/budget/add/", fields).status_code == 302
        assert Budget.objects.get().team == ours.team

    @pytest.mark.parametrize("model", ["upstreamcredential", "change"])
    def test_secrets_and_the_trail_are_for_owners(self, manager, model):
        assert manager.get(f"/admin/budgets/{model}/").status_code == 403
        assert manager.get("/admin/auth/user/").status_code == 403

    def test_viewers_look_and_change_nothing(self, ours):
        viewer = logged_in("viewer", ours.team)
        assert viewer.get("/admin/budgets/apikey/").status_code == 200
        assert viewer.get(ADD).status_code == 403
        do(viewer, "apikey", "revoke", ours)
        assert ApiKey.objects.get().revoked_at is None

    def test_people_without_a_team_see_nothing(self, ours):
        make_entry(ours)
        lost = people.create("lost", "viewer", make_team("gone"))
        lost.membership.delete()
        client = Client()
        client.force_login(lost, "django.contrib.auth.backends.ModelBackend")
        assert client.get("/admin/savings/ledgerentry/").context["cl"].result_count == 0


def test_the_ledger_is_looked_at_and_filtered_and_not_changed():
    key, _ = keys.create("laptop")
    make_entry(key, session="one", status="partial", admitted_at=datetime(2026, 3, 1, 12, tzinfo=UTC))
    entry = make_entry(key, session="two", model_answered="gpt-5")
    owner, path = logged_in(), "/admin/savings/ledgerentry/"

    def found(query: str) -> int:
        return owner.get(f"{path}?{query}").context["cl"].result_count

    assert found("") == 2
    wanted = ("status=partial", f"q={entry.request_id}", "q=two", "session=one", "day=2026-03-01", "model=gpt-5")
    assert [found(query) for query in wanted] == [1] * 6
    assert (found(f"key={key.pk}"), found("day=2026-03-02"), found("day=nonsense"), found("q=tw")) == (2, 0, 0, 0)
    assert (found("session=%00"), found("key=%00&model=%00&day=%00"), found("session=%00one")) == (2, 2, 1)
    assert owner.get(f"{path}{entry.pk}/change/").context["has_change_permission"] is False
    assert {owner.get(f"{path}add/").status_code, owner.post(f"{path}{entry.pk}/delete/").status_code} == {403}
    assert owner.post(f"{path}{entry.pk}/change/", {"status": "void"}).status_code == 403


@pytest.mark.parametrize(
    "path", ["budgets/apikey/", "budgets/team/", "budgets/budget/", "savings/ledgerentry/", "budgets/change/"]
)
def test_lists_ask_as_little_for_many_rows_as_for_few(path, django_assert_max_num_queries):
    owner = logged_in()
    for number in range(12):
        key, _ = keys.create(f"key {number}", f"team {number}")
        limits.top_up(limits.create(Decimal(5), "daily", key=key).pk, Decimal(1))
        make_entry(key)
    with django_assert_max_num_queries(16):
        assert owner.get(f"/admin/{path}").status_code == 200
