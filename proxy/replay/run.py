"""One replay over many files: what became of each, and what was skipped."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection

from headroom import pipeline, tokens
from headroom.values import Policy, Shrunk, ToolCall
from proxy import gateway
from proxy.conversations import Conversations
from proxy.offload import MAX_CHARS, Offload
from proxy.replay import outcomes, recordings
from proxy.replay.outcomes import Outcome
from proxy.replay.playback import Mode, Playback, Settings
from proxy.replay.values import Session, Unreadable
from proxy.stores import NoStore
from savings.pricing import PriceBook

logger = logging.getLogger(__name__)

DEMO = Path(__file__).with_name("demo") / "session.jsonl"
"""The session that ships with the package."""


@dataclass(frozen=True, slots=True)
class Target:
    """A file to replay and what reports call it."""

    path: Path
    name: str


@dataclass(slots=True)
class Run:
    """What a replay found. `skipped` are files with the reason, `bad_lines` counts unreadable lines of files."""

    sessions: list[Outcome] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    bad_lines: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The totals, then every session and every skipped file."""
        return {
            **outcomes.as_json(outcomes.total(self.sessions)),
            "per_session": [outcomes.session_as_json(one) for one in self.sessions],
            "skipped": [{"path": path, "reason": reason} for path, reason in self.skipped],
            "bad_lines": self.bad_lines,
        }


def targets(paths: Iterable[Path], *, with_demo: bool) -> list[Target]:
    """The files to replay; those below a folder are called by their path inside it."""
    demo = [Target(DEMO, "demo session")] if with_demo else []
    named = [
        Target(file, str(file.relative_to(path)) if path.is_dir() else file.name)
        for path in paths
        for file in recordings.find([path])
    ]
    return demo + named


def replay(
    files: Iterable[Target],
    *,
    mode: Mode | None,
    model: str,
    max_turns: int | None,
    on_turn: Callable[[], None],
    on_file: Callable[[], None],
) -> Run:
    """Replay every file with the policy that the proxy has here and now, and no store but memory.

    `mode` is the proxy's when `None`, `model` the recorded one when "". The functions are called after each turn and file.
    """
    options = Settings(
        policy=gateway.policy(),
        prices=_prices(),
        now_s=time.time(),
        mode=mode or _configured_mode(),
        model=model,
        max_turns=max_turns,
    )
    tokens.load()
    return asyncio.run(_replayed(files, options, on_turn, on_file))


def _configured_mode() -> Mode:
    return "cache" if settings.MODE == "cache" else "token"


async def _replayed(
    files: Iterable[Target], options: Settings, on_turn: Callable[[], None], on_file: Callable[[], None]
) -> Run:
    road = Conversations(store=NoStore(), offload=_InProcess())
    run = Run()
    seen: set[str] = set()
    for target in files:
        session = _read(target, seen, run)
        if session is not None:
            run.sessions.append(await Playback(session, road, options).play(on_turn))
        on_file()
    return run


class _InProcess(Offload):
    """Shrinks large texts here: there is no other request that would have to wait. The bytes are the same."""

    async def shrink(self, text: str, call: ToolCall, policy: Policy) -> Shrunk:
        return (
            pipeline.shrink(text, call=call, policy=policy)
            if len(text) <= MAX_CHARS
            else await super().shrink(text, call, policy)
        )


def _read(target: Target, seen: set[str], run: Run) -> Session | None:
    try:
        session = recordings.read(target.path, name=target.name, seen=seen)
    except Unreadable as exc:
        run.skipped.append((str(target.path), str(exc)))
        return None
    if session.bad_lines:
        run.bad_lines[str(target.path)] = session.bad_lines
    return session


def _prices() -> PriceBook:
    """The price book, with the prices that were set in this workspace where it has a database yet."""
    book = PriceBook()
    book.warm()
    if settings.IS_EMBEDDED and not Path(settings.DATABASES["default"]["NAME"]).exists():
        return book
    try:
        book.refresh()
    except DatabaseError:
        logger.warning("prices of this workspace cannot be read; the public list is used alone")
    finally:
        connection.close()
    return book
