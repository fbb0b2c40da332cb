"""Budgets as clients meet them: over HTTP, on every route that costs money, through restarts and kills."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import anthropic
import httpx
import openai
import psycopg
import pytest

from budgets import keys
from tests.live import answers, proxies
from tests.live.provider import Provider, Received
from tests.live.proxies import ROOT, Proxy, eventually
from tests.savings.databases import connected

PROMPT = [{"role": "user", "content": "hi"}]
BODIES: dict[str, dict[str, Any]] = {
    "/v1/messages": {"model": "claude-sonnet-4-5", "max_tokens": 100, "messages": PROMPT},
    "/v1/chat/completions": {"model": "gpt-4o", "max_tokens": 100, "messages": PROMPT},
    "/v1/responses": {"model": "gpt-4o", "max_output_tokens": 100, "input": PROMPT},
    "/v1/embeddings": {"model": "text-embedding-3-small", "input": "hi"},
}
DEAR = {"input_tokens": 1_000_000, "output_tokens": 0, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
STRICT = {"HEADROOM_BUDGET_POLICY": "strict"}


def periods(proxy: Proxy) -> list[tuple[int, int, int]]:
    """(spent, held, leased) of every account."""
    query = "SELECT spent_nano_usd, held_nano_usd, leased_nano_usd FROM budgets_budgetperiod ORDER BY id"
    if url := proxy.env.get("HEADROOM_DATABASE_URL"):
        with psycopg.connect(url) as connection:
            return connection.execute(query).fetchall()
    with closing(sqlite3.connect(proxy.workspace / "headroom.sqlite3", timeout=10)) as connection:
        return connection.execute(query).fetchall()


def headroom(proxy: Proxy, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command beside the running proxy."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=ROOT, env=proxy.env, capture_output=True, text=True, timeout=120
    )


def ask(proxy: Proxy, path: str, **headers: str) -> httpx.Response:
    return proxies.post(f"{proxy.url}{path}", json=BODIES.get(path, {"x": 1}), headers=headers)


@pytest.fixture(scope="module")
def spent(_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy that has nothing to spend."""
    workspace = tmp_path_factory.mktemp("spent") / "workspace"
    with proxies.running(workspace, _provider.url, flags=("--budget", "0")) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def spent_for_ever(_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """The same, strictly, and it never resets."""
    workspace = tmp_path_factory.mktemp("spent") / "workspace"
    flags = ("--budget", "0", "--budget-period", "total")
    with proxies.running(workspace, _provider.url, flags=flags, env=STRICT) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def limited(_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy with five dollars a day, of which nothing is spent here."""
    workspace = tmp_path_factory.mktemp("limited") / "workspace"
    with proxies.running(workspace, _provider.url, flags=("--budget", "5")) as proxy:
        yield proxy


@pytest.mark.parametrize("path", [*BODIES, "/chat/completions", "/embeddings", "/p/some/v1/messages"])
def test_a_spent_budget_stops_every_billable_route(path: str, spent: Proxy, provider: Provider) -> None:
    answer = proxies.post(
        f"{spent.url}{path}",
        json=next(body for known, body in BODIES.items() if known.endswith(path[-8:])),
    )
    assert answer.status_code == 429
    assert answer.headers["x-should-retry"] == "false"
    assert 0 < int(answer.headers["retry-after"]) <= 86_401
    error = answer.json()["error"]
    assert "this proxy spent $0.00 of $0.00 (daily); resets 20" in error["message"]
    assert error["type"] == ("rate_limit_error" if "messages" in path else "insufficient_quota")


def test_what_costs_nothing_still_passes_when_all_is_spent(spent_for_ever: Proxy, provider: Provider) -> None:
    assert proxies.get(f"{spent_for_ever.v1}/models").status_code == 200
    assert ask(spent_for_ever, "/v1/messages/count_tokens").status_code == 200
    assert ask(spent_for_ever, "/v1/files").status_code == 200
    assert len(provider.requests) == 3


@pytest.mark.parametrize("path", ["/v1/messages/batches", "/v1/batches", "/v1/images/generations", "/v1/completions"])
def test_routes_whose_price_nobody_knows_are_refused_to_callers_with_a_budget(
    path: str, limited: Proxy, provider: Provider
) -> None:
    answer = ask(limited, path)
    assert (answer.status_code, answer.headers["x-headroom-error"]) == (403, "no_price")
    assert f"POST {path} has no known price" in answer.json()["error"]["message"]
    assert ask(limited, "/v1/something/new").status_code == 200
    assert [one.path for one in provider.requests] == ["/v1/something/new"]


def test_the_real_sdks_see_it_and_do_not_try_again(spent_for_ever: Proxy, provider: Provider) -> None:
    with (
        anthropic.Anthropic(base_url=spent_for_ever.url, api_key="sk-ant-x", max_retries=5) as client,
        pytest.raises(anthropic.RateLimitError, match="it does not reset") as refusal,
    ):
        client.messages.create(model="claude-sonnet-5", max_tokens=10, messages=[{"role": "user", "content": "hi"}])
    assert "retry-after" not in refusal.value.response.headers
    sent: list[httpx.Request] = []
    with (
        httpx.Client(**proxies.UNENCRYPTED, event_hooks={"request": [sent.append]}) as client_of_chat,
        openai.OpenAI(base_url=spent_for_ever.v1, api_key="x", max_retries=5, http_client=client_of_chat) as chat,
        pytest.raises(openai.RateLimitError) as refused,
    ):
        chat.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
    assert refused.value.code == "budget_spent"
    assert len(sent) == 1
    assert provider.requests == []


def test_a_normal_budget_stops_once_what_was_billed_reaches_it(
    start_proxy: Callable[..., Proxy], provider: Provider
) -> None:
    proxy = start_proxy("--budget", "5")
    provider.script = lambda _: answers.json_answer(answers.message(usage=DEAR))  # $3 and a tier above: $6
    assert ask(proxy, "/v1/messages").status_code == 200
    eventually(lambda: periods(proxy), lambda rows: rows[0][0] > 0)
    eventually(lambda: ask(proxy, "/v1/messages").status_code, lambda status: status == 429)
    listed = json.loads(headroom(proxy, "budget", "list", "--json").stdout)
    assert listed[0]["spent_usd"] >= 3 and listed[0]["limit_usd"] == 5
    assert headroom(proxy, "budget", "set", str(listed[0]["id"]), "100").returncode == 0
    eventually(lambda: ask(proxy, "/v1/messages").status_code, lambda status: status == 200)
    # Lowered below what is spent, it lets nothing more pass, and nothing that was spent is forgotten.
    (before,) = eventually(lambda: periods(proxy), lambda rows: rows[0][0] > listed[0]["spent_usd"] * 1e9)
    assert headroom(proxy, "budget", "set", str(listed[0]["id"]), "1").returncode == 0
    refused = eventually(lambda: ask(proxy, "/v1/messages"), lambda answer: answer.status_code == 429)
    assert re.search(r"spent \$\d+\.\d\d of \$1\.00", refused.json()["error"]["message"])
    assert periods(proxy)[0][0] >= before[0]


def test_budgets_outlast_a_restart(start_proxy: Callable[..., Proxy], provider: Provider) -> None:
    proxy = start_proxy("--budget", "5", "--budget-period", "total")
    provider.script = lambda _: answers.json_answer(answers.message(usage=DEAR))
    assert ask(proxy, "/v1/messages").status_code == 200
    proxy.stop()
    proxy.start()
    assert ask(proxy, "/v1/messages").status_code == 429
    (spent, held, leased) = periods(proxy)[0]
    assert spent >= 3_000_000_000 and (held, leased) == (0, 0)


def test_a_key_and_its_team_have_budgets_of_their_own(
    start_proxy: Callable[..., Proxy], django_db_blocker: Any
) -> None:
    proxy = start_proxy()
    with django_db_blocker.unblock(), connected(f"sqlite:///{proxy.workspace / proxies.DATABASE}"):
        secrets = {name: keys.create(name, team)[1] for name, team in (("a", "core"), ("b", "core"), ("c", "other"))}
    assert headroom(proxy, "budget", "create", "0", "--key", "a").returncode == 0

    def statuses() -> list[int]:
        return [
            ask(proxy, "/v1/messages", **{"x-headroom-key": secrets[name], "x-api-key": "sk-ant-x"}).status_code
            for name in "abc"
        ]

    eventually(statuses, lambda seen: seen == [429, 200, 200])
    assert headroom(proxy, "budget", "create", "0", "--team", "core", "--period", "weekly").returncode == 0
    eventually(statuses, lambda seen: seen == [429, 429, 200])


def test_two_hundred_at_once_against_a_strict_budget_for_fifty(
    start_proxy: Callable[..., Proxy], provider: Provider
) -> None:
    body = json.dumps(BODIES["/v1/messages"]).encode()
    bound = (len(body) + 4096) * 6000 + 100 * 15_000
    proxy = start_proxy("--budget", f"{50 * bound / 1e9:.9f}", **STRICT)

    def dearest(received: Received) -> answers.Answer:
        usage = {"input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 100}
        written = {"ephemeral_1h_input_tokens": len(received.body) + 4096, "ephemeral_5m_input_tokens": 0}
        total = {**usage, "cache_creation_input_tokens": len(received.body) + 4096, "cache_creation": written}
        return answers.json_answer(answers.message(usage=total))

    provider.script = dearest
    with ThreadPoolExecutor(40) as threads, httpx.Client(**proxies.UNENCRYPTED) as client:
        statuses = list(
            threads.map(lambda _: client.post(f"{proxy.v1}/messages", content=body).status_code, range(200))
        )
    assert (statuses.count(200), statuses.count(429)) == (50, 150)
    assert eventually(lambda: periods(proxy), lambda rows: rows[0][0] == 50 * bound) == [(50 * bound, 0, 0)]


@pytest.mark.crash
def test_a_killed_proxy_leaves_no_hold_behind(start_proxy: Callable[..., Proxy], provider: Provider) -> None:
    proxy = start_proxy("--budget", "1000", **STRICT)
    assert ask(proxy, "/v1/messages").status_code == 200
    provider.script = lambda _: [answers.FOREVER]
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(ask, proxy, "/v1/messages") for _ in range(4)]
        provider.wait_until(lambda: len(provider.requests) == 5)
        assert sum(periods(proxy)[0][1:]) > 0
        proxy.kill()
        assert all(isinstance(one.exception(), httpx.HTTPError) for one in asked)
    proxy.start()
    eventually(lambda: proxy.rows(), lambda rows: len(rows) == 5)
    total = sum(row["cost_nano_usd"] or 0 for row in proxy.rows())
    assert eventually(lambda: periods(proxy), lambda rows: rows[0][1:] == (0, 0))[0][0] == total
