"""From a tool result to its shortest honest form: every fitting shrinker proposes, measured tokens decide."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace

from headroom import detect, registry, tokens
from headroom.values import Attempt, Form, Level, Policy, Shrunk, Source, ToolCall

MARKER = "[headroom left out "
"""How the last line of every lossy form begins."""

LOSSY_SHARE = 0.10
"""A lossy form must be this much shorter than the best lossless one: what is whole needs no second look."""

_MAX_ROUNDS = 8
_MARKER_LINE = re.compile(r"\[headroom left out [^\n]*\]\s*\Z")
_MAX_NOTE_CHARS = 300


def shrink(text: str, *, call: ToolCall, policy: Policy) -> Shrunk:
    """Return the shortest form that clears the policy's margin, or the text itself and the reason why."""
    before = tokens.count(text)
    level = _level(call, policy)
    refusal = _refusal(text, before, level, policy)
    if level is None or refusal:
        return Shrunk(text, before, before, reason=refusal)
    return _search(text, before, call, replace(policy, level=level))


def is_shrunk(text: str) -> bool:
    """Return whether a text ends in our marker."""
    return MARKER in text[-2_000:] and bool(_MARKER_LINE.search(text[-2_000:]))


def original_hash(text: str) -> str:
    """Return the name under which an original is kept: 24 hex digits of its SHA-256."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def _level(call: ToolCall, policy: Policy) -> Level | None:
    """Return how far this tool's results may be shrunk, None for not at all."""
    if call.name in policy.excluded_tools:
        return None
    return dict(policy.tool_levels).get(call.name, policy.level)


def _refusal(text: str, before: int, level: Level | None, policy: Policy) -> str:
    if level is None:
        return "excluded"
    if before < policy.min_tokens:
        return "too_small"
    return "already_shrunk" if is_shrunk(text) else ""


def _search(text: str, before: int, call: ToolCall, policy: Policy) -> Shrunk:
    """Shrink until nothing is gained: a form without loss may open the way for another one."""
    attempts: list[Attempt] = []
    failed: list[str] = []
    digest = original_hash(text)
    current, cost, names, kind, left_out = text, before, [], "", ""
    for _ in range(_MAX_ROUNDS):
        best = _best(current, cost, call, policy, digest, attempts, failed)
        if best is None:
            break
        current, cost, kind, left_out = best.text, best.tokens, kind or best.kind, best.form.left_out
        names.append(best.form.name)
        if left_out or cost < policy.min_tokens:
            break
    if not names:
        reason = f"failed:{failed[0]}" if failed else "no_gain"
        return Shrunk(text, before, before, reason=reason, attempts=tuple(attempts))
    return Shrunk(
        current, before, cost, kind, "+".join(names), left_out, digest if left_out else "", attempts=tuple(attempts)
    )
