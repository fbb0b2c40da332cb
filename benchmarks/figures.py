"""How long figures take with a long ledger behind them, and whether they all say the same.

    python -m benchmarks.figures [--entries 1000000] [--requests 2000] [--workers 4] [--json]

Needs PostgreSQL and Redis (HEADROOM_TEST_POSTGRES_URL, HEADROOM_TEST_REDIS_URL), where it uses databases of its own. The
first part fills a ledger with calls of a year, rolls all of it up, then once more after a few new calls, and asks a proxy for
`/stats`, `/stats-history` and the pages. The second sends requests through several workers and compares what was spent and
saved in the ledger, rollups, `/stats`, the tiles of the dashboard, the CSV of every series and of single calls, and
`/metrics`, to the nano-dollar. `--entries 0` or `--requests 0` leave
one of them out.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from benchmarks.rig import bodies, load, processes

POSTGRES_URL = os.environ.get("HEADROOM_TEST_POSTGRES_URL", "postgresql://root@127.0.0.1:5432/postgres")
REDIS_URL = os.environ.get("HEADROOM_TEST_REDIS_URL", "redis://127.0.0.1:6379") + "/14"
NEW_ENTRIES = 500
ASKED = 60
CONNECTIONS = 16
SETTLE_S = 30.0
NANO = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Place:
    """What a sum of money is called where it is told; counters only grow, so that a loss has one of its own."""

    column: str
    column_of_calls: str
    tile: str
    counters: dict[str, int]


PLACES = {
    "cost_nano_usd": Place("total_cost_usd_delta", "cost_usd", "spent", {"headroom_cost_nano_usd_total": 1}),
    "saved_nano_usd": Place(
        "compression_savings_usd_delta",
        "saved_usd",
        "saved",
        {"headroom_saved_nano_usd_total": 1, "headroom_lost_nano_usd_total": -1},
    ),
}
PAGES = ("", "/lifetime", "/history", "/requests", "/cache")

FILL = """
    INSERT INTO savings_ledgerentry (id, request_id, attempt, provider, upstream, route, model_asked, model_answered,
        session, agent, project, "user", owner, key_id, key_label, team, origin, conversation, is_observed, is_streaming,
        status, error, provider_request_id, basis, reason, transforms, savings_basis, cache_outcome, price_source,
        price_version, cost_nano_usd, output_cost_nano_usd, cache_discount_nano_usd, saved_nano_usd, input_fresh_tokens,
        cache_read_tokens, output_tokens, tokens_before, tokens_after, tokens_saved, latency_ms, overhead_ms, ttfb_ms,
        http_status, admitted_at, settled_at, recorded_at)
    SELECT gen_random_uuid(), gen_random_uuid(), 0, 'anthropic', '', '/v1/messages', 'm', 'model-' || n %% 3, 's',
        'agent-' || n %% 2, 'project-' || n %% 10, '', 'team:' || n %% 5, 'key-' || n %% 5, 'key-' || n %% 5, 'team-' || n %% 5,
        'client', '', false, true, 'complete', '', '', 'measured', CASE WHEN n %% 4 = 0 THEN 'too_small' ELSE '' END, '[]',
        'exact', CASE WHEN n %% 9 = 0 THEN 'cold_start' ELSE 'hit' END, 'override', '', 1000000 + n %% 997, 77, 5, n %% 991 - 9,
        100 + n %% 7, 5000, 50, 6000, 5500, 500, 800.5, 0.7, 300.25, 200, at, at, at
    FROM (SELECT n, %(until)s::timestamptz - (n * %(step)s::float) * interval '1 second' AS at
        FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n) AS calls
"""


def measure(entries: int, directory: Path) -> dict[str, Any]:
    """Fill, roll up, roll up again, ask."""
    with _database() as url, psycopg.connect(url, autocommit=True) as database:
        environment = {
            "HEADROOM_DATABASE_URL": url,
            "HEADROOM_WORKSPACE_DIR": str(directory / "workspace"),
            "HEADROOM_EMBEDDED_WORKER": "0",  # its start would be in the processor time of whatever is asked first
        }
        _manage(environment, "migrate")
        found: dict[str, Any] = {"entries": entries, "fill_s": _fill(database, entries)}
        found["rollup_s"] = _timed_rollup(environment)
        found["hourly_rows"] = database.execute("SELECT count(*) FROM savings_hourlyrollup").fetchone()[0]  # type: ignore[index]
        _insert(database, NEW_ENTRIES, first=1, step=0.1)
        found["incremental_s"] = _timed_rollup(environment)
        _manage(environment, "rollups", "--backfill")
        database.execute(CHECKPOINTS)
        database.execute("VACUUM ANALYZE")
        with processes.headroom(directory, "http://127.0.0.1:9", environment=environment) as target:
            paths = ("/livez", "/stats", "/stats-history", "/stats-history?format=csv&series=daily")
            for path in (*paths, *(f"/dashboard{page}" for page in PAGES)):
                found[path] = _times_ms(target, path, database)
    return found


CHECKPOINTS = """
    INSERT INTO savings_savingscheckpoint (at, is_imported, provider, agent, model, requests, tokens_saved, input_tokens,
        output_tokens, cache_read_tokens, cost_nano_usd, output_cost_nano_usd, saved_nano_usd, avoided_nano_usd)
    SELECT now() - n * interval '1 minute', false, '', '', '', 100000 - n, 0, 0, 0, 0, 0, 0, 0, 0
    FROM generate_series(1, 100000) AS n ON CONFLICT DO NOTHING
