"""What open dashboards cost: processor time of the serving process with and without them, while calls come in.

    python -m benchmarks.dashboards [--pages 200] [--seconds 20] [--per-second 5] [--json]

Every page holds its WebSocket open and reads what it is told, as a browser does. The same trickle of calls runs in both
halves, so that the difference is the pages'.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import websockets

from benchmarks.rig import bodies, processes

GOAL_PERCENT = 2.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Processor time in percent of one core, and how many messages the pages got."""

    pages: int
    without_percent: float
    with_percent: float
    messages: int

    @property
    def pages_percent(self) -> float:
        return self.with_percent - self.without_percent


async def measure(target: processes.Target, pages: int, seconds: float, per_second: float) -> Cost:
    """Half of the time without pages, half of it with them."""
    await _trickle(target, 10.0, per_second)  # what happens once is over then
    before = await _share(target, seconds, per_second)
    counts: list[int] = [0]
    readers = [asyncio.create_task(_read(target, counts)) for _ in range(pages)]
    await _trickle(target, 3.0, per_second)
    counts[0] = 0
    with_pages = await _share(target, seconds, per_second)
    for reader in readers:
        reader.cancel()
    results = await asyncio.gather(*readers, return_exceptions=True)
    failed = [result for result in results if not isinstance(result, asyncio.CancelledError)]
    if failed:
        raise RuntimeError(f"{len(failed)} pages were closed: {failed[0]!r}")
    return Cost(pages, before, with_pages, counts[0])


async def _share(target: processes.Target, seconds: float, per_second: float) -> float:
    assert target.pid is not None
    used = processes.own_cpu_s(target.pid)
    await _trickle(target, seconds, per_second)
    return 100 * (processes.own_cpu_s(target.pid) - used) / seconds


async def _trickle(target: processes.Target, seconds: float, per_second: float) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with httpx.AsyncClient(trust_env=False) as client:
        for number in range(int(seconds * per_second)):
            await asyncio.sleep(max(0.0, started + number / per_second - loop.time()))
            answer = await client.post(
                f"{target.url}/v1/messages", content=bodies.small(), headers={"content-type": "application/json"}
            )
            answer.raise_for_status()
    await asyncio.sleep(max(0.0, started + seconds - loop.time()))


async def _read(target: processes.Target, counts: list[int]) -> None:
    address = target.url.replace("http://", "ws://", 1) + "/dashboard/live"
    async with websockets.connect(address, compression=None, open_timeout=60, proxy=None) as socket:
        async for _ in socket:
            counts[0] += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--per-second", type=float, default=5.0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    processes.end_with_children()
    with tempfile.TemporaryDirectory(prefix="headroom-dashboards-") as name:
        directory = Path(name)
        with processes.provider(directory) as provider, processes.headroom(directory, provider.url) as target:
            cost = asyncio.run(measure(target, arguments.pages, arguments.seconds, arguments.per_second))
    if arguments.json:
        print(json.dumps({**asdict(cost), "pages_percent": cost.pages_percent}, indent=2))
        return
    print(f"without pages {cost.without_percent:.2f} % of a core, with {cost.pages} pages {cost.with_percent:.2f} %")
    print(f"the pages: {cost.pages_percent:.2f} % (goal {GOAL_PERCENT} %), {cost.messages} messages")


if __name__ == "__main__":
    main()
