"""Every page, for those who see little, hear it read aloud, use a keyboard or a telephone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import axe_playwright_python
import httpx
import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from budgets import alerts, keys, people
from proxy.learning.models import FormCount, PolicyVersion
from savings import rollups
from tests.browser.test_admin import enter
from tests.browser.test_dashboard import LONG_OUTPUT, USAGE
from tests.budgets.test_live_keys import headroom
from tests.live import answers, proxies
from tests.live.provider import Provider
from tests.live.proxies import DATABASE, Proxy, eventually
from tests.proxy.admin.test_conversations import make_epoch
from tests.savings.databases import connected

pytestmark = pytest.mark.browser

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
CLIPPED = """() => [...document.querySelectorAll("input, select, textarea, button, .button")].filter(element => {
    const { right, width } = element.getBoundingClientRect();
    const scrolls = box => box && (/auto|scroll/.test(getComputedStyle(box).overflowX) || scrolls(box.parentElement));
    return width > 1 && right > innerWidth && !scrolls(element.parentElement);
}).map(element => element.outerHTML.slice(0, 200))"""
"""What one would have to reach for beyond the edge of the screen, where nothing can be moved."""
RUN = "async rules => (await axe.run(document, { resultTypes: ['violations'], ...rules })).violations"
GRAVE = {"serious", "critical"}
TURNS = 3
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
TELEPHONE: ViewportSize = {"width": 360, "height": 800}

DASHBOARD = ("", "/lifetime", "/history", "/requests", "/requests?project=nobody", "/cache", "/keys")
LISTS = (
    *("budgets/apikey", "budgets/team", "auth/user", "budgets/budget", "budgets/upstreamcredential"),
    *("budgets/alert", "budgets/change", "savings/priceoverride", "savings/ledgerentry"),
    *("proxy/epochrecord", "proxy/decision", "proxy/policyversion"),
)
WITH_ROWS = ("budgets/apikey", "budgets/budget", "savings/ledgerentry", "proxy/epochrecord", "proxy/policyversion")
FORMS = ("budgets/apikey", "budgets/budget", "savings/priceoverride")
HOSTILE = "<img src=x onerror=alert(1)>'; DROP TABLE budgets_apikey; --"


@pytest.fixture(scope="module")
def house(_provider: Provider, tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any) -> Iterator[Proxy]:
    """A proxy with something on each of its pages."""
    workspace = tmp_path_factory.mktemp("proxy") / "workspace"
    with proxies.running(workspace, _provider.url, flags=("--log-messages", "--budget", "5")) as proxy:
        proxy.env["HEADROOM_PORT"] = str(proxy.port)
        converse(proxy, _provider)
        with django_db_blocker.unblock(), connected(f"sqlite:///{workspace / DATABASE}"):
            furnish()
        yield proxy


def converse(proxy: Proxy, provider: Provider) -> None:
    """A conversation of some turns, each with a long result, of which the second one read nothing."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "what is up?"}]
    for turn in range(TURNS):
        call = {"type": "tool_use", "id": f"t{turn}", "name": "Bash", "input": {"command": f"journalctl {turn}"}}
        result = {"type": "tool_result", "tool_use_id": f"t{turn}", "content": f"{turn}\n{LONG_OUTPUT}"}
        messages += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
        usage = {**USAGE, "cache_creation_input_tokens": 2000, "cache_read_input_tokens": 900 * (turn % 2)}
        provider.say(answers.json_answer(answers.message("the answer", usage=usage)))
        body = {"model": "claude-sonnet-4-5", "max_tokens": 5, "messages": messages}
        headers = {"x-api-key": "k", "x-headroom-project": HOSTILE}
        httpx.post(f"{proxy.v1}/messages", json=body, headers=headers, trust_env=False).raise_for_status()
    eventually(proxy.rows, lambda rows: len(rows) == TURNS)


def furnish() -> None:
    """What people make, and what takes days to come about by itself."""
    now = datetime.now(UTC)
    key, _ = keys.create(HOSTILE, "payments")
    people.create("vera", "viewer", key.team)
    make_epoch("paid")
    make_epoch("early", last_turn=12, trigger="cold")
    alerts.store(alerts.event("unpriced_model", "calls of no-such-model have no price"))
    evidence = {
        "rule": ["Bash", "log", "balanced"],
        "why": "asked",
        "count": 30,
        "total": 90,
        "low": 0.25,
        "high": 0.43,
    }
    PolicyVersion.objects.create(
        rules=[["Bash", "log", "balanced"]],
        evidence=[{**evidence, "usual": 0.1, "parts": {"head": 12}, "saved_tokens": 40_000}],
        created_at=now,
    )
    counts = dict.fromkeys(("files", "reread", "whole", "head", "middle", "tail", "errors", "search"), 3)
    FormCount.objects.create(
        day=now.date(),
        tool="Bash",
        form="log",
        level="balanced",
        sent=90,
        asked=30,
        tokens_before=9000,
        tokens_after=900,
        **counts,
    )
    rollups.roll()


