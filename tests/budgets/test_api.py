"""The management API: what a caller may do, and what is not there for them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from budgets import keys, limits, people
from budgets.models import ApiKey, Budget, Team
from tests.budgets.pages import logged_in, make_team

pytestmark = pytest.mark.django_db
ADMIN = keys.Shape("automation", is_admin=True)


class Caller:
    """Somebody who talks JSON."""

    def __init__(self, secret: str = "", client: Client | None = None, header: str = "x-headroom-key") -> None:
        self._client = client or Client()
        value = f"Bearer {secret}" if header == "authorization" else secret
        self._headers = {header: value} if secret else {}

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        return self._client.generic(
            method,
            f"/admin/api{path}",
            b"" if body is None else json.dumps(body),
            content_type="application/json",
            headers={**self._headers, **headers},
        )


@pytest.fixture
def owner() -> Caller:
    return Caller(keys.issue(ADMIN)[1])


def test_a_key_goes_through_its_whole_life(owner):
    made = owner("POST", "/keys", {"name": "ci", "team": "core", "models": ["claude-*"], "labels": {"a": "b"}})
    assert made.status_code == 201
    key, secret = made.json()["key"], made.json()["secret"]
    assert (key["team"], key["models"], key["prefix"]) == ("core", ["claude-*"], secret[: keys.PREFIX_CHARS])
    assert secret not in owner("GET", f"/keys/{key['id']}").content.decode()
    rotated = owner("POST", f"/keys/{key['id']}/rotate", {"overlap_hours": 0}).json()
    assert (keys.find_by_secret(secret), str(keys.find_by_secret(rotated["secret"]).pk)) == (None, key["id"])
    assert owner("PUT", f"/keys/{key['id']}", {"name": "ci 2"}).json()["name"] == "ci 2"
    assert owner("POST", f"/keys/{key['id']}/revoke").json()["revoked_at"]
    assert keys.find_by_secret(rotated["secret"]) is None
    assert [one["name"] for one in owner("GET", "/keys").json()] == ["automation", "ci 2"]


def test_a_budget_goes_through_its_whole_life(owner):
    key = owner("POST", "/keys", {"name": "ci"}).json()["key"]
    made = owner("POST", "/budgets", {"key_id": key["id"], "limit_usd": "5.000000001", "period": "daily"})
    assert (made.status_code, made.json()["limit_usd"]) == (201, "5.000000001")
    path = f"/budgets/{made.json()['id']}"
    assert owner("POST", f"{path}/top-up", {"usd": "2"}).json()["running_limit_usd"] == "7.000000001"
    assert owner("PUT", f"{path}/limit", {"limit_usd": 6}).json()["limit_usd"] == "6.00"
    assert owner("POST", f"{path}/reset-alert").json()["alerted_percent"] == 0
    assert owner("POST", f"{path}/end").status_code == 204
    assert owner("GET", path).status_code == 404


def test_a_team_goes_through_its_whole_life(owner):
    team = owner("POST", "/teams", {"name": "core"}).json()
    assert owner("POST", "/teams", {"name": "core"}).json()["error"]["code"] == "bad_team"
    assert owner("PUT", f"/teams/{team['id']}", {"name": "center"}).json()["name"] == "center"
    owner("POST", "/keys", {"name": "ci", "team": "center"})
    assert owner("DELETE", f"/teams/{team['id']}").json()["error"]["code"] == "bad_team"
    empty = owner("POST", "/teams", {"name": "empty"}).json()
    assert owner("DELETE", f"/teams/{empty['id']}").status_code == 204


def test_a_version_that_is_not_current_is_refused(owner):
    key = owner("POST", "/keys", {"name": "ci"}).json()["key"]
    assert owner("PUT", f"/keys/{key['id']}", {"name": "a"}, **{"If-Match": key["version"]}).status_code == 200
    second = owner("PUT", f"/keys/{key['id']}", {"name": "b"}, **{"If-Match": key["version"]})
    assert (second.status_code, second.json()["error"]["code"]) == (409, "changed_meanwhile")
    assert ApiKey.objects.get(pk=key["id"]).name == "a"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/keys", {"name": "a\r\nb"}),
        ("/keys", {"name": "x" * 101}),
        ("/keys", {"name": "a", "routes": ["no slash"]}),
        ("/keys", {"name": "a", "requests_per_minute": -1}),
        ("/keys", {"name": "a", "expires_at": "2030-01-01T00:00:00"}),
        ("/keys", {"name": 5}),
        ("/keys", {}),
        ("/budgets", {"limit_usd": "-1", "period": "daily"}),
        ("/budgets", {"limit_usd": "NaN", "period": "daily"}),
        ("/budgets", {"limit_usd": "1e30", "period": "daily"}),
        ("/budgets", {"limit_usd": "1", "period": "yearly"}),
        ("/budgets", {"limit_usd": "1", "period": "daily", "time_zone": "../etc/passwd"}),
    ],
)
def test_what_cannot_be_meant_is_said_to_be_so(owner, path, body):
    assert owner("POST", path, body).status_code == 422
    assert (ApiKey.objects.count(), Budget.objects.count()) == (1, 0)


def test_only_keys_that_may_manage_come_in():
    _, plain = keys.create("plain")
    revoked, gone = keys.issue(ADMIN)
    keys.revoke(str(revoked.pk))
    for secret in ("", plain, gone, "hr_" + "x" * 40, "nonsense"):
        assert Caller(secret)("GET", "/keys").status_code == 401, secret
    assert Caller(keys.issue(ADMIN)[1], header="authorization")("GET", "/keys").status_code == 200


def test_a_session_needs_its_token_to_change_something():
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(people.create("olga", "owner"), "django.contrib.auth.backends.ModelBackend")
    session = Caller(client=browser)
    assert session("GET", "/keys").status_code == 200
    assert session("POST", "/keys", {"name": "x"}).status_code in (401, 403)
    assert not ApiKey.objects.exists()


@pytest.fixture(params=["key", "session"])
def manager(request) -> Caller:
    team = make_team("payments")
    if request.param == "session":
        return Caller(client=logged_in("manager", team))
    return Caller(keys.issue(keys.Shape("automation", "payments", is_admin=True))[1])


def test_another_team_is_not_there(manager):
    theirs, _ = keys.create("theirs", "rivals")
    budget = limits.create(Decimal(5), "daily", key=theirs)
    missing = "00000000-0000-4000-8000-000000000000"
    for method, path, other, body in (
        ("GET", f"/keys/{theirs.pk}", f"/keys/{missing}", None),
        ("PUT", f"/keys/{theirs.pk}", f"/keys/{missing}", {"name": "mine"}),
        ("POST", f"/keys/{theirs.pk}/revoke", f"/keys/{missing}/revoke", None),
        ("POST", f"/keys/{theirs.pk}/rotate", f"/keys/{missing}/rotate", {}),
        ("GET", f"/budgets/{budget.pk}", "/budgets/999999", None),
        ("POST", f"/budgets/{budget.pk}/top-up", "/budgets/999999/top-up", {"usd": 1}),
        ("POST", f"/budgets/{budget.pk}/end", "/budgets/999999/end", None),
    ):
        known, unknown = manager(method, path, body), manager(method, other, body)
        assert (known.status_code, unknown.status_code) == (404, 404), path
        assert known.json()["error"]["code"] == unknown.json()["error"]["code"]
    assert manager("POST", "/keys", {"name": "x", "team": "rivals"}).status_code == 404
    assert (
        manager("POST", "/budgets", {"limit_usd": 1, "period": "daily", "team_id": theirs.team.pk}).status_code == 404
    )
    assert "theirs" not in manager("GET", "/keys").content.decode()
    assert [team["name"] for team in manager("GET", "/teams").json()] == ["payments"]
    assert manager("GET", "/budgets").json() == []


def test_managers_keep_to_their_team(manager):
    made = manager("POST", "/keys", {"name": "new"})
    assert made.json()["key"]["team"] == "payments"
    team = Team.objects.get(name="payments")
    assert manager("POST", "/budgets", {"limit_usd": 1, "period": "daily", "team_id": team.pk}).status_code == 201
    assert manager("POST", "/budgets", {"limit_usd": 1, "period": "daily"}).status_code == 403
    assert manager("POST", "/teams", {"name": "more"}).status_code == 403


def test_viewers_only_look():
    viewer = Caller(client=logged_in("viewer", make_team("payments")))
    assert viewer("GET", "/keys").status_code == 200
    assert viewer("POST", "/keys", {"name": "x"}).status_code == 403


def test_its_documentation_needs_nothing_from_elsewhere():
    page = logged_in().get("/admin/api/docs").content.decode()
    assert "/static/ninja/" in page
    assert "//cdn" not in page
    assert Client().get("/admin/api/docs").status_code == 302
