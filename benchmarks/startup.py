"""How long it takes from the command to the first answer of `/readyz`, the first time and later, and what is then in memory.

    python -m benchmarks.startup [--json]

The first time makes the workspace, its keys and its database.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.rig import bodies, load, processes


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds from the command until `/readyz` said 200, and of processor time in them; memory then, and after a request.

    On a busy machine only the processor time says something.
    """

    ready_s: float
    cpu_s: float
    serving_rss_mb: float
    all_rss_mb: float
    used_rss_mb: float


def start(directory: Path) -> Start:
    """Start the proxy in the workspace under `directory` and stop it again."""
    with processes.provider(directory) as provider:
        began = time.perf_counter()
        with processes.headroom(directory, provider.url) as target:
            ready_s = time.perf_counter() - began
            assert target.pid is not None
            fresh = processes.cpu_s(target.pid), processes.largest_rss_mb(target.pid), processes.rss_mb(target.pid)
            load.run(target.url, [bodies.conversation(1)], requests=1, connections=1)
            time.sleep(1)  # the ranks of the tokenizer are read beside the first request
            return Start(ready_s, *fresh, processes.rss_mb(target.pid))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    processes.end_with_children()
    first, later = [], []
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory(prefix="headroom-startup-") as name:
            first.append(start(Path(name)))
            later.append(start(Path(name)))
    found = {"first": _median(first), "later": _median(later)}
    if arguments.json:
        print(json.dumps({key: asdict(value) for key, value in found.items()}, indent=2))
        return
    print(f"{'':8}{'ready s':>9}{'CPU s':>7}{'serving MB':>12}{'all MB':>9}{'after a request':>17}")
    for name, one in found.items():
        print(
            f"{name:8}{one.ready_s:>9.2f}{one.cpu_s:>7.2f}{one.serving_rss_mb:>12.0f}{one.all_rss_mb:>9.0f}{one.used_rss_mb:>17.0f}"
        )


def _median(starts: list[Start]) -> Start:
    columns = zip(*(asdict(one).values() for one in starts), strict=True)
    return Start(*map(statistics.median, columns))


if __name__ == "__main__":
    main()
