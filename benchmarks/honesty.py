"""Are reported savings true? Recorded sessions are sent twice, to a provider that bills prompt caching and through us to it.

    python -m benchmarks.honesty FOLDER_OR_FILES... [--as-anthropic] [--token-ratio 1.2] [--life 20 --idle 25]
                                 [--sim URL] [--observe] [--json]

Recordings are what `headroom replay` reads, and their requests are built as it builds them.

The truth is the one bill less the other; the claim is what our ledger says was saved. A claim may be off by 3 % of the
saving or 0.3 % of the bill, whichever is more: in total, and for every session. `--sim` takes a running stand-in that
knows `POST /sim/reset` instead of ours. `--idle` is one pause in the middle of all sessions, `--life` the cache's lifetime.
With `--observe` the bytes go out as they came, and the claim is what shortening would have saved; its truth is what a run
without `--observe` saves.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import sqlite3
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from benchmarks.rig import processes
from proxy.providers import anthropic, openai_chat
from proxy.replay import agents, message_files, recordings
from proxy.replay.values import Session, Turn, Unreadable
from proxy.values import Reading

PRICES = {"anthropic": (3.0, 0.30, 3.75, 6.0, 15.0), "openai": (2.5, 1.25, 2.5, 2.5, 10.0)}
"""Dollars per million tokens of the models that are asked for: fresh, read, written for 5 minutes and 1 hour, output."""
MODELS = {"anthropic": "claude-sonnet-4-5-20250929", "openai": "gpt-4o"}
PATHS = {"anthropic": "/v1/messages", "openai": "/v1/chat/completions"}
SHARE_OF_SAVING, SHARE_OF_BILL = 0.03, 0.003
FLUSH_TIMEOUT_S = 60.0


@dataclass(slots=True)
class Compared:
    """One session, in dollars. `claimed` is the ledger's."""

    name: str
    direct: float
    ours: float
    claimed: float
    booked: float
    outcomes: dict[str, int]

    @property
    def saved(self) -> float:
        return self.direct - self.ours

    @property
    def off(self) -> float:
        return self.claimed - self.saved

    @property
    def allowed(self) -> float:
        return max(SHARE_OF_SAVING * abs(self.saved), SHARE_OF_BILL * self.direct)

    @property
    def is_honest(self) -> bool:
        return abs(self.off) <= self.allowed


class Client:
    """One connection over which sessions are sent."""

    def __init__(self, url: str) -> None:
        place = urlparse(url)
        self._connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=300)

    def cost(self, recording: Session, turn: Turn) -> float:
        """Send one turn; returns what the provider charges for it."""
        body = agents.request(recording, turn, model=MODELS[recording.dialect])
        headers = {
            "content-type": "application/json",
            "x-headroom-session-id": recording.name,
            "x-api-key": "sk-ant-none",
            "authorization": "Bearer sk-none",
        }
        try:
            self._connection.request("POST", PATHS[recording.dialect], body, headers)
        except OSError:  # closed while nobody used it
            self._connection.close()
            self._connection.request("POST", PATHS[recording.dialect], body, headers)
        response = self._connection.getresponse()
        content = response.read()
        if response.status != 200:
            raise SystemExit(f"{recording.name}, answer {turn.length}: {response.status} {content[:300]!r}")
        is_event_stream = response.headers.get("content-type", "").startswith("text/event-stream")
        return _charged(recording.dialect, _reading(recording.dialect, content, is_event_stream))


def _reading(dialect: str, content: bytes, is_event_stream: bool) -> Reading:
    meter = (anthropic if dialect == "anthropic" else openai_chat).meter(is_event_stream)
    meter.feed(content)
    return meter.reading()


def _charged(dialect: str, reading: Reading) -> float:
    usage = reading.usage
    counts = (usage.input_fresh, usage.cache_read, usage.cache_write_5m, usage.cache_write_1h, usage.output)
    return sum((tokens or 0) * price for tokens, price in zip(counts, PRICES[dialect], strict=True)) / 1e6


