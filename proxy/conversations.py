"""What to send instead of what: replay what was decided about a conversation, decide what is new in it.

Only tool results are ever touched, and only when they are seen for the first time, right after the call they answer. From
then on their form is fixed. A block that was first seen further back stays as it is: the provider may have it cached.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from django.conf import settings
from django.db import DatabaseError

from headroom.values import Policy, ToolCall
from proxy import database, decisions
from proxy.decisions import Decided
from proxy.offload import Offload
from proxy.values import Call, Plan, ToolResult

logger = logging.getLogger(__name__)

BYTES_PER_TOKEN = 4
"""For the parts of a request that we do not count exactly; o200k needs 3.5 to 4.5 bytes for a token of real prompts."""
SMALL_CHARS = 400
"""Shorter results cannot reach the policy's floor of tokens and need no decision."""


@dataclass(frozen=True, slots=True)
class Stand:
    """Where one result of a request stands: its key, and what was decided about it (`None`: nothing yet)."""

    key: str
    result: ToolResult
    decided: Decided | None


class Store(Protocol):
    """Where decisions outlive the process."""

    async def load(self, keys: list[str]) -> dict[str, Decided]:
        """The stored decisions among these keys. Raises DatabaseError or TimeoutError."""

    async def save(
        self, owner: str, made: dict[str, Decided], results: dict[str, ToolResult], policy: Policy
    ) -> dict[str, Decided]:
        """Store new decisions with their originals and return those that hold now: the first writer's."""


class DatabaseStore:
    """The store that all workers share."""

    async def load(self, keys: list[str]) -> dict[str, Decided]:
        return await database.run(decisions.load, keys)

    async def save(
        self, owner: str, made: dict[str, Decided], results: dict[str, ToolResult], policy: Policy
    ) -> dict[str, Decided]:
        return await database.run(decisions.store, owner, made, results, policy, datetime.now(UTC), lifetime())


class NoStore:
    """Remembers nothing beyond the process: for replays of recorded sessions."""

    async def load(self, keys: list[str]) -> dict[str, Decided]:
        return {}

    async def save(
        self, owner: str, made: dict[str, Decided], results: dict[str, ToolResult], policy: Policy
    ) -> dict[str, Decided]:
        return made


class Conversations:
    """The conversations of one worker."""

    def __init__(self, store: Store | None = None) -> None:
        self.store = store or DatabaseStore()
        self.memory = decisions.Memory()
        self.offload = Offload()

    async def plan(self, call: Call, *, owner: str, policy: Policy) -> Plan:
        """Decide on a request. Never raises for anything that is wrong with texts, shrinkers or the store."""
        if call.document is None:
            return untouched(call, "unparsed")
        sizable = [result for result in call.results if len(result.text) >= SMALL_CHARS]
        if not sizable:
            return untouched(call, "too_small" if call.results else "no_tool_results")
        stands = await self._recall(owner, sizable)
        new = {s.key: s.result for s in stands if s.decided is None and s.result.is_newest}
        made = await self._decide(owner, new, policy) if new else {}
        return _plan(call, [(s.result, s.decided or made.get(s.key)) for s in stands])

    async def _recall(self, owner: str, results: list[ToolResult]) -> list[Stand]:
        keyed = [(decisions.key_of(owner, result), result) for result in results]
        unknown = [key for key, _ in keyed if key not in self.memory]
        if unknown:
            try:
                stored = await self.store.load(unknown)
            except (DatabaseError, TimeoutError):
                logger.warning("the decision store is down; %d blocks are looked at afresh", len(unknown))
                return [
                    Stand(key, result, self.memory.get(key) if key in self.memory else None) for key, result in keyed
                ]
            for key in unknown:
                self.memory.put(key, stored.get(key))
            # A request may hold more than the memory does; what was just read must not be lost to eviction.
            return [Stand(key, r, stored[key] if key in stored else self._known(key)) for key, r in keyed]
        return [Stand(key, result, self.memory.get(key)) for key, result in keyed]

    def _known(self, key: str) -> Decided | None:
        return self.memory.get(key) if key in self.memory else None

    async def _decide(self, owner: str, new: Mapping[str, ToolResult], policy: Policy) -> dict[str, Decided]:
        made: dict[str, Decided] = {}
        for key, result in new.items():
            shrunk = await self.offload.shrink(result.text, ToolCall(result.tool, result.arguments), policy)
            made[key] = Decided.from_shrunk(shrunk)
        try:
            held = await self.store.save(owner, made, dict(new), policy)
        except (DatabaseError, TimeoutError):
            logger.warning("the decision store is down; lossy forms wait until it is back")
            held = {key: _without_loss(decided) for key, decided in made.items()}
        for key, decided in held.items():
            self.memory.put(key, decided)
        return held


def lifetime() -> timedelta:
    """How long decisions and originals outlive their last use."""
    return timedelta(seconds=settings.DECISION_LIFETIME_S)


def untouched(call: Call, reason: str) -> Plan:
    """The plan that sends a request as it is."""
    estimated_tokens = len(call.body) // BYTES_PER_TOKEN
    return Plan(tokens_before=estimated_tokens, tokens_after=estimated_tokens, reason=reason)


def _without_loss(decided: Decided) -> Decided:
    """The decision to make when its original could not be stored: nothing may go out that cannot be had back."""
    if not decided.original_hash:
        return decided
    return Decided(None, "", "store_down", decided.tokens_before, decided.tokens_before)


def _plan(call: Call, outcomes: list[tuple[ToolResult, Decided | None]]) -> Plan:
    replacements = {result.path: made.form for result, made in outcomes if made is not None and made.form is not None}
    counted = [(result, made) for result, made in outcomes if made is not None]
    uncounted_bytes = max(0, len(call.body) - sum(len(result.text) for result, _ in counted))
    rest = uncounted_bytes // BYTES_PER_TOKEN
    labels = [made.label for _, made in counted if made.form is not None]
    return Plan(
        replacements=replacements,
        tokens_before=rest + sum(made.tokens_before for _, made in counted),
        tokens_after=rest + sum(made.tokens_after for _, made in counted),
        transforms=tuple(dict.fromkeys(labels)),
        reason="" if replacements else _reason(outcomes),
    )


def _reason(outcomes: list[tuple[ToolResult, Decided | None]]) -> str:
    """Why nothing was shortened: the reason for the newest result, or that all of them are history."""
    newest = [made.reason for result, made in outcomes if result.is_newest and made is not None]
    return newest[-1] if newest else "history"