"""


def _fill(database: psycopg.Connection[Any], entries: int) -> float:
    """Calls of a year, evenly spread. Indexes are made afterwards, as it takes a fraction of the time."""
    started = time.perf_counter()
    indexes = database.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'savings_ledgerentry' AND indexdef NOT LIKE '%UNIQUE%'"
    ).fetchall()
    for name, _ in indexes:
        database.execute(f'DROP INDEX "{name}"')
    database.execute("ALTER TABLE savings_ledgerentry DROP CONSTRAINT entry_once_per_attempt")
    _insert(database, entries, first=1, step=365 * 86_400 / entries)
    for _, definition in indexes:
        database.execute(definition)
    database.execute("VACUUM ANALYZE savings_ledgerentry")
    return round(time.perf_counter() - started, 1)


def _insert(database: psycopg.Connection[Any], count: int, *, first: int, step: float) -> None:
    until = database.execute("SELECT now()").fetchone()[0]  # type: ignore[index]
    database.execute(FILL, {"until": until, "step": step, "first": first, "last": count})


ROLL = """
import time
from pathlib import Path
from django.db import connection
from savings import rollups
with connection.cursor() as cursor:
    cursor.execute("SELECT pg_backend_pid()")
    backend = Path(f"/proc/{cursor.fetchone()[0]}/stat")
started, cpu_started = time.perf_counter(), time.process_time()
rollups.roll()
took, cpu = time.perf_counter() - started, time.process_time() - cpu_started
if backend.exists():
    cpu += sum(map(int, backend.read_text().rpartition(")")[2].split()[11:13])) / 100
print("took", took, cpu)
"""


def _timed_rollup(environment: dict[str, str]) -> dict[str, float]:
    """Seconds of the run itself without the start of a process, and processor time with the database's where it is seen."""
    took, cpu = _manage(environment, "shell", "--no-imports", "--command", ROLL).split("took")[1].split()
    return {"s": round(float(took), 2), "cpu_s": round(float(cpu), 2)}


