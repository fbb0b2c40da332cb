"""How much memory do live conversations take? Thousands of them, each for a few turns, and then a turn of each once more.

    python -m benchmarks.memory [--conversations 10000] [--turns 4] [--json]

A turn adds a tool result of about 4 kB. Shown is what the serving process holds beyond what it held after its first requests.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.rig import bodies, load, processes

CONNECTIONS = 8
AT_ONCE = 250
WARM_UP = 50
GOAL_MB = 300.0


@dataclass(frozen=True, slots=True)
class Step:
    """How things stood with so many conversations. `p50_ms` is of the requests since the last step."""

    conversations: int
    held_mb: float
    p50_ms: float


def measure(count: int, turns: int, directory: Path) -> list[Step]:
    """Let conversations come in groups; the last step is all of them again, each with one turn more."""
    steps: list[Step] = []
    with (
        processes.provider(directory) as provider,
        processes.headroom(directory, provider.url) as target,
    ):
        assert target.pid is not None
        _send(target.url, _turns(range(-WARM_UP, 0), turns))
        empty_mb = processes.largest_rss_mb(target.pid)

        def step(known: int, requests: Sequence[bytes]) -> None:
            p50_ms = _send(target.url, requests)
            assert target.pid is not None
            steps.append(Step(known, processes.largest_rss_mb(target.pid) - empty_mb, p50_ms))
            sys.stderr.write(f"\r\x1b[K{known:,} conversations" if sys.stderr.isatty() else "")

        for group in _groups(count):
            step(group.stop, _turns(group, turns))
        for group in _groups(count):
            step(count, [bodies.conversation(seed, turns + 1) for seed in group])
    sys.stderr.write("\r\x1b[K" if sys.stderr.isatty() else "")
    return steps


def _groups(count: int) -> Iterator[range]:
    return (range(start, min(count, start + AT_ONCE)) for start in range(0, count, AT_ONCE))


def _turns(seeds: range, turns: int) -> list[bytes]:
    """The turns of so many conversations, first those of all, then the next."""
    grown = [bodies.growing(seed, turns) for seed in seeds]
    return [body for turn in zip(*grown, strict=True) for body in turn]


def _send(url: str, requests: Sequence[bytes]) -> float:
    return load.run(url, requests, requests=len(requests), connections=CONNECTIONS).percentile_ms(0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=10_000)
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    processes.end_with_children()
    with tempfile.TemporaryDirectory(prefix="headroom-benchmark-") as name:
        steps = measure(arguments.conversations, arguments.turns, Path(name))
    if arguments.json:
        print(json.dumps([asdict(step) for step in steps], indent=2))
        return
    print(f"{'conversations':>14}{'held MB':>9}{'p50 ms':>8}")
    for step in steps[3::4]:
        print(f"{step.conversations:>14,}{step.held_mb:>9.0f}{step.p50_ms:>8.1f}")
    most = max(step.held_mb for step in steps)
    print(f"at most {most:.0f} MB for {arguments.conversations:,} conversations (goal {GOAL_MB:.0f})")


if __name__ == "__main__":
    main()
