"""Does a limit hold? Many calls at once against a strict budget for fewer, with workers killed in the middle.

    python -m benchmarks.budgets [--rounds 20] [--workers 4] [--calls 200] [--fit 50] [--json]

Needs PostgreSQL and Redis (HEADROOM_TEST_POSTGRES_URL, HEADROOM_TEST_REDIS_URL), where it uses a database of its own. Each
round has a key with a budget for exactly `fit` calls at their highest price, which is what the stand-in provider bills. In
every other round one worker is killed with kill -9 while calls are under way. The provider's tally is the judge: what it
billed must never exceed the budget. At the end nothing may be held any more, and accounts must equal the ledger.
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

from benchmarks.rig import processes

POSTGRES_URL = os.environ.get("HEADROOM_TEST_POSTGRES_URL", "postgresql://root@127.0.0.1:5432/postgres")
REDIS_URL = os.environ.get("HEADROOM_TEST_REDIS_URL", "redis://127.0.0.1:6379") + "/15"
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


@dataclass(frozen=True, slots=True)
class Round:
    """`billed` calls reached the provider, which is what counts; `answered` is what clients got to see."""

    number: int
    with_kill: bool
    billed: int
    answered: dict[str, int]
    overshoot_nano_usd: int
    seconds: float


class Provider:
    """Bills every call at its highest price, and counts whose it was."""

    def __init__(self) -> None:
        self.billed: Counter[str] = Counter()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
                await reader.readexactly(int(lines.get("content-length", "0")))
                self.billed[lines.get("x-api-key", "")] += 1
                await asyncio.sleep(ANSWER_S)
                body = json.dumps(_message()).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
                    + body
                )
                await writer.drain()
        writer.close()


def _message() -> dict[str, object]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [{"type": "text", "text": "Nothing."}],
        "stop_reason": "max_tokens",
        "usage": {
            "input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation_input_tokens": INPUT_TOKENS,
            "cache_creation": {"ephemeral_1h_input_tokens": INPUT_TOKENS, "ephemeral_5m_input_tokens": 0},
            "output_tokens": MAX_TOKENS,
        },
    }


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


def new_key(environment: dict[str, str], name: str, fit: int) -> str:
    """A key with a strict budget for exactly so many calls."""
    secret: str = json.loads(headroom(environment, "key", "create", name, "--json").stdout)["secret"]
    usd = f"{fit * COST_NANO_USD / 1e9:.9f}"
    done = headroom(environment, "budget", "create", usd, "--key", name, "--period", "total", "--strict")
    if done.returncode:
        raise RuntimeError(done.stderr)
    return secret


async def play(
    number: int, target: processes.Target, provider: Provider, environment: dict[str, str], options: argparse.Namespace
) -> Round:
    """One round."""
    name = f"round-{number}-{uuid.uuid4().hex[:6]}"
    secret = await asyncio.to_thread(new_key, environment, name, options.fit)
    await asyncio.sleep(SNAPSHOT_S)
    with_kill = number % 2 == 1
    started = time.perf_counter()
    headers = {"x-headroom-key": secret, "x-api-key": f"sk-{name}", "content-type": "application/json"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=headers) as session:
        calls = [asyncio.create_task(_call(session, target.url)) for _ in range(options.calls)]
        if with_kill:
            while provider.billed[f"sk-{name}"] < options.fit // 5:  # noqa: ASYNC110 - counted in this very loop
                await asyncio.sleep(0.002)
            os.kill(_some_worker(target, number), signal.SIGKILL)
        answered = Counter(await asyncio.gather(*calls))
    billed = provider.billed[f"sk-{name}"]
    if with_kill:
        await asyncio.sleep(3)  # until the supervisor has another worker
    overshoot = max(0, billed - options.fit) * COST_NANO_USD
    return Round(number, with_kill, billed, dict(answered), overshoot, time.perf_counter() - started)


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


async def run(options: argparse.Namespace) -> dict[str, object]:
    """All rounds."""
    provider = Provider()
    server = await asyncio.start_server(provider.serve, "127.0.0.1", 0, backlog=1024)
    upstream = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    with tempfile.TemporaryDirectory(prefix="headroom-benchmark-") as name, database() as url:
        directory = Path(name)
        environment = {
            "HEADROOM_WORKSPACE_DIR": str(directory / "workspace"),
            "HEADROOM_DATABASE_URL": url,
            "HEADROOM_REDIS_URL": REDIS_URL,
        }
        await asyncio.to_thread(headroom, environment, "migrate")
        stack = contextlib.ExitStack()
        arguments = ("--workers", str(options.workers))
        started = processes.headroom(directory, upstream, *arguments, environment=environment)
        target = await asyncio.to_thread(stack.enter_context, started)
        try:
            rounds = []
            for number in range(options.rounds):
                rounds.append(await play(number, target, provider, environment, options))
                print(rounds[-1], file=sys.stderr)
            waited = time.perf_counter()
            while await asyncio.to_thread(set_aside, url) and time.perf_counter() - waited < SETTLE_S:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
            waited = time.perf_counter() - waited
            audit = await asyncio.to_thread(headroom, environment, "audit", "--json")
            held = await asyncio.to_thread(set_aside, url)
        finally:
            await asyncio.to_thread(stack.close)
    server.close()
    return {
        "overshoot_nano_usd": sum(one.overshoot_nano_usd for one in rounds),
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
    parser.add_argument("--json", action="store_true", help="print every round too")
    options = parser.parse_args()
    processes.end_with_children()
    found = asyncio.run(run(options))
    if not options.json:
        del found["rounds"]
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