def _bills(url: str, sessions: list[Session], options: argparse.Namespace) -> dict[str, float]:
    """Send all sessions one after the other, in two halves where there is a pause between them."""
    client, bills = Client(url), {session.name: 0.0 for session in sessions}
    for half in (0, 1) if options.idle else (None,):
        if half == 1:
            time.sleep(options.idle)
        for session in sessions:
            middle = len(session.turns) // 2
            turns = session.turns if half is None else session.turns[:middle] if half == 0 else session.turns[middle:]
            for turn in turns:
                bills[session.name] += client.cost(session, turn)
            sys.stderr.write(f"\r\x1b[K{session.name}" if sys.stderr.isatty() else "")
    return bills


def _claims(database: Path, calls: int) -> dict[str, tuple[float, float, dict[str, int]]]:
    """What the ledger says of each session, once it has every call: saved and billed, in dollars, and cache outcomes."""
    deadline = time.monotonic() + FLUSH_TIMEOUT_S
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        while True:
            (rows,) = connection.execute("SELECT count(*) FROM savings_ledgerentry WHERE status != 'void'").fetchone()
            if rows >= calls or time.monotonic() > deadline:
                break
            time.sleep(0.1)
        claims: dict[str, tuple[float, float, dict[str, int]]] = {}
        for session, outcome, count, saved, cost in connection.execute(
            "SELECT session, cache_outcome, count(*), sum(saved_nano_usd), sum(cost_nano_usd)"
            " FROM savings_ledgerentry GROUP BY session, cache_outcome"
        ):
            saved_before, cost_before, outcomes = claims.get(session, (0.0, 0.0, {}))
            claims[session] = (
                saved_before + (saved or 0) / 1e9,
                cost_before + (cost or 0) / 1e9,
                outcomes | {outcome: count},
            )
    return claims


@contextlib.contextmanager
def _provider(directory: Path, sim: str) -> Iterator[str]:
    if sim:
        yield sim.rstrip("/")
        return
    port = processes.free_port()
    command = [sys.executable, "-m", "uvicorn", "--port", str(port), "--no-access-log", "--log-level", "warning"]
    url = f"http://127.0.0.1:{port}"
    with processes.running(
        [*command, "benchmarks.rig.caching_provider:app"], log=directory / "provider.log", ready_url=f"{url}/v1/models"
    ):
        yield url


def _reset(url: str, options: argparse.Namespace) -> None:
    body = json.dumps({"ttl_5m": options.life, "token_ratio": options.token_ratio}).encode()
    urllib.request.urlopen(urllib.request.Request(f"{url}/sim/reset", body), timeout=10).read()


def compare(sessions: list[Session], options: argparse.Namespace) -> list[Compared]:
    """Send everything both ways."""
    with tempfile.TemporaryDirectory(prefix="headroom-benchmark-") as name, contextlib.ExitStack() as stack:
        directory = Path(name)
        provider = stack.enter_context(_provider(directory, options.sim))
        _reset(provider, options)
        direct = _bills(provider, sessions, options)
        flags = ["--mode", options.mode]
        if options.observe:
            ours = _through(stack, directory / "real", provider, sessions, options, flags)[0]
            _, claims = _through(stack, directory / "observed", provider, sessions, options, [*flags, "--observe"])
        else:
            ours, claims = _through(stack, directory / "real", provider, sessions, options, flags)
    return [
        Compared(one.name, direct[one.name], ours[one.name], *claims.get(one.name, (0.0, 0.0, {}))) for one in sessions
    ]


def _through(
    stack: contextlib.ExitStack,
    directory: Path,
    provider: str,
    sessions: list[Session],
    options: argparse.Namespace,
    flags: list[str],
) -> tuple[dict[str, float], dict[str, tuple[float, float, dict[str, int]]]]:
    directory.mkdir()
    _reset(provider, options)
    proxy = stack.enter_context(processes.headroom(directory, provider, *flags))
    bills = _bills(proxy.url, sessions, options)
    calls = sum(len(session.turns) for session in sessions)
    return bills, _claims(directory / "workspace" / "headroom.sqlite3", calls)


def _total(rows: list[Compared]) -> Compared:
    outcomes: dict[str, int] = {}
    for row in rows:
        for outcome, count in row.outcomes.items():
            outcomes[outcome] = outcomes.get(outcome, 0) + count
    sums = [sum(getattr(row, name) for row in rows) for name in ("direct", "ours", "claimed", "booked")]
    return Compared("TOTAL", *sums, outcomes)


