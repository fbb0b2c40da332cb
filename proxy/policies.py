"""What the settings allow the engine: one policy for all that is new, whoever asks."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from django.conf import settings

from headroom.shrinkers import grammars
from headroom.values import Level, Policy
from proxy.aging.epochs import Tuning
from proxy.learning import in_force


def usual(retrieval: str) -> Policy:
    """Return the policy for what is seen for the first time; `retrieval` words how an original can be had.

    Where no originals are kept, or nothing may be left out, no level of a single tool goes further either.
    """
    if settings.LOSSLESS or settings.NO_CCR:
        return _policy("lossless", {}, "")
    return _policy("balanced", settings.TOOL_LEVELS, retrieval)


def pinned(policy: Policy, version: int) -> Policy:
    """The policy as it is in a version, for a conversation that began with that one. One that this worker has not heard of
    yet was adopted a moment ago, and the one that it knows will do."""
    rules = in_force.current().rules
    if version == policy.version or version not in rules:
        return policy
    return replace(policy, version=version, unwanted_forms=rules[version])


def tuned(tuning: Tuning, policy: Policy) -> Tuning:
    """The planner's numbers in the version of a policy."""
    share = in_force.current().horizons.get(policy.version)
    return tuning if share is None else replace(tuning, horizon_share=share)


def _policy(level: Level, tool_levels: dict[str, str], retrieval: str) -> Policy:
    newest = in_force.current()
    return Policy(
        level=level,
        version=newest.number,
        unwanted_forms=newest.rules[newest.number],
        code_aware=settings.CODE_AWARE,
        target_ratio=settings.TARGET_RATIO,
        excluded_tools=frozenset(settings.EXCLUDE_TOOLS),
        tool_levels=tuple((name, cast(Level, found)) for name, found in tool_levels.items()),
        retrieval=retrieval,
    )


def code_awareness() -> str:
    """Return "on", "off", or "unavailable" with the languages whose grammar is not installed."""
    if not settings.CODE_AWARE:
        return "off"
    missing = grammars.missing()
    return f"unavailable: {', '.join(missing)}" if missing else "on"
