"""`/stats` and `/stats-history` of a running proxy say what its ledger says, to the nano-dollar."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from contextlib import closing
from decimal import Decimal
from typing import Any

import httpx
import pytest
from django.conf import settings

from savings import rollup_sql
from tests.live import answers, proxies
from tests.live.provider import Provider
from tests.live.proxies import ROOT, Proxy, eventually

MESSAGES = json.dumps({"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]})


def ask(proxy: Proxy, provider: Provider, http: httpx.Client, count: int, **headers: str) -> None:
    for number in range(count):
        usage = {"input_tokens": 100 + number, "output_tokens": 7, "cache_read_input_tokens": 1000 * number}
        provider.say(answers.json_answer(answers.message(usage=usage)))
        http.post(f"{proxy.v1}/messages", content=MESSAGES, headers={"content-type": "application/json", **headers})


def stats(proxy: Proxy, http: httpx.Client, **headers: str) -> dict[str, Any]:
    found: dict[str, Any] = http.get(f"{proxy.url}/stats", headers=headers).json()
    return found


def manage(proxy: Proxy, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=ROOT, env=proxy.env, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_figures_say_what_the_ledger_says_and_survive_a_kill(start_proxy, provider, http):
    proxy = start_proxy()
    ask(proxy, provider, http, 5, **{"x-headroom-project": "=payments"})
    rows = eventually(proxy.rows, lambda rows: len(rows) == 5)
    cost = sum(row["cost_nano_usd"] for row in rows)
    found = stats(proxy, http)
    assert found["requests"]["total"] == found["persistent_savings"]["lifetime"]["requests"] == 5
    assert found["cost"]["cost_nano_usd"] == cost > 0
    assert found["requests"]["by_model"] == {"claude-sonnet-4-5-20250929": 5}
    assert found["prefix_cache"]["totals"]["cache_read_tokens"] == 10_000
    assert found["tokens"]["output"] == 35
    assert len(found["recent_requests"]) == 5
    # 10,000 tokens at a tenth of three dollars per million: the provider took 2.7 dollars per million off.
    assert found["cost"]["cache_savings_usd"] == pytest.approx(0.027)
    proxy.kill()
    proxy.start()
    after = eventually(lambda: stats(proxy, http), lambda found: found["requests"]["total"] == 0)
    assert after["persistent_savings"]["lifetime"]["cost_nano_usd"] == cost
    manage(proxy, "rollups")
    for series in ("hourly", "daily", "weekly", "monthly"):
        answer = http.get(f"{proxy.url}/stats-history", params={"format": "csv", "series": series})
        assert answer.headers["content-disposition"] == f'attachment; filename="headroom-stats-history-{series}.csv"'
        table = list(csv.DictReader(io.StringIO(answer.text)))
        assert sum(round(float(row["total_cost_usd_delta"]) * 1e9) for row in table) == cost
    whole = http.get(f"{proxy.url}/stats-history").json()
    assert whole["lifetime"]["cost_nano_usd"] == cost
    assert whole["series"]["daily"][-1]["total_cost_usd"] == pytest.approx(cost / 1e9)
    assert whole["history"][-1]["total_cost_usd"] == pytest.approx(cost / 1e9)


@pytest.mark.parametrize(
    ("query", "name", "message"),
    [
        ("format=xml", "format", "Input should be 'json' or 'csv'"),
        ("series=yearly", "series", "Input should be 'history', 'hourly', 'daily', 'weekly' or 'monthly'"),
        ("history_mode=", "history_mode", "Input should be 'compact', 'full' or 'none'"),
        ("start=tomorrow", "start", "Input should be a date or time such as 2026-03-04 or 2026-03-04T12:00:00Z"),
        ("start=2026-03-04&end=2026-03-03", "end", "Input should be a time after start"),
    ],
)
def test_a_bad_parameter_is_named_with_its_choices(proxy, http, query, name, message):
    answer = http.get(f"{proxy.url}/stats-history?{query}")
    assert answer.status_code == 422
    assert [(one["loc"], one["msg"]) for one in answer.json()["detail"]] == [(["query", name], message)]


def test_a_time_in_the_future_has_no_figures_and_every_table_a_header(proxy, http):
    later = {"format": "csv", "start": "2999-01-01"}
    for series in ("history", "hourly", "monthly"):
        text = http.get(f"{proxy.url}/stats-history", params={**later, "series": series}).text
        assert len(text.splitlines()) == 1
        assert text.startswith("timestamp,")
    none = http.get(f"{proxy.url}/stats-history?history_mode=none").json()
    assert (none["history"], none["history_summary"]["mode"]) == ([], "none")


def test_of_countless_projects_the_dearest_have_names_everywhere_and_the_sums_are_whole(start_proxy, http):
    proxy = start_proxy()
    with closing(proxies.connect_writing(proxy.workspace / proxies.DATABASE)) as database:
        database.execute(PROJECTS, [COUNTLESS])
    manage(proxy, "rollups", "--backfill")
    with closing(proxies.connect_writing(proxy.workspace / proxies.DATABASE)) as database:
        for table in ("savings_hourlyrollup", "savings_dailyrollup"):
            ((names, calls),) = database.execute(f"SELECT COUNT(DISTINCT project), SUM(calls) FROM {table}")  # noqa: S608
            assert names in (rollup_sql.MAX_GROUPS, rollup_sql.MAX_GROUPS + 1)
            assert calls == COUNTLESS
    whole = COUNTLESS * (COUNTLESS + 1) // 2
    for document in (stats(proxy, http)["persistent_savings"], http.get(f"{proxy.url}/stats-history").json()):
        projects = document["projects"]
        assert len(projects) == document["projects_limit"] + 1
        assert next(iter(projects)) == f"project-{COUNTLESS}"
        assert sum(one["cost_nano_usd"] for one in projects.values()) == whole == document["lifetime"]["cost_nano_usd"]
    page = http.get(f"{proxy.url}/dashboard/lifetime").text
    assert f"project-{COUNTLESS}<" in page and f"project-{COUNTLESS - 100}<" not in page
    assert "other" in page.partition('id="by-project"')[2].partition("</table>")[0]
    table = http.get(f"{proxy.url}/stats-history", params={"format": "csv", "series": "hourly"}).text
    assert sum(Decimal(row["total_cost_usd_delta"]) for row in csv.DictReader(io.StringIO(table))) * 10**9 == whole
    assert "project-" not in http.get(f"{proxy.url}/metrics").text


COUNTLESS = 20_000
PROJECTS = """
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
    INSERT INTO savings_ledgerentry (id, request_id, attempt, provider, upstream, route, model_asked, model_answered,
        session, agent, project, "user", owner, key_id, key_label, team, origin, conversation, is_observed, is_streaming,
        status, error, provider_request_id, basis, reason, transforms, savings_basis, cache_outcome, price_source,
        price_version, cost_nano_usd, admitted_at, settled_at)
    SELECT lower(hex(randomblob(16))), lower(hex(randomblob(16))), 0, 'anthropic', '', '', 'm', 'm', '', '',
        'project-' || n, '', 'local', '', '', '', 'client', '', 0, 0, 'complete', '', '', 'measured', '', '[]', '', '',
        'override', '', n, '2026-03-01 12:00:00', '2026-03-01 12:00:01'
    FROM numbers
