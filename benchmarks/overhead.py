"""What the proxy costs: requests per second, latency, processor time and memory, beside going direct and beside others.

    python -m benchmarks.overhead [--peer NAME=URL | --peer 'NAME=COMMAND with {port} and {provider}'] [--json]

Every target gets the same requests of the same load generator in turn, round after round, so that a busy machine is
unfair to all of them alike; shown are medians over the rounds. `floor` is raw ASGI with aiohttp behind it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.rig import bodies, load, processes
from benchmarks.rig.processes import Target

CONNECTIONS = 16
SETTLE_S = 0.7
"""Journals and ledgers are written behind the answer; that work is counted too."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of request. `make` gets the round's number and returns the bodies to take turns over.

    `before` is sent once, one by one: a conversation is warm when its earlier turns came through here.
    """

    name: str
    requests: int
    make: Callable[[int], Sequence[bytes]]
    before: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """One target under one kind of load in one round. `forwarded` is the share of requests that the provider saw."""

    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float | None
    rss_mb: float | None
    forwarded: float


@dataclass(frozen=True, slots=True)
class Row:
    """The medians of one target under one kind of load; `added_p99_ms` is against going direct."""

    kind: str
    target: str
    per_s: float
    p50_ms: float
    p99_ms: float
    added_p99_ms: float
    cpu_ms: float | None
    rss_mb: float | None
    forwarded: float


def kinds(scale: float) -> list[Kind]:
    """The four loads, with `scale` times the usual number of requests."""
    turns = bodies.growing(1)
    return [
        Kind("small", round(3000 * scale), lambda _: [bodies.small()]),
        Kind("stream", round(2000 * scale), lambda _: [bodies.small(is_stream=True)]),
        Kind("93 kB, warm", round(1000 * scale), lambda _: turns[-1:], before=turns),
        Kind("growing", round(440 * scale), _growing),
    ]


def _growing(round_number: int) -> list[bytes]:
    """Twenty conversations that nobody has seen, from their first turn to about 93 kB."""
    conversations = [bodies.growing(1000 * (round_number + 1) + number) for number in range(20)]
    return [body for turn in zip(*conversations, strict=True) for body in turn]


def measure(targets: Sequence[Target], loads: Sequence[Kind], rounds: int) -> dict[tuple[str, str], list[Sample]]:
    """All targets under all loads; the order of targets turns from round to round."""
    samples: dict[tuple[str, str], list[Sample]] = {}
    for target in targets:
        for kind in loads:
            if kind.before:
                load.run(target.url, kind.before, requests=len(kind.before), connections=1)
            load.run(target.url, kind.make(-1), requests=max(50, kind.requests // 10), connections=CONNECTIONS)
    for number in range(rounds):
        for kind in loads:
            requests = kind.make(number)
            for target in [*targets[number % len(targets) :], *targets[: number % len(targets)]]:
                _progress(f"round {number + 1} of {rounds}: {kind.name}, {target.name}")
                samples.setdefault((kind.name, target.name), []).append(
                    _sample(target, targets[0], requests, kind.requests)
                )
    return samples


def _sample(target: Target, provider: Target, requests: Sequence[bytes], count: int) -> Sample:
    calls = processes.provider_calls(provider)
    before = processes.cpu_s(target.pid) if target.pid else 0.0
    result = load.run(target.url, requests, requests=count, connections=CONNECTIONS)
    time.sleep(SETTLE_S)
    return Sample(
        per_s=result.per_s,
        p50_ms=result.percentile_ms(0.5),
        p99_ms=result.percentile_ms(0.99),
        cpu_ms=1000 * (processes.cpu_s(target.pid) - before) / count if target.pid else None,
        rss_mb=processes.rss_mb(target.pid) if target.pid else None,
        forwarded=(processes.provider_calls(provider) - calls) / count,
    )


def rows(samples: dict[tuple[str, str], list[Sample]]) -> list[Row]:
    """The medians, in the order of measurement."""
    found = []
    for (kind, target), ones in samples.items():
        p99_ms = statistics.median(one.p99_ms for one in ones)
        direct_ms = statistics.median(one.p99_ms for one in samples[kind, "direct"])
        found.append(
            Row(
                kind=kind,
                target=target,
                per_s=statistics.median(one.per_s for one in ones),
                p50_ms=statistics.median(one.p50_ms for one in ones),
                p99_ms=p99_ms,
                added_p99_ms=p99_ms - direct_ms,
                cpu_ms=_median([one.cpu_ms for one in ones]),
                rss_mb=_median([one.rss_mb for one in ones]),
                forwarded=statistics.median(one.forwarded for one in ones),
            )
        )
    return found


def _median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def table(found: list[Row]) -> str:
    """The rows for people."""
    lines = [f"{'':14}{'':12}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'+p99 ms':>9}{'CPU ms':>9}{'RSS MB':>9}"]
    previous = ""
    for row in sorted(found, key=lambda row: [one.kind for one in found].index(row.kind)):
        name = row.kind if row.kind != previous else ""
        previous = row.kind
        cpu = "–" if row.cpu_ms is None else f"{row.cpu_ms:.2f}"
        rss = "–" if row.rss_mb is None else f"{row.rss_mb:.0f}"
        figures = f"{row.per_s:>9.0f}{row.p50_ms:>9.2f}{row.p99_ms:>9.2f}{row.added_p99_ms:>9.2f}{cpu:>9}{rss:>9}"
        note = "" if row.forwarded == 1 else f"   only {row.forwarded:.0%} reached the provider"
        lines.append(f"{name:14}{row.target:12}{figures}{note}")
    return "\n".join(lines)


def _progress(text: str) -> None:
    sys.stderr.write(f"\r\x1b[K{text}" if sys.stderr.isatty() else "")
    sys.stderr.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PLACE")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="times the usual number of requests")
    parser.add_argument("--event-gap-ms", type=float, default=0.0, help="pause between the events of a stream")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    processes.end_with_children()
    with tempfile.TemporaryDirectory(prefix="headroom-benchmark-") as name, contextlib.ExitStack() as stack:
        directory = Path(name)
        provider = stack.enter_context(processes.provider(directory, event_gap_ms=arguments.event_gap_ms))
        targets = [
            provider,
            stack.enter_context(processes.floor(directory, provider.url)),
            stack.enter_context(processes.headroom(directory, provider.url)),
        ]
        targets += [stack.enter_context(processes.peer(place, directory, provider.url)) for place in arguments.peer]
        found = rows(measure(targets, kinds(arguments.scale), arguments.rounds))
    _progress("")
    machine = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": processes.cores(),
        "connections": CONNECTIONS,
    }
    if arguments.json:
        print(
            json.dumps(
                {"machine": machine, "rounds": arguments.rounds, "rows": [asdict(row) for row in found]}, indent=2
            )
        )
    else:
        print(", ".join(f"{key} {value}" for key, value in machine.items()))
        print(table(found))


if __name__ == "__main__":
    main()
