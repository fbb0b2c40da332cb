"""Memory over many large requests, and whether the ledger holds each of them exactly once.

    python -m benchmarks.soak [--requests 10000] [--json]

New conversations of about 93 kB come all the time, grow for some turns and are then asked again. At the end the proxy is
stopped, and its ledger is compared with the provider's own count.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.rig import bodies, load, processes

CONNECTIONS = 16
STEPS = 20
CONVERSATIONS = 20


@dataclass(frozen=True, slots=True)
class Step:
    """How things stood after `requests` requests."""

    requests: int
    per_s: float
    p99_ms: float
    serving_rss_mb: float
    all_rss_mb: float


@dataclass(frozen=True, slots=True)
class Soak:
    """`late_growth_mb` is what the serving process gained over the second half."""

    steps: list[Step]
    late_growth_mb: float
    provider_calls: int
    ledger_rows: int
    ledger_calls: int
    """Distinct request ids with their attempts: less than the rows if any were there twice."""

    @property
    def is_exact(self) -> bool:
        return self.provider_calls == self.ledger_rows == self.ledger_calls


def soak(requests: int, directory: Path) -> Soak:
    """Send that many requests and count."""
    steps: list[Step] = []
    with processes.provider(directory) as provider:
        with processes.headroom(directory, provider.url) as target:
            assert target.pid is not None
            for number in range(STEPS):
                share = requests // STEPS
                result = load.run(target.url, _requests(number, share), requests=share, connections=CONNECTIONS)
                rss = processes.largest_rss_mb(target.pid), processes.rss_mb(target.pid)
                steps.append(Step((number + 1) * share, result.per_s, result.percentile_ms(0.99), *rss))
        # Asked when the proxy has stopped: what it settled is in the database then.
        calls = processes.provider_calls(provider)
    with closing(sqlite3.connect(directory / "workspace" / "headroom.sqlite3")) as database:
        rows, distinct = database.execute(
            "select count(*), count(distinct request_id || '/' || attempt) from savings_ledgerentry where status != 'void'"
        ).fetchone()
    growth_mb = steps[-1].serving_rss_mb - steps[len(steps) // 2 - 1].serving_rss_mb
    return Soak(steps, growth_mb, calls, rows, distinct)


def _requests(step: int, count: int) -> Sequence[bytes]:
    """New conversations each time: a tenth of the requests are their turns as they grow, the rest their last turn again."""
    turns = max(1, count // 10 // CONVERSATIONS)
    conversations = [bodies.growing(10_000 + CONVERSATIONS * step + number)[-turns:] for number in range(CONVERSATIONS)]
    growing = [body for turn in zip(*conversations, strict=True) for body in turn]
    last = [conversation[-1] for conversation in conversations]
    return (growing + last * count)[:count]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    processes.end_with_children()
    with tempfile.TemporaryDirectory(prefix="headroom-soak-") as name:
        result = soak(arguments.requests, Path(name))
    if arguments.json:
        print(json.dumps({**asdict(result), "is_exact": result.is_exact}, indent=2))
    else:
        print(f"{'requests':>9}{'req/s':>9}{'p99 ms':>9}{'serving MB':>12}{'all MB':>9}")
        for step in result.steps:
            print(
                f"{step.requests:>9}{step.per_s:>9.0f}{step.p99_ms:>9.1f}{step.serving_rss_mb:>12.0f}{step.all_rss_mb:>9.0f}"
            )
        verdict = "each call is there once" if result.is_exact else "THEY DIFFER"
        print(f"gained over the second half: {result.late_growth_mb:.1f} MB")
        print(
            f"provider {result.provider_calls} calls, ledger {result.ledger_rows} rows of {result.ledger_calls} calls: {verdict}"
        )
    raise SystemExit(0 if result.is_exact else 1)


if __name__ == "__main__":
    main()