@pytest.fixture(scope="module")
def owners_page(house: Proxy, browser: Browser) -> Iterator[Page]:
    """An owner's page. Opening one and reading axe-core costs more than looking a page over, so it is the same one for all tests."""
    context = browser.new_context(reduced_motion="reduce")
    context.add_init_script(AXE)
    page = context.new_page()
    enter(page, json.loads(headroom(house, "dashboard", "--json"))["url"])
    yield page
    context.close()


def findings(page: Page, *rules: str) -> list[str]:
    """What axe-core finds grave: with all of its usual rules, or with these."""
    asked = {"runOnly": {"type": "rule", "values": rules}} if rules else {}
    return [
        f"{found['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for found in page.evaluate(RUN, asked)
        if found["impact"] in GRAVE
        for node in found["nodes"]
    ]


def opened(page: Page, url: str) -> Page:
    answer = page.goto(url)
    assert answer is not None and answer.ok, url
    return page


def look_over(page: Page) -> None:
    """Find fault with an open page: as it is, and in the dark on a telephone."""
    show(page, DESKTOP, "light")
    assert findings(page) == []
    assert page.locator("img[src=x]").count() == 0
    show(page, TELEPHONE, "dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate(CLIPPED) == []
    assert findings(page, "color-contrast", "target-size", "link-name", "button-name") == []


def show(page: Page, screen: ViewportSize, color_scheme: Literal["light", "dark"]) -> None:
    page.emulate_media(color_scheme=color_scheme)
    page.set_viewport_size(screen)
    page.wait_for_function("width => innerWidth === width", arg=screen["width"])


@pytest.fixture
def page(owners_page: Page) -> Page:
    """The page as somebody has it who sits at a desk, by day."""
    show(owners_page, DESKTOP, "light")
    owners_page.mouse.move(0, 0)
    return owners_page


@pytest.mark.parametrize("path", DASHBOARD)
def test_dashboard(house: Proxy, page: Page, path: str) -> None:
    look_over(opened(page, f"{house.url}/dashboard{path}"))


def test_a_request_and_its_conversation(house: Proxy, page: Page) -> None:
    page.goto(f"{house.url}/dashboard/requests")
    page.locator("tbody a").first.click()
    expect(page.locator(".waterfall")).to_be_visible()
    look_over(page)
    show(page, DESKTOP, "light")
    page.goto(f"{house.url}/dashboard/cache")
    page.locator("#conversations ~ .table tbody a").first.click()
    expect(page.locator(".turns")).to_be_visible()
    look_over(page)
    its_page = page.url
    page.get_by_role("link", name="Its decisions").click()
    expect(page.locator("#result_list tbody tr").nth(TURNS - 1)).to_be_visible()
    page.locator("#result_list .field-its_conversation a").first.click()
    assert page.url == its_page


def test_a_series_of_one_time_stands_in_the_middle(house: Proxy, page: Page) -> None:
    opened(page, f"{house.url}/dashboard/lifetime")
    plot = page.locator(".u-over").bounding_box()
    canvas = page.locator("canvas").bounding_box()
    assert plot and canvas
    x, y = plot["x"] + plot["width"] / 2 - canvas["x"], plot["y"] + plot["height"] - 3 - canvas["y"]
    pixel = "([x, y]) => [...document.querySelector('canvas').getContext('2d').getImageData(x, y, 1, 1).data]"
    filled = page.evaluate(pixel, [x, y])
    assert filled[3] == 255 and filled != page.evaluate(pixel, [x - plot["width"] / 3, y])


@pytest.mark.parametrize("name", ["", *LISTS])
def test_lists_of_the_admin(house: Proxy, page: Page, name: str) -> None:
    look_over(opened(page, f"{house.url}/admin/{name and name + '/'}"))


@pytest.mark.parametrize("name", FORMS)
def test_forms_of_the_admin(house: Proxy, page: Page, name: str) -> None:
    look_over(opened(page, f"{house.url}/admin/{name}/add/"))


@pytest.mark.parametrize("name", WITH_ROWS)
def test_rows_of_the_admin(house: Proxy, page: Page, name: str) -> None:
    page.goto(f"{house.url}/admin/{name}/")
    page.locator("#result_list tbody a").first.click()
    look_over(page)
