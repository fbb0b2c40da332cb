"""How long the admin's pages take when the ledger is long: a PostgreSQL database of its own, filled and thrown away.

    python -m benchmarks.admin_pages --rows 1000000

Times are those of the whole request in one process, templates included, without the network. The first look at each page
is thrown away; of the following, the median and the slowest are shown, and how much processor time one look took, here and
in PostgreSQL. Exit code 1 says that one was over the bound.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import tempfile
import time
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import click
import psycopg

from benchmarks.rig import tables

KEYS, TEAMS, LOOKS = 200, 20, 5
FILL = """
INSERT INTO savings_ledgerentry (
    id, request_id, attempt, provider, upstream, route, model_asked, model_answered, session, agent, project, "user", owner,
    key_id, key_label, team, origin, conversation, is_observed, is_streaming, status, http_status, error,
    provider_request_id, input_fresh_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens,
    output_tokens, reasoning_tokens, basis, tokens_before, tokens_after, tokens_saved, reason, transforms, cost_nano_usd,
    saved_nano_usd, savings_basis, cache_outcome, price_source, price_version, latency_ms, overhead_ms, ttfb_ms,
    admitted_at, settled_at
)
SELECT gen_random_uuid(), gen_random_uuid(), 1, 'anthropic', 'https://api.anthropic.com', '/v1/messages',
    'claude-' || n %% 40, 'claude-' || n %% 40, 'session-' || n / 200, 'claude-cli', '', '', 'team:' || k.team_id,
    k.id::text, k.name, t.name, 'client', md5((n / 200)::text), false, true,
    CASE WHEN n %% 1000 = 0 THEN 'interrupted' WHEN n %% 333 = 0 THEN 'partial' ELSE 'complete' END, 200, '', '',
    100, 20000, 500, 0, 400, 0, 'measured', 25000, 20000, 5000, '', '["log"]', 12345678,
    3456789, 'measured', 'hit', 'genai-prices', '1', 4000, 1.5, 700,
    now() - n * interval '2 seconds', now() - n * interval '2 seconds' + interval '4 seconds'
FROM generate_series(%(start)s::bigint, %(end)s::bigint) n
JOIN (SELECT *, row_number() OVER (ORDER BY created_at, id) - 1 AS number FROM budgets_apikey) k
    ON k.number = (n * 7919) %% %(keys)s