def _as_json(row: Compared) -> dict[str, Any]:
    return {
        "name": row.name,
        "direct": round(row.direct, 6),
        "ours": round(row.ours, 6),
        "saved": round(row.saved, 6),
        "claimed": round(row.claimed, 6),
        "off": round(row.off, 6),
        "allowed": round(row.allowed, 6),
        "booked_off": round(row.booked - row.ours, 6),
        "is_honest": row.is_honest,
        "outcomes": row.outcomes,
    }


def _table(rows: list[Compared]) -> str:
    lines = [f"{'':48}{'direct':>9}{'ours':>9}{'saved':>9}{'claimed':>9}{'off/allowed':>12}"]
    for row in rows:
        used = row.off / row.allowed if row.allowed else 0.0
        note = "" if row.is_honest else "  OFF"
        figures = f"{row.direct:>9.4f}{row.ours:>9.4f}{row.saved:>9.4f}{row.claimed:>9.4f}{used:>12.2f}"
        lines.append(f"{row.name[:46]:48}{figures}{note}  {row.outcomes}")
    return "\n".join(lines)


def _sessions(paths: list[Path], *, as_anthropic: bool, max_turns: int) -> Iterator[Session]:
    for path in recordings.find(paths):
        try:
            session = recordings.read(path)
        except Unreadable as exc:
            print(f"skipped {path}: {exc}", file=sys.stderr)
            continue
        if as_anthropic and session.dialect == "openai":
            session = _as_anthropic(session)
        # A session that did not record its tools and system prompt is sent without.
        yield replace(session, turns=session.turns[:max_turns], leaves_out_prefix=False)


def _as_anthropic(session: Session) -> Session:
    messages = [_as_blocks(message) for message in session.turns[-1].history]
    system = [{"type": "text", "text": str(block.get("text", ""))} for block in session.system]
    return message_files.read({"format": "anthropic", "messages": messages, "system": system}, name=session.name)


def _as_blocks(message: dict[str, Any]) -> dict[str, Any]:
    role, content = message.get("role"), message.get("content")
    text = content if isinstance(content, str) else json.dumps(content) if content else ""
    if role in ("tool", "function"):
        result = {"type": "tool_result", "tool_use_id": message.get("tool_call_id") or "t", "content": text}
        return {"role": "user", "content": [result]}
    if role != "assistant":
        return {"role": role, "content": text or "."}
    blocks: list[dict[str, Any]] = [{"type": "text", "text": text}] if text.strip() else []
    for call in message.get("tool_calls") or []:
        function = call.get("function", {})
        given = {"arguments": function.get("arguments")}
        blocks.append(
            {"type": "tool_use", "id": call.get("id") or "t", "name": function.get("name", "tool"), "input": given}
        )
    return {"role": "assistant", "content": blocks or [{"type": "text", "text": "."}]}


def main() -> None:
    """Compare and print; the exit code is 1 when a claim is off."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--as-anthropic", action="store_true")
    parser.add_argument("--token-ratio", type=float, default=1.0)
    parser.add_argument("--life", type=float, default=300.0)
    parser.add_argument("--idle", type=float, default=0.0)
    parser.add_argument("--mode", choices=["token", "cache"], default="token")
    parser.add_argument("--max-turns", type=int, default=500)
    parser.add_argument("--only", default="", help="sessions whose name begins with one of these, split by commas")
    parser.add_argument("--sim", default="")
    parser.add_argument("--observe", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    processes.end_with_children()
    sessions = [
        session
        for session in _sessions(options.paths, as_anthropic=options.as_anthropic, max_turns=options.max_turns)
        if session.name.startswith(tuple(options.only.split(",")))
    ]
    rows = compare(sessions, options)
    every = [*rows, _total(rows)]
    print(json.dumps([_as_json(row) for row in every], indent=1) if options.json else _table(every))
    print(f"{sum(not row.is_honest for row in every)} of {len(every)} claims are off", file=sys.stderr)
    sys.exit(any(not row.is_honest for row in every))


if __name__ == "__main__":
    main()