"""


def test_where_keys_are_required_figures_need_one_and_hide_what_others_asked(start_proxy, provider, http):
    key = "hr_" + "k" * 40
    proxy = start_proxy("--require-key", HEADROOM_BOOTSTRAP_KEY=key)
    assert http.get(f"{proxy.url}/stats").status_code == 401
    assert (
        http.get(f"{proxy.url}/stats-history", headers={"cookie": f"{settings.SESSION_COOKIE_NAME}=abc"}).status_code
        == 401
    )
    found = stats(proxy, http, authorization=f"Bearer {key}")
    assert found["requests"]["total"] == 0
    assert not {"recent_requests", "config"} & set(found)
    cookie = logged_in(proxy)
    assert "recent_requests" in stats(proxy, http, cookie=f"{settings.SESSION_COOKIE_NAME}={cookie}")


def logged_in(proxy: Proxy) -> str:
    """A session of somebody who may see the pages."""
    return manage(
        proxy,
        "shell",
        "--no-imports",
        "--command",
        "from django.contrib.auth import get_user_model as m, login; from django.http import HttpRequest as R;"
        "from django.contrib.sessions.backends.db import SessionStore as S;"
        "u = m().objects.create_superuser('root', password='x'); r = R(); r.session = S();"
        "login(r, u, 'django.contrib.auth.backends.ModelBackend'); r.session.save(); print(r.session.session_key)",
    ).strip()
