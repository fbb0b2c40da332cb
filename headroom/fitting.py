"""Make a conversation fit: shorten the least important tool results further, then leave them out one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from headroom import importance, pipeline, tokens
from headroom.pipeline import Extra
from headroom.values import Policy, Shrunk
from headroom.walk import Text

DROPPED = "dropped"
"""The form of a result that was left out for want of room."""

NEVER_DROPPED = ("excluded", "retrieved")


@dataclass(frozen=True, slots=True)
class Fit:
    """What became of each text, in order, and what had to be done: `deep`, `dropped`, `not_met`."""

    outcomes: list[Shrunk]
    steps: tuple[str, ...]


def fit(
    texts: Sequence[Text],
    outcomes: Sequence[Shrunk],
    messages: Sequence[Any],
    *,
    excess: int,
    policy: Policy,
    extra: Extra | None = None,
) -> Fit:
    """Return outcomes that together are `excess` tokens shorter, or as much of that as there is.

    No more is done than is needed, and to the least important ones first. Only tool results are ever left out, and
    neither where the policy leaves nothing out.
    """
    if excess <= 0 or policy.level == "lossless":
        return Fit(list(outcomes), ("not_met",) if excess > 0 else ())
    ranks = importance.scores(texts, messages)
    order = sorted(range(len(texts)), key=lambda at: (ranks[at], at))
    found = list(outcomes)
    steps: list[str] = []
    for step, shorter in (("deep", partial(_deep, extra=extra)), (DROPPED, _dropped)):
        for at in order:
            if excess <= 0:
                break
            instead = shorter(texts[at], found[at], policy)
            if instead is not None and instead.tokens_after < found[at].tokens_after:
                excess -= found[at].tokens_after - instead.tokens_after
                found[at] = instead
                steps.append(step)
    return Fit(found, (*dict.fromkeys(steps), *(("not_met",) if excess > 0 else ())))


def _deep(text: Text, outcome: Shrunk, policy: Policy, *, extra: Extra | None) -> Shrunk | None:
    if outcome.form == DROPPED or outcome.level == "deep":
        return None
    deepest = replace(policy, level="deep", target_ratio=None)
    deep = pipeline.shrink(text.text, call=text.call, policy=deepest, extra=extra)
    return deep if deep.is_changed else None


def _dropped(text: Text, outcome: Shrunk, policy: Policy) -> Shrunk | None:
    if not text.is_result or outcome.reason in NEVER_DROPPED or outcome.level == "lossless":
        return None
    before = outcome.tokens_before
    left_out = f"this result for want of room: {text.text.count(chr(10)) + 1:,} lines, {before:,} tokens"
    digest = pipeline.original_hash(text.text)
    marker = pipeline.marker(left_out, policy, digest)
    return replace(
        outcome,
        text=marker,
        tokens_after=tokens.count(marker),
        kind=DROPPED,
        form=DROPPED,
        left_out=left_out,
        original_hash=digest,
        reason="",
    )
