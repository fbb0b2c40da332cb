"""What `/v1/compress` decided for a session: a text that was answered in some form keeps that form, or a shorter one.

A client with a session id sends its growing conversation again and again; what it puts before its provider must not change
under way, or the provider's prompt cache is lost. Only a token budget may shorten a form later, and then it stays so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import blake2b

from headroom.fitting import DROPPED
from headroom.messages import Block, Result
from headroom.values import Level, Policy, Shrunk
from headroom.walk import Text
from proxy import decisions
from proxy.decisions import Batch, Decided, FormLevel
from proxy.values import ToolResult

STAGES = ("first", "deep", DROPPED)
"""The forms that a text may go through, in this order."""
MIN_CHARS = 400
"""Shorter texts are never shortened, so there is nothing to keep to."""


def load(owner: str, session: str, texts: Sequence[Text], policy: Policy) -> tuple[dict[int, Shrunk], int]:
    """Return what holds, by the number of the text (of several stored forms the last), and the number of the policy version
    that the session began with. Runs queries."""
    results = _results(session, texts)
    keys = {(number, stage): _key(owner, result, stage) for number, result in results.items() for stage in STAGES}
    stored: dict[str, Decided] = {}
    wanted = list(keys.values())
    for start in range(0, len(wanted), 500):
        stored |= decisions.load(wanted[start : start + 500])
    decisions.touch(list(stored), datetime.now(UTC), decisions.lifetime())
    settled = {
        number: _shrunk(stored[key], results[number].text, policy.level if stage == "first" else "deep")
        for (number, stage), key in keys.items()
        if key in stored
    }
    version = next((stored[key].policy_version for key in keys.values() if key in stored), policy.version)
    return settled, version


def store(owner: str, session: str, texts: Sequence[Text], result: Result, policy: Policy) -> dict[int, Shrunk]:
    """Store the forms of a result with the originals behind them; return those that another call settled before."""
    results = _results(session, texts)
    made: dict[str, Decided] = {}
    of: dict[str, ToolResult] = {}
    for number, tool_result in results.items():
        block = result.explain[number]
        key = _key(owner, tool_result, _stage(block, policy))
        made[key], of[key] = _decided(block, policy), tool_result
    held: dict[str, Decided] = {}
    wanted = list(made)
    for start in range(0, len(wanted), 500):
        batch = Batch(owner, {key: made[key] for key in wanted[start : start + 500]}, of)
        held |= decisions.store(batch, datetime.now(UTC), decisions.lifetime())
    numbers = {key: number for number, key in zip(results, made, strict=True)}
    return {
        numbers[key]: _shrunk(decided, of[key].text, policy.level)
        for key, decided in held.items()
        if decided != made[key]
    }


def _results(session: str, texts: Sequence[Text]) -> dict[int, ToolResult]:
    """Return the texts as tool results; of equal ones each has its place among them for an id."""
    seen: Counter[tuple[str, str, str]] = Counter()
    found: dict[int, ToolResult] = {}
    for text in texts:
        if len(text.text) >= MIN_CHARS:
            same = (text.call.name, text.call.arguments, text.text)
            call_id = f"compress:{session}:{seen[same]}"
            seen[same] += 1
            found[text.number] = ToolResult((), text.text, call_id, text.call.name, text.call.arguments, 0)
    return found


def _key(owner: str, result: ToolResult, stage: str) -> str:
    key = decisions.key_of(owner, result)
    return key if stage == STAGES[0] else blake2b(f"{stage}:{key}".encode(), digest_size=16).hexdigest()


def _stage(block: Block, policy: Policy) -> str:
    if block.form == DROPPED:
        return DROPPED
    return "deep" if block.level == "deep" != policy.level else "first"


def _decided(block: Block, policy: Policy) -> Decided:
    level: FormLevel = "whole" if block.reason else block.level if block.original_hash else "lossless"
    return Decided(
        form=None if block.reason else block.text,
        label=block.form,
        reason=block.reason,
        tokens_before=block.tokens_before,
        tokens_after=block.tokens_after,
        original_hash=block.original_hash if policy.retrieval else "",
        level=level,
        policy_version=policy.version,
    )


def _shrunk(decided: Decided, text: str, level: Level) -> Shrunk:
    outcome = Shrunk(text, decided.tokens_before, decided.tokens_after, form=decided.label, level=level)
    return replace(
        outcome,
        text=text if decided.form is None else decided.form,
        original_hash=decided.original_hash,
        reason=decided.reason,
    )
