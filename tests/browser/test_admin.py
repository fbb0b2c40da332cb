"""A day in the admin: a key is issued, used, watched and revoked; a manager keeps to the team."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from playwright.sync_api import Page, expect

from budgets import keys
from tests.budgets.test_live_keys import headroom
from tests.live import proxies
from tests.live.provider import Provider
from tests.live.proxies import DATABASE, Proxy
from tests.savings.databases import connected

pytestmark = pytest.mark.browser
ASK = {"model": "claude-sonnet-4-6", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
def house(_provider: Provider, tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any) -> Iterator[Proxy]:
    """A proxy with a key of one team and somebody who manages another."""
    workspace = tmp_path_factory.mktemp("proxy") / "workspace"
    with proxies.running(workspace, _provider.url) as proxy:
        proxy.env["HEADROOM_PORT"] = str(proxy.port)
        with django_db_blocker.unblock(), connected(f"sqlite:///{workspace / DATABASE}"):
            keys.create("theirs", "rivals")
            keys.create("ours", "payments")
        yield proxy


def enter(page: Page, link: str) -> None:
    page.goto(link)
    page.get_by_role("button", name="Log in as").click()
    page.wait_for_url("**/dashboard")


def client(house: Proxy, secret: str) -> anthropic.Anthropic:
    headers = {"x-headroom-key": secret}
    return anthropic.Anthropic(base_url=house.url, api_key="sk-ant-test", default_headers=headers, max_retries=0)


def test_a_key_is_issued_used_watched_and_revoked(house: Proxy, provider: Provider, page: Page) -> None:
    enter(page, json.loads(headroom(house, "dashboard", "--json"))["url"])
    page.goto(f"{house.url}/admin/budgets/apikey/add/")
    page.get_by_label("Name").fill("laptop")
    page.get_by_text("Add another Budget").click()
    page.locator("#id_budgets-0-limit_usd").fill("5")
    page.locator("#id_budgets-0-period").select_option("daily")
    page.get_by_role("button", name="Save", exact=True).click()
    secret = page.locator("#secret").inner_text()
    assert secret.startswith("hr_")

    with client(house, secret) as sdk:
        assert proxies.eventually(lambda: _asks(sdk), bool)
        proxies.eventually(lambda: _balance(house, page), re.compile(r"\$0\.0*[1-9]\d* of \$5\.00").match)

        page.goto(f"{house.url}/admin/budgets/apikey/")
        page.get_by_role("link", name="laptop").click()
        assert secret not in page.content()
        page.get_by_role("button", name="Revoke").click()
        page.get_by_role("button", name="Revoke").click()
        expect(page.get_by_text("laptop is revoked")).to_be_visible()
        proxies.eventually(lambda: _asks(sdk), lambda may: not may)
    assert secret not in house.output


def _balance(house: Proxy, page: Page) -> str:
    page.goto(f"{house.url}/admin/budgets/budget/")
    return page.locator("tr", has_text="laptop").locator(".balance span").inner_text()


def _asks(sdk: anthropic.Anthropic) -> bool:
    """Whether a question is answered; False where the key is refused."""
    try:
        sdk.messages.create(**ASK)  # type: ignore[call-overload]
    except anthropic.AuthenticationError:
        return False
    return True


def test_the_second_of_two_who_save_is_told_and_changes_nothing(house: Proxy, page: Page) -> None:
    enter(page, json.loads(headroom(house, "dashboard", "--json"))["url"])
    made = json.loads(headroom(house, "key", "create", "shared", "--json"))
    other = page.context.new_page()
    for tab in (page, other):
        tab.goto(f"{house.url}/admin/budgets/apikey/{made['id']}/change/")
    for tab, name in ((page, "first"), (other, "second")):
        tab.get_by_label("Name").fill(name)
        tab.get_by_role("button", name="Save", exact=True).click()
    expect(other.get_by_text("changed by somebody else")).to_be_visible()
    names = {row["name"] for row in json.loads(headroom(house, "key", "list", "--json"))}
    assert "first" in names and not names & {"second", "shared"}


def test_a_manager_sees_the_own_team_and_no_other(house: Proxy, page: Page) -> None:
    made = headroom(house, "user", "create", "mara", "--role", "manager", "--team", "payments", "--json")
    enter(page, json.loads(made)["login_url"])
    rows = {row["name"]: row["id"] for row in json.loads(headroom(house, "key", "list", "--json"))}
    page.goto(f"{house.url}/admin/")
    page.get_by_role("link", name="Keys", exact=True).click()
    expect(page.get_by_role("link", name="ours")).to_be_visible()
    assert "theirs" not in page.content() and "rivals" not in page.content()
    answer = page.request.get(f"{house.url}/admin/budgets/apikey/{rows['theirs']}/change/")
    assert answer.status == 404
    assert "theirs" not in answer.text()
    page.get_by_title("Light or dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.get_by_role("button", name="Log out").click()
    page.goto(f"{house.url}/admin/")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