JOIN budgets_team t ON t.id = k.team_id
"""


@click.command()
@click.option("--rows", type=int, default=1_000_000, show_default=True)
@click.option("--bound-ms", type=float, default=300, show_default=True)
@click.option("--server", default="postgresql://root@127.0.0.1:5432/postgres", show_default=True)
def main(rows: int, bound_ms: float, server: str) -> None:
    """Fill a database, open every list, say how long it took."""
    name = f"headroom_bench_{uuid.uuid4().hex[:10]}"
    with psycopg.connect(server, autocommit=True) as admin, tempfile.TemporaryDirectory() as workspace:
        admin.execute(f'CREATE DATABASE "{name}"')
        try:
            url = urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
            os.environ |= {
                "HEADROOM_DATABASE_URL": url,
                "HEADROOM_WORKSPACE_DIR": workspace,
                "DJANGO_SETTINGS_MODULE": "headroom_site.settings",
                "HEADROOM_LOG_LEVEL": "ERROR",
            }
            is_good = _measure(url, rows, bound_ms)
        finally:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    sys.exit(0 if is_good else 1)


def _measure(url: str, rows: int, bound_ms: float) -> bool:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connections

    call_command("migrate", verbosity=0)
    _make_people_and_keys()
    started = time.perf_counter()
    with psycopg.connect(url, autocommit=True) as connection:
        with tables.without_indexes(connection, "savings_ledgerentry"):
            for start in range(1, rows + 1, 500_000):
                end = min(rows, start + 499_999)
                connection.execute(FILL, {"start": start, "end": end, "keys": KEYS})
        connection.execute("VACUUM ANALYZE")
    click.echo(f"{rows:,} entries in {time.perf_counter() - started:.0f} s")
    try:
        slowest = max(_look(*page) for page in _pages())
    finally:
        connections["default"].close()
        connections["default"].close_pool()
    click.echo(f"slowest {slowest:.0f} ms, bound {bound_ms:.0f} ms")
    return slowest <= bound_ms


def _make_people_and_keys() -> None:
    from budgets import keys, limits, people, teams

    people.create("olga", "owner")
    for number in range(TEAMS):
        teams.create(f"team {number}")
    people.create("mara", "manager", teams.find("team 3"))
    for number in range(KEYS):
        key, _ = keys.create(f"key {number}", f"team {number % TEAMS}")
        if number % 4 == 0:
            limits.create(Decimal(10), "daily", key=key)


def _pages() -> list[tuple[str, str, str]]:
    from budgets.models import ApiKey
    from savings.models import LedgerEntry

    entry = LedgerEntry.objects.order_by("-admitted_at")[1000]
    key, ledger = ApiKey.objects.first(), "/admin/savings/ledgerentry/"
    assert key is not None
    day = f"{entry.admitted_at:%Y-%m-%d}"
    return [
        ("olga", "ledger", ledger),
        ("olga", "ledger, last page", f"{ledger}?p=100"),
        ("olga", "ledger by key", f"{ledger}?key={key.pk}"),
        ("olga", "ledger by model", f"{ledger}?model=claude-7"),
        ("olga", "ledger by unknown model", f"{ledger}?model=nobody"),
        ("olga", "ledger by session", f"{ledger}?session={entry.session}"),
        ("olga", "ledger by status complete", f"{ledger}?status=complete"),
        ("olga", "ledger by status interrupted", f"{ledger}?status=interrupted"),
        ("olga", "ledger by status void (none)", f"{ledger}?status=void"),
        ("olga", "ledger by day", f"{ledger}?day={day}"),
        ("olga", "ledger by key, model, status, day", f"{ledger}?key={key.pk}&model=claude-7&status=partial&day={day}"),
        ("olga", "ledger by key and model", f"{ledger}?key={key.pk}&model=claude-7"),
        ("olga", "ledger, search by request", f"{ledger}?q={entry.request_id}"),
        ("olga", "ledger, search by session", f"{ledger}?q={entry.session}"),
        ("olga", "one entry", f"{ledger}{entry.pk}/change/"),
        ("mara", "ledger of a team", ledger),
        ("mara", "ledger of a team by model", f"{ledger}?model=claude-7"),
        ("olga", "keys", "/admin/budgets/apikey/"),
        ("olga", "one key", f"/admin/budgets/apikey/{key.pk}/change/"),
        ("olga", "budgets", "/admin/budgets/budget/"),
        ("olga", "teams", "/admin/budgets/team/"),
        ("olga", "changes", "/admin/budgets/change/"),
        ("olga", "first page", "/admin/"),
    ]


def _look(name: str, title: str, path: str) -> float:
    """The slowest of some looks at a page, in ms."""
    from django.contrib.auth.models import User
    from django.test import Client

    client = Client()
    client.force_login(User.objects.get(username=name), "django.contrib.auth.backends.ModelBackend")
    times: list[float] = []
    client.get(path)
    own_s, server_s = time.process_time(), _server_cpu_s()
    for _ in range(LOOKS):
        started = time.perf_counter()
        response: Any = client.get(path)
        times.append(1000 * (time.perf_counter() - started))
        assert response.status_code == 200, (path, response.status_code)
    own_ms = 1000 * (time.process_time() - own_s) / LOOKS
    server_ms = 1000 * (_server_cpu_s() - server_s) / LOOKS
    click.echo(
        f"{title:36} median {statistics.median(times):5.0f} ms   slowest {max(times):5.0f} ms   "
        f"CPU {own_ms:4.0f} ms + {server_ms:4.0f} ms in PostgreSQL"
    )
    return max(times)


def _server_cpu_s() -> float:
    """Processor time of the database's processes for us, where they run on this machine; else 0."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
        pids = [row[0] for row in cursor.fetchall()]
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
