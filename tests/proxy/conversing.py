"""Requests of sessions, planned turn by turn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from headroom.values import Policy
from proxy.aging.epochs import Billing
from proxy.conversations import Conversations
from proxy.values import Plan
from tests.proxy import sessions
from tests.proxy.sessions import Step

BILLINGS = {"anthropic": Billing(0.1, 1.25, finds_any_prefix=False), "openai": Billing(0.5, 1.0, finds_any_prefix=True)}
NOON_S = 1_772_000_000.0


async def planned(
    road: Conversations,
    body: bytes,
    dialect: str = "openai",
    *,
    policy: Policy | None = None,
    at_s: float = NOON_S,
    mode: str = "token",
) -> Plan:
    return await road.plan(
        replace(sessions.call(body, dialect), conversation="its name"),
        sessions.PROVIDERS[dialect],
        owner="local",
        policy=policy or Policy(),
        billing=BILLINGS[dialect] if mode == "token" else None,
        at_s=at_s,
    )


async def played(road: Conversations, steps: list[Step], dialect: str = "openai", **options: Any) -> list[Plan]:
    """The plans of all turns, ten seconds apart."""
    bodies = sessions.bodies(steps, dialect)
    return [await planned(road, body, dialect, at_s=NOON_S + 10 * turn, **options) for turn, body in enumerate(bodies)]


def assert_extends(before: list[Any], after: list[Any]) -> None:
    assert after[: len(before)] == before
