"""The dashboard as somebody sees it who opens it every morning."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect

from tests.live import answers, proxies
from tests.live.provider import Provider
from tests.live.proxies import Proxy

pytestmark = pytest.mark.browser

LONG_OUTPUT = "\n".join(f"2026-03-01 12:00:{n % 60:02} INFO worker {n % 7} is alive" for n in range(400))
NANO = 10**9
USAGE = {
    "input_tokens": 700,
    "output_tokens": 9,
    "cache_read_input_tokens": 0,
    "cache_creation_input_tokens": 0,
}


@pytest.fixture(scope="module")
def watched(_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    workspace = tmp_path_factory.mktemp("watched") / "workspace"
    with proxies.running(workspace, _provider.url, flags=("--log-messages", "--budget", "5")) as proxy:
        yield proxy


def ask(proxy: Proxy, provider: Provider, project: str = "shop") -> dict[str, object]:
    provider.say(answers.json_answer(answers.message("the answer", usage=USAGE)))
    call = {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "journalctl"}}
    messages = [
        {"role": "user", "content": "what is up?"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": LONG_OUTPUT}]},
    ]
    answer = proxies.post(
        f"{proxy.url}/v1/messages",
        json={"model": "claude-sonnet-4-5", "max_tokens": 5, "messages": messages},
        headers={"x-api-key": "k", "x-headroom-project": project},
    )
    assert answer.status_code == 200
    return proxy.row_of(answer)


def number(page: Page, figure: str) -> int:
    return int(page.locator(f'[data-figure="{figure}"]').get_attribute("data-number") or "")


def test_figures_move_without_a_reload(watched, provider, page):
    page.goto(f"{watched.url}/dashboard")
    expect(page.locator("html")).to_have_attribute("data-live", "on")
    page.evaluate("window.isTheSamePage = true")
    ask(watched, provider)
    spent = sum(row["cost_nano_usd"] for row in watched.rows())
    expect(page.locator('[data-figure="spent"]')).to_have_attribute("data-number", str(spent))
    saved = sum(row["saved_nano_usd"] or 0 for row in watched.rows())
    assert saved > 0
    assert (number(page, "saved"), number(page, "would_have_been")) == (saved, spent + saved)
    assert page.evaluate("window.isTheSamePage")


def test_the_figures_of_all_time_are_not_taken_for_the_sessions(provider, tmp_path, page):
    with proxies.running(tmp_path / "workspace", provider.url) as proxy:
        spent = ask(proxy, provider)["cost_nano_usd"]
        proxy.stop()
        proxy.start()
        page.goto(f"{proxy.url}/dashboard")
        expect(page.locator("html")).to_have_attribute("data-live", "on")
        assert number(page, "spent") == 0
        said: list[object] = []
        page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: said.append(frame)))
        page.goto(f"{proxy.url}/dashboard/lifetime")
        while not said:
            page.wait_for_timeout(20)
        assert number(page, "spent") == spent
        page.goto("about:blank")


def test_a_request_opens_to_what_was_sent_instead_of_what(watched, provider, page):
    row = ask(watched, provider)
    page.goto(f"{watched.url}/dashboard/requests")
    page.locator("tbody a").first.click()
    expect(page.locator("h1")).to_have_text(str(row["model_answered"]))
    expect(page.locator(".diff .out").first).to_contain_text("INFO worker")
    expect(page.locator(".diff .in").first).to_be_visible()
    expect(page.locator(".waterfall")).to_be_visible()


def test_the_export_of_what_is_shown_sums_to_the_ledger(watched, provider, page):
    ask(watched, provider, project="=1+1")
    page.goto(f"{watched.url}/dashboard/requests")
    page.get_by_label("Project").fill("=1+1")
    page.get_by_role("button", name="Show").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV of these").click()
    with download.value.path().open(newline="") as file:
        rows = list(csv.DictReader(file))
    ours = watched.rows("project = ?", "=1+1")
    assert {row["project"] for row in rows} == {"'=1+1"}
    assert sum(Decimal(row["cost_usd"]) for row in rows) * NANO == sum(row["cost_nano_usd"] for row in ours)


@pytest.mark.parametrize("path", ["", "/lifetime", "/history", "/requests", "/cache", "/keys"])
def test_a_telephone_shows_all_of_it_and_the_keyboard_reaches_it(watched, provider, page, path):
    page.set_viewport_size({"width": 360, "height": 800})
    page.goto(f"{watched.url}/dashboard{path}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the content")


def test_a_figure_says_what_it_means_to_whoever_asks(watched, page):
    page.goto(f"{watched.url}/dashboard")
    meaning = page.locator("#bill-saved-means")
    expect(meaning).to_be_hidden()
    page.locator('[aria-describedby="bill-saved-means"]').focus()
    expect(meaning).to_be_visible()


def test_an_empty_dashboard_names_the_next_command(_provider, tmp_path, page):
    with proxies.running(tmp_path / "workspace", _provider.url) as fresh:
        page.goto(f"{fresh.url}/dashboard")
        expect(page.locator(".empty")).to_contain_text(f"ANTHROPIC_BASE_URL={fresh.url} claude")
        expect(page.locator("html")).to_have_attribute(
            "data-live", "on"
        )  # it would complain of a proxy that goes meanwhile
        page.goto("about:blank")
