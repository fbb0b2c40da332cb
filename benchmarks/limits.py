"""What do keys, rates and budgets cost? One worker on PostgreSQL and Redis, with all of them and with none.

    python -m benchmarks.limits [--rounds 5] [--per-s 500] [--seconds 6] [--json]

Needs PostgreSQL and Redis (HEADROOM_TEST_POSTGRES_URL, HEADROOM_TEST_REDIS_URL), where it uses a database of its own. Both
proxies get the same small requests at the same pace in turn. `limits` has a key of this proxy, a limit of requests and of
tokens a minute, and budgets of the key, of its team and of everybody, one of them strict; `road` has none of it. Processor
time includes what is done behind the answer: journal, ledger, accounts.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import budgets
from benchmarks.rig import bodies, load, processes
from benchmarks.rig.processes import Target

CONNECTIONS = 32
SETTLE_S = 1.5
A_MINUTE = 10_000_000
"""So many requests a minute, and a hundred times as many tokens: the limits are asked and never reached."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of one proxy."""

    cpu_ms: float
    p50_ms: float
    p99_ms: float


def measure(target: Target, headers: dict[str, str], requests: int, per_s: float) -> Sample:
    """One round."""
    assert target.pid is not None
    before = processes.cpu_s(target.pid)
    found = load.run(
        target.url, [bodies.small()], requests=requests, connections=CONNECTIONS, per_s=per_s, headers=headers
    )
    time.sleep(SETTLE_S)
    used_ms = 1000 * (processes.cpu_s(target.pid) - before) / requests
    return Sample(used_ms, found.percentile_ms(0.5), found.percentile_ms(0.99))


def limited(directory: Path, environment: dict[str, str]) -> str:
    """A key with everything that can be asked of it; its secret."""
    made = budgets.headroom(environment, "key", "create", "bench", "--team", "bench", "--json")
    secret: str = json.loads(made.stdout)["secret"]
    for arguments in (
        ("100000", "--key", "bench", "--period", "daily"),
        ("100000", "--team", "bench", "--period", "monthly"),
        ("10000000", "--period", "monthly", "--strict"),
    ):
        done = budgets.headroom(environment, "budget", "create", *arguments)
        if done.returncode:
            raise RuntimeError(done.stderr)
    return secret


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--per-s", type=float, default=500.0)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    processes.end_with_children()
    requests = round(options.per_s * options.seconds)
    samples: dict[str, list[Sample]] = {"road": [], "limits": []}
    with contextlib.ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix="headroom-benchmark-"))
        provider = stack.enter_context(processes.provider(Path(name)))
        redis_url = stack.enter_context(budgets.redis_database())
        targets: dict[str, tuple[Target, dict[str, str]]] = {}
        for kind in samples:
            directory = Path(name) / kind
            directory.mkdir()
            environment = {
                "HEADROOM_WORKSPACE_DIR": str(directory / "workspace"),
                "HEADROOM_DATABASE_URL": stack.enter_context(budgets.database()),
                "HEADROOM_REDIS_URL": redis_url,
                "HEADROOM_RATE_LIMIT_ENABLED": "1" if kind == "limits" else "0",
                "HEADROOM_RPM": str(A_MINUTE),
                "HEADROOM_TPM": str(100 * A_MINUTE),
            }
            budgets.headroom(environment, "migrate")
            headers = {"x-headroom-key": limited(directory, environment)} if kind == "limits" else {}
            proxy = processes.headroom(directory, provider.url, environment=environment)
            targets[kind] = (stack.enter_context(proxy), headers)
        for target, headers in targets.values():
            measure(target, headers, requests // 2, options.per_s)
        for number in range(options.rounds):
            for kind in samples if number % 2 else reversed(list(samples)):
                samples[kind].append(measure(*targets[kind], requests, options.per_s))
                print(f"round {number + 1}: {kind} {samples[kind][-1]}", file=sys.stderr)
    medians = {
        kind: Sample(
            *(statistics.median(getattr(one, field) for one in ones) for field in ("cpu_ms", "p50_ms", "p99_ms"))
        )
        for kind, ones in samples.items()
    }
    added = statistics.median(b.cpu_ms - a.cpu_ms for a, b in zip(samples["road"], samples["limits"], strict=True))
    found = {
        "requests_per_s": options.per_s,
        **{kind: asdict(one) for kind, one in medians.items()},
        "added_cpu_ms": round(added, 3),
        "added_p99_ms": round(medians["limits"].p99_ms - medians["road"].p99_ms, 2),
    }
    if options.json:
        print(json.dumps(found, indent=2))
        return
    for kind, one in medians.items():
        print(f"{kind:8} CPU {one.cpu_ms:.3f} ms   p50 {one.p50_ms:.2f} ms   p99 {one.p99_ms:.2f} ms")
    print(
        f"added    CPU {found['added_cpu_ms']} ms   p99 {found['added_p99_ms']} ms   at {options.per_s:.0f} requests/s"
    )


if __name__ == "__main__":
    main()
