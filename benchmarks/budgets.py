"""Does a limit hold? Many calls at once against a budget for fewer, with workers killed and servers away in the middle.

    python -m benchmarks.budgets [--rounds 20] [--workers 4] [--calls 200] [--fit 50] [--outage-s 30] [--normal] [--json]

Needs PostgreSQL and Redis (HEADROOM_TEST_POSTGRES_URL, HEADROOM_TEST_REDIS_URL), where it uses a database of its own. Each
round has a key with a budget for exactly `fit` calls at their highest price, which is what the stand-in provider bills. In
every other round one worker is killed with kill -9 while calls are under way. In two rounds more, half of the calls come,
PostgreSQL (then Redis) is away for `outage-s`, and the other half comes when it is back. The provider's tally is the judge:
what it billed must never exceed the budget. At the end nothing may be held any more, and accounts must equal the ledger.

With `--normal` the budgets are normal ones, and the provider bills a fifth more input than was estimated. They may be
exceeded by what calls under way cost beyond what was held for them, and with PostgreSQL away by what workers let pass unasked,
which is never more than the limit; these bounds are printed beside what they were exceeded by.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import psycopg
import redis

from benchmarks.rig import processes
from benchmarks.rig.forwarder import Cable

POSTGRES_URL = os.environ.get("HEADROOM_TEST_POSTGRES_URL", "postgresql://root@127.0.0.1:5432/postgres")
REDIS_URL = os.environ.get("HEADROOM_TEST_REDIS_URL", "redis://127.0.0.1:6379")
REDIS_CLAIM, CLAIM_S = "headroom-tests-claim", 4 * 3600
"""What the tests mark the databases of a Redis with that they use; so do we."""
MODEL, MAX_TOKENS = "claude-sonnet-4-5", 100
BODY = json.dumps(
    {"model": MODEL, "max_tokens": MAX_TOKENS, "messages": [{"role": "user", "content": "How much is left? " * 20}]}
).encode()
INPUT_TOKENS = len(BODY) + 4096
COST_NANO_USD = INPUT_TOKENS * 6000 + MAX_TOKENS * 15_000
"""All of it written to the cache for an hour, the dearest that input can be: $6 a million tokens; $15 for output."""
ANSWER_S = 0.3
SNAPSHOT_S = 2.5
SETTLE_S = 40.0
BACK_S = 6.0
"""Until workers have noticed that a server is back."""


@dataclass(frozen=True, slots=True)
class Round:
    """`billed` calls reached the provider, which is what counts; `answered` is what clients got to see."""

    number: int
    event: str
    billed: int
    answered: dict[str, int]
    overshoot_nano_usd: int
    seconds: float


class Provider:
    """Bills every call the same, at its highest price unless told otherwise, and counts whose it was."""

    def __init__(self, usage: dict[str, object]) -> None:
        self.usage = usage
        self.billed: Counter[str] = Counter()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
                await reader.readexactly(int(lines.get("content-length", "0")))
                self.billed[lines.get("x-api-key", "")] += 1
                await asyncio.sleep(ANSWER_S)
                body = json.dumps(_message(self.usage)).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
                    + body
                )
                await writer.drain()
        writer.close()


def _message(usage: dict[str, object]) -> dict[str, object]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [{"type": "text", "text": "Nothing."}],
        "stop_reason": "max_tokens",
        "usage": usage,
    }


DEAREST: dict[str, object] = {
    "input_tokens": 0,
    "cache_read_input_tokens": 0,
    "cache_creation_input_tokens": INPUT_TOKENS,
    "cache_creation": {"ephemeral_1h_input_tokens": INPUT_TOKENS, "ephemeral_5m_input_tokens": 0},
    "output_tokens": MAX_TOKENS,
}
ESTIMATED_TOKENS = len(BODY) // 4
A_FIFTH_MORE: dict[str, object] = {"input_tokens": ESTIMATED_TOKENS * 6 // 5, "output_tokens": MAX_TOKENS}
NORMAL_COST_NANO_USD = ESTIMATED_TOKENS * 6 // 5 * 3000 + MAX_TOKENS * 15_000
NORMAL_HOLD_NANO_USD = ESTIMATED_TOKENS * 3000 + MAX_TOKENS * 15_000


@contextlib.contextmanager
def database() -> Iterator[str]:
    """An empty database of our own."""
    name = f"headroom_benchmark_{uuid.uuid4().hex[:10]}"
    with psycopg.connect(POSTGRES_URL, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
        try:
            yield urlunsplit(urlsplit(POSTGRES_URL)._replace(path=f"/{name}"))
        finally:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextlib.contextmanager
def redis_database() -> Iterator[str]:
    """A database of the Redis that nobody uses, emptied at the end."""
    for number in range(15, 0, -1):
        with redis.Redis.from_url(url := f"{REDIS_URL}/{number}") as client:
            if client.dbsize() or not client.set(REDIS_CLAIM, os.getpid(), nx=True, ex=CLAIM_S):
                continue
            try:
                yield url
            finally:
                client.flushdb()
            return
    raise RuntimeError(f"every database of the Redis at {REDIS_URL} is in use")


def headroom(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command beside the proxy."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=processes.ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def new_key(environment: dict[str, str], name: str, fit: int, *, is_normal: bool) -> str:
    """A key with a budget for exactly so many calls."""
    secret: str = json.loads(headroom(environment, "key", "create", name, "--json").stdout)["secret"]
    usd = f"{fit * (NORMAL_COST_NANO_USD if is_normal else COST_NANO_USD) / 1e9:.9f}"
    policy = () if is_normal else ("--strict",)
    done = headroom(environment, "budget", "create", usd, "--key", name, "--period", "total", *policy)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return secret


@dataclass(frozen=True, slots=True)
class Stand:
    """What is measured, and what stands around it."""

    target: processes.Target
    provider: Provider
    environment: dict[str, str]
    """For commands beside the proxy, which go to the servers directly."""
    cables: dict[str, Cable]


async def play(number: int, event: str, stand: Stand, options: argparse.Namespace) -> Round:
    """One round."""
    name, provider, target = f"round-{number}-{uuid.uuid4().hex[:6]}", stand.provider, stand.target
    secret = await asyncio.to_thread(new_key, stand.environment, name, options.fit, is_normal=options.normal)
    await asyncio.sleep(SNAPSHOT_S)
    started = time.perf_counter()
    headers = {"x-headroom-key": secret, "x-api-key": f"sk-{name}", "content-type": "application/json"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=headers) as session:
        at_first = options.calls // 2 if event in stand.cables else options.calls
        calls = [asyncio.create_task(_call(session, target.url)) for _ in range(at_first)]
        if event:
            while provider.billed[f"sk-{name}"] < options.fit // 5:  # noqa: ASYNC110 - counted in this very loop
                await asyncio.sleep(0.002)
        if event == "kill":
            os.kill(_some_worker(target, number), signal.SIGKILL)
        elif event:
            stand.cables[event].cut()
            await asyncio.sleep(options.outage_s)
            stand.cables[event].mend()
            await asyncio.sleep(BACK_S)
            rest = options.calls - at_first
            calls += [asyncio.create_task(_call(session, target.url)) for _ in range(rest)]
        answered = Counter(await asyncio.gather(*calls))
    billed = provider.billed[f"sk-{name}"]
    if event == "kill":
        await asyncio.sleep(3)  # until the supervisor has another worker
    overshoot = max(0, billed - options.fit) * (NORMAL_COST_NANO_USD if options.normal else COST_NANO_USD)
    return Round(number, event, billed, dict(answered), overshoot, round(time.perf_counter() - started, 2))


async def _call(session: aiohttp.ClientSession, url: str) -> str:
    try:
        async with session.post(f"{url}/v1/messages", data=BODY) as answer:
            await answer.read()
            return str(answer.status)
    except (aiohttp.ClientError, ConnectionError):
        return "cut off"


def _some_worker(target: processes.Target, number: int) -> int:
    """One of the serving processes: children of the supervisor that Python started for it."""
    assert target.pid is not None
    workers = []
    for pid in processes.tree(target.pid)[1:]:
        with contextlib.suppress(OSError):
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if int(stat[1]) == target.pid and b"spawn_main" in command:
                workers.append(pid)
    return workers[number % len(workers)]


def set_aside(url: str) -> int:
    """What all accounts together still hold."""
    with psycopg.connect(url) as connection:
        query = "SELECT coalesce(sum(held_nano_usd + leased_nano_usd), 0) FROM budgets_budgetperiod"
        row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def events(options: argparse.Namespace) -> list[str]:
    """What happens in each round."""
    usual = ["kill" if number % 2 else "" for number in range(options.rounds)]
    return usual + (["postgres away", "redis away"] if options.outage_s else [])


async def _behind(cable: Cable, url: str) -> str:
    """The address of a server through a cable."""
    parts = urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{await cable.open()}"))


def _cable(url: str, port: int) -> Cable:
    parts = urlsplit(url)
    return Cable(parts.hostname or "127.0.0.1", parts.port or port)


async def run(options: argparse.Namespace) -> dict[str, object]:
    """All rounds."""
    provider = Provider(A_FIFTH_MORE if options.normal else DEAREST)
    server = await asyncio.start_server(provider.serve, "127.0.0.1", 0, backlog=1024)
    upstream = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    with (
        tempfile.TemporaryDirectory(prefix="headroom-benchmark-") as name,
        database() as url,
        redis_database() as redis_url,
    ):
        directory = Path(name)
        environment = {
            "HEADROOM_WORKSPACE_DIR": str(directory / "workspace"),
            "HEADROOM_DATABASE_URL": url,
            "HEADROOM_REDIS_URL": redis_url,
        }
        await asyncio.to_thread(headroom, environment, "migrate")
        stack = contextlib.ExitStack()
        cables = {"postgres away": _cable(url, 5432), "redis away": _cable(redis_url, 6379)}
        behind = environment | {
            "HEADROOM_DATABASE_URL": await _behind(cables["postgres away"], url),
            "HEADROOM_REDIS_URL": await _behind(cables["redis away"], redis_url),
            "HEADROOM_RATE_LIMIT_ENABLED": "1",
            "HEADROOM_RPM": "1000000",
        }
        arguments = ("--workers", str(options.workers))
        started = processes.headroom(directory, upstream, *arguments, environment=behind)
        stand = Stand(await asyncio.to_thread(stack.enter_context, started), provider, environment, cables)
        try:
            rounds = []
            for number, event in enumerate(events(options)):
                rounds.append(await play(number, event, stand, options))
                print(rounds[-1], file=sys.stderr)
            waited = time.perf_counter()
            while await asyncio.to_thread(set_aside, url) and time.perf_counter() - waited < SETTLE_S:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
            waited = time.perf_counter() - waited
            audit = await asyncio.to_thread(headroom, environment, "audit", "--json")
            held = await asyncio.to_thread(set_aside, url)
        finally:
            await asyncio.to_thread(stack.close)
            for cable in cables.values():
                cable.close()
    server.close()
    beyond = max(0, NORMAL_COST_NANO_USD - NORMAL_HOLD_NANO_USD)
    return {
        "overshoot_nano_usd": sum(one.overshoot_nano_usd for one in rounds),
        "most_in_a_round_nano_usd": max(one.overshoot_nano_usd for one in rounds if one.event != "postgres away"),
        "bound_in_a_round_nano_usd": options.calls * beyond if options.normal else 0,
        "with_postgres_away_nano_usd": sum(one.overshoot_nano_usd for one in rounds if one.event == "postgres away"),
        "bound_with_postgres_away_nano_usd": options.calls * beyond + options.fit * NORMAL_COST_NANO_USD
        if options.normal
        else 0,
        "fewest_billed": min(one.billed for one in rounds),
        "most_billed": max(one.billed for one in rounds),
        "set_aside_at_the_end_nano_usd": held,
        "seconds_until_nothing_was_held": round(waited, 1),
        "audit": json.loads(audit.stdout),
        "rounds": [asdict(one) for one in rounds],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--calls", type=int, default=200, help="at once, in each round")
    parser.add_argument("--fit", type=int, default=50, help="how many of them the budget is for")
    parser.add_argument("--outage-s", type=float, default=30.0, help="how long each server is away; 0 leaves that out")
    parser.add_argument("--normal", action="store_true", help="normal budgets instead of strict ones")
    parser.add_argument("--json", action="store_true", help="print every round too")
    options = parser.parse_args()
    processes.end_with_children()
    found = asyncio.run(run(options))
    if not options.json:
        del found["rounds"]
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
