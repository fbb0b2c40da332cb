"""Does a large ledger stay quick? Ten million rows on PostgreSQL: the audit's time, and whether the flusher keeps up.

    python -m benchmarks.ledger [--rows 10000000] [--per-s 2000] [--seconds 60] [--url postgresql://…/name] [--json]

Without `--url` it makes a database of its own (HEADROOM_TEST_POSTGRES_URL) and drops it at the end; with it, a database that
has rows already is used as it is. Rows are of 50 keys in 10 teams over 30 days; there are daily budgets for everybody and for
each key, and monthly ones for each team, all with accounts for every period. Then a worker's journal is written at the given
pace, with holds against three budgets, while its flusher records: what counts is how many calls wait at the end, and the most
that ever waited.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import sys
import tempfile
import time
import uuid
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import django
import psycopg

from benchmarks import budgets
from benchmarks.rig import processes, tables

KEYS, TEAMS, DAYS = 50, 10, 30
ROWS_AT_ONCE = 1_000_000
CALL_NANO_USD = 100_000_000
"""What is set aside for a call in each of its budgets."""
FILL = """
INSERT INTO savings_ledgerentry ({columns}) SELECT
  lpad(to_hex(n), 32, '0')::uuid AS id, lpad(to_hex(n), 32, '0')::uuid AS request_id, 0 AS attempt,
  'anthropic' AS provider, 'https://api.anthropic.com' AS upstream, '/v1/messages' AS route,
  'claude-sonnet-5' AS model_asked, 'claude-sonnet-5' AS model_answered,
  'session-' || n / 60 AS session, 'claude-code' AS agent, 'team:' || k.team AS owner, k.id AS key_id, k.name AS key_label,
  k.team_name AS team, 'client' AS origin, true AS is_streaming, 'complete' AS status, 200 AS http_status,
  n %% 3000 AS input_fresh_tokens, 40000 + n %% 9000 AS cache_read_tokens, n %% 2000 AS cache_write_5m_tokens,
  0 AS cache_write_1h_tokens, n %% 700 AS output_tokens, 'measured' AS basis, 60000 AS tokens_before,
  50000 AS tokens_after, 10000 AS tokens_saved, '[]'::jsonb AS transforms, 1000000 + n * 7919 %% 50000000 AS cost_nano_usd,
  'genai-prices' AS price_source, '0.2.3' AS price_version, 900 AS latency_ms, 1 AS overhead_ms, 400 AS ttfb_ms,
  %(start)s::timestamptz + n * %(step)s * interval '1 second' AS admitted_at,
  %(start)s::timestamptz + n * %(step)s * interval '1 second' AS settled_at{others}
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
JOIN (SELECT row_number() OVER (ORDER BY a.name) - 1 AS number, a.id::text AS id, a.name, a.team_id AS team, t.name AS team_name
  FROM budgets_apikey a JOIN budgets_team t ON t.id = a.team_id) AS k ON k.number = n %% {keys}
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """How the flusher did."""

    calls: int
    per_s: float
    seconds: float
    most_waiting: int
    waiting_at_the_end: int
    seconds_until_all_were_recorded: float
    cpu_ms_per_call: float


def fill(url: str, rows: int) -> None:
    """Rows, in one go without indexes, which are made afterwards."""
    with psycopg.connect(url, autocommit=True) as connection:
        there = connection.execute("SELECT count(*) FROM savings_ledgerentry").fetchone()
        if there and there[0]:
            return
        columns = connection.execute(
            "SELECT column_name, is_nullable, column_default, data_type FROM information_schema.columns "
            "WHERE table_name = 'savings_ledgerentry'"
        ).fetchall()
        named = [part.rsplit(" AS ", 1)[1].strip() for part in _parts(FILL)]
        empty = {"boolean": "false", "jsonb": "'[]'::jsonb"}
        others = {
            name: empty.get(kind, "''" if kind.startswith("character") else "0")
            for name, nullable, default, kind in columns
            if nullable == "NO" and default is None and name not in named
        }
        query = FILL.format(
            columns=", ".join(f'"{name}"' for name in [*named, *others]),
            others="".join(f', {value} AS "{name}"' for name, value in others.items()),
            keys=KEYS,
        )
        start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS)
        with tables.without_indexes(connection, "savings_ledgerentry"):
            for first in range(0, rows, ROWS_AT_ONCE):
                last = min(first + ROWS_AT_ONCE, rows) - 1
                step = DAYS * 86_400 / rows
                connection.execute(query, {"start": start, "step": step, "first": first, "last": last})
                print(f"{last + 1:,} rows", file=sys.stderr)


def _parts(query: str) -> list[str]:
    """The columns of the SELECT."""
    body = query[query.index("SELECT") + 6 : query.index("{others}")]
    parts, depth, start = [], 0, 0
    for place, character in enumerate(body):
        depth += (character == "(") - (character == ")")
        if character == "," and not depth:
            parts.append(body[start:place])
            start = place + 1
    return [*parts, body[start:]]


def set_up() -> None:
    """Keys, teams and their budgets."""
    from budgets import keys, limits
    from budgets.models import ApiKey, Team

    if ApiKey.objects.exists():
        return
    made = [keys.create(f"key-{number}", team=f"team-{number % TEAMS}")[0] for number in range(KEYS)]
    limits.create(budgets_usd(10_000_000), "daily")
    for key in made:
        limits.create(budgets_usd(10_000_000), "daily", key=key)
    for team in Team.objects.all():
        limits.create(budgets_usd(10_000_000), "monthly", team=team)


def budgets_usd(amount: int) -> Any:
    from decimal import Decimal

    return Decimal(amount)