def _times_ms(target: processes.Target, path: str, database: psycopg.Connection[Any]) -> dict[str, float]:
    """What one answer takes by the clock, and in processor time of the proxy and its database together."""
    assert target.pid is not None
    times = []
    size = len(_read(target.url + path))
    cpu_started = _cpu_s(target.pid, database)
    for _ in range(ASKED):
        started = time.perf_counter()
        _read(target.url + path)
        times.append((time.perf_counter() - started) * 1000)
    cpu_ms = (_cpu_s(target.pid, database) - cpu_started) * 1000 / ASKED
    times.sort()
    return {
        "p50_ms": round(times[len(times) // 2], 2),
        "best_ms": round(times[0], 2),
        "cpu_ms": round(cpu_ms, 2),
        "bytes": size,
    }


def _cpu_s(pid: int, database: psycopg.Connection[Any]) -> float:
    backends = database.execute(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    ).fetchall()
    return processes.cpu_s(pid) + sum(processes.cpu_s(backend) for (backend,) in backends)


def agree(requests: int, workers: int, directory: Path) -> dict[str, Any]:
    """Send requests through workers and read the same sums in every place."""
    with (
        _database() as url,
        psycopg.connect(url, autocommit=True) as database,
        processes.caching_provider(directory) as provider,
    ):
        environment = {
            "HEADROOM_DATABASE_URL": url,
            "HEADROOM_REDIS_URL": REDIS_URL,
            "HEADROOM_WORKSPACE_DIR": str(directory / "workspace"),
        }
        _manage(environment, "migrate")
        with processes.headroom(directory, provider.url, "--workers", str(workers), environment=environment) as target:
            sent = [bodies.small(), *(body for seed in range(4) for body in bodies.growing(seed, 2))]
            result = load.run(target.url, sent, requests=requests, connections=CONNECTIONS)
            _wait_for_rows(database, requests)
            calls = processes.provider_calls(provider)
            _manage(environment, "rollups")
            rows = database.execute("SELECT count(*) FROM savings_ledgerentry WHERE status <> 'void'").fetchone()[0]  # type: ignore[index]
            sums = {figure: _everywhere(figure, target, database) for figure in PLACES}
            said = json.loads(_read(f"{target.url}/stats"))["requests"]["total"]
    return {
        "requests": requests,
        "per_s": round(result.per_s, 1),
        "provider_calls": calls,
        "ledger_rows": rows,
        "stats_requests": said,
        "sums": sums,
        "all_agree": all(len({*places.values()}) == 1 for places in sums.values())
        and rows == calls == requests == said,
    }


def _everywhere(figure: str, target: processes.Target, database: psycopg.Connection[Any]) -> dict[str, int]:
    """A sum of money, in nano-dollars, in every place that tells it."""
    place = PLACES[figure]
    stats = json.loads(_read(f"{target.url}/stats"))
    metrics = _read(f"{target.url}/metrics")
    exported = _read(f"{target.url}/dashboard/requests.csv")
    return {
        "ledger": _in_table(database, "savings_ledgerentry", figure),
        "hourly": _in_table(database, "savings_hourlyrollup", figure),
        "daily": _in_table(database, "savings_dailyrollup", figure),
        "stats": stats["cost"][figure],
        "stats_by_model": sum(model[figure] for model in stats["cost"]["per_model"].values()),
        "lifetime": stats["persistent_savings"]["lifetime"][figure],
        "metrics": sum(sign * _in_metrics(metrics, counter) for counter, sign in place.counters.items()),
        "tile_of_session": _in_tile(_read(f"{target.url}/dashboard"), place.tile),
        "tile_of_lifetime": _in_tile(_read(f"{target.url}/dashboard/lifetime"), place.tile),
        "tile_of_history": _in_tile(_read(f"{target.url}/dashboard/history"), place.tile),
        "csv_calls": _in_csv(exported, place.column_of_calls),
        **{
            f"csv_{series}": _in_csv(_read(f"{target.url}/stats-history?format=csv&series={series}"), place.column)
            for series in ("hourly", "daily", "weekly", "monthly")
        },
    }


def _wait_for_rows(database: psycopg.Connection[Any], count: int) -> None:
    until = time.monotonic() + SETTLE_S
    while database.execute("SELECT count(*) FROM savings_ledgerentry WHERE status <> 'void'").fetchone()[0] < count:  # type: ignore[index]
        if time.monotonic() > until:
            raise RuntimeError("the ledger did not get every call")
        time.sleep(0.2)


def _in_table(database: psycopg.Connection[Any], table: str, figure: str) -> int:
    return int(database.execute(f"SELECT sum({figure}) FROM {table}").fetchone()[0])  # type: ignore # noqa: S608


def _in_metrics(text: str, counter: str) -> int:
    return sum(int(float(value)) for value in re.findall(rf"^{counter}\{{.*\}} (\S+)$", text, re.MULTILINE))


def _in_tile(page: str, tile: str) -> int:
    return int(re.findall(rf'data-figure="{tile}" data-number="(-?\d+)"', page)[0])


def _in_csv(text: str, column: str) -> int:
    return int(sum(Decimal(row[column] or 0) for row in csv.DictReader(io.StringIO(text))) * NANO)


def _read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return str(answer.read().decode())


@contextlib.contextmanager
def _database() -> Iterator[str]:
    name = f"headroom_bench_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(POSTGRES_URL, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
        try:
            yield urlunsplit(urlsplit(POSTGRES_URL)._replace(path=f"/{name}"))
        finally:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _manage(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{arguments[0]} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def main() -> None:
    processes.end_with_children()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--entries", type=int, default=1_000_000, help="calls in the long ledger; 0: skip")
    parser.add_argument("--requests", type=int, default=2_000, help="requests of the comparison; 0: skip")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        if arguments.entries:
            (Path(folder) / "long").mkdir()
            found |= measure(arguments.entries, Path(folder) / "long")
        if arguments.requests:
            (Path(folder) / "soak").mkdir()
            found["agreement"] = agree(arguments.requests, arguments.workers, Path(folder) / "soak")
    print(
        json.dumps(found, indent=2)
        if arguments.json
        else "\n".join(f"{name:40} {value}" for name, value in found.items())
    )
    if arguments.requests and not found["agreement"]["all_agree"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