def open_accounts() -> int:
    """An account for every period that has rows; each starts with what the ledger says."""
    from django.db import transaction

    from budgets import balances, periods
    from budgets.models import Budget

    count, now_s = 0, time.time()
    with transaction.atomic():
        for budget in Budget.objects.all():
            days = (now_s - day * 86_400 for day in range(DAYS + 1))
            for span in {periods.containing(budget.period, "UTC", at_s) for at_s in days}:  # type: ignore[arg-type]
                balances.open_period(budget.pk, span)
                count += 1
    return count


def keep_up(per_s: float, seconds: float) -> Kept:
    """Write a journal at that pace while its flusher records."""
    from django.db import connection

    from budgets.balances import Holder
    from budgets.models import ApiKey
    from budgets.till import Till
    from savings import tallies
    from savings.flusher import Flusher
    from savings.journal import Journal
    from savings.pricing import PriceBook
    from savings.receipts import Admission, Reserved, Settlement, Usage

    prices = PriceBook()
    prices.warm()
    with tempfile.TemporaryDirectory(prefix="headroom-benchmark-") as name:
        journal = Journal(Path(name) / "journal" / "bench", max_bytes=2**31)
        till = Till(Holder("bench", "bench"), journal.directory.parent, prices, _no_road)
        counter = tallies.Counter("bench", "bench")
        flusher = Flusher(journal, prices=prices, post_balances=till.post, counter=counter)
        leases = lease(Holder("bench", "bench"))
        keys = [
            (str(key.pk), f"team:{key.team_id}", (leases[None, None], leases[key.pk, None], leases[None, key.team_id]))
            for key in ApiKey.objects.all()
        ]
        connection.close()
        flusher.start()
        calls = round(per_s * seconds)
        most, used_s, started = 0, _cpu_s(), time.perf_counter()
        for number in range(calls):
            due = started + number / per_s
            if (early := due - time.perf_counter()) > 0.005:
                most = max(most, number - flusher.recorded_rows)
                time.sleep(early)
            call_id = str(uuid.uuid4())
            key_id, owner, accounts = keys[number % len(keys)]
            now_s = time.time()
            journal.admit(
                Admission(
                    call_id,
                    call_id,
                    0,
                    now_s,
                    "anthropic",
                    "https://api.anthropic.com",
                    "/v1/messages",
                    model="claude-sonnet-4-5",
                    session=f"s{number // 60}",
                    owner=owner,
                    key_id=key_id,
                    is_streaming=True,
                    tokens_before=60_000,
                    tokens_after=50_000,
                    reserved=tuple(Reserved(account, CALL_NANO_USD, is_leased=True) for account in accounts),
                    holder="bench",
                )
            )
            usage = Usage(1200, 40_000, 900, 0, 300)
            journal.settle(Settlement(call_id, now_s, "complete", 200, "claude-sonnet-4-5", usage, latency_ms=900.0))
        took_s = time.perf_counter() - started
        waiting = calls - flusher.recorded_rows
        while flusher.recorded_rows < calls and time.perf_counter() - started < took_s + 600:
            time.sleep(0.02)
        behind_s = time.perf_counter() - started - took_s
        cpu_ms = 1000 * (_cpu_s() - used_s) / calls
        flusher.stop()
    return Kept(calls, round(calls / took_s, 1), round(took_s, 1), most, waiting, round(behind_s, 2), round(cpu_ms, 3))


def lease(holder: Any) -> dict[tuple[Any, Any], int]:
    """The running account of each budget, by key and team, with a lease for this worker."""
    from budgets import balances, periods
    from budgets.models import Budget

    accounts = {}
    for budget in Budget.objects.all():
        span = periods.containing(budget.period, "UTC", time.time())  # type: ignore[arg-type]
        account = accounts[budget.key_id, budget.team_id] = balances.open_period(budget.pk, span)
        balances.take(account, holder, [], lease_for=CALL_NANO_USD)
    return accounts


async def _no_road(*_: Any, **__: Any) -> Any:
    raise AssertionError("nothing is admitted here")


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def run(options: argparse.Namespace, url: str) -> dict[str, Any]:
    """Everything, on one database."""
    with tempfile.TemporaryDirectory(prefix="headroom-benchmark-") as workspace:
        environment = {"HEADROOM_WORKSPACE_DIR": workspace, "HEADROOM_DATABASE_URL": url}
        budgets.headroom(environment, "migrate")
        os.environ.update(environment, DJANGO_SETTINGS_MODULE="headroom_site.settings")
        django.setup()
        set_up()
        started = time.perf_counter()
        fill(url, options.rows)
        filled_s = time.perf_counter() - started
        accounts = open_accounts()
        started = time.perf_counter()
        audit = budgets.headroom(environment, "audit", "--json")
        audit_s = time.perf_counter() - started
        found = json.loads(audit.stdout)
        kept = keep_up(options.per_s, options.seconds) if options.seconds else None
        again = json.loads(budgets.headroom(environment, "audit", "--json").stdout)
    return {
        "rows": options.rows,
        "seconds_to_fill": round(filled_s, 1),
        "accounts": accounts,
        "audit_s": round(audit_s, 2),
        "audit_differences": len(found["differences"]),
        "flush": asdict(kept) if kept else None,
        "audit_differences_afterwards": len(again["differences"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--per-s", type=float, default=2000.0)
    parser.add_argument("--seconds", type=float, default=60.0, help="0 leaves the flusher out")
    parser.add_argument("--url", default="", help="a database to use, and to leave as it is then")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    processes.end_with_children()
    place = contextlib.nullcontext(options.url) if options.url else budgets.database()
    with place as url:
        found = run(options, url)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
