"""Why a tool result came out as it did, in words: for people who want to trust a form, or to find fault with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from headroom import pipeline
from headroom.values import Attempt, Policy, Shrunk

_REFUSALS = {
    "excluded": "the policy excludes this tool",
    "wanted_whole": "readers came back from such forms of this tool's results too often",
    "already_shrunk": "it ends in the mark of a text that was shortened before",
    "retrieved": "it was fetched back because it is wanted in full",
    "not_text": "it is not text",
    "too_large": "it is larger than any context window",
}


def attempts(shrunk: Shrunk, policy: Policy) -> tuple[Attempt, ...]:
    """Return the forms that were tried, each with the reason why it was kept or not."""
    told: list[Attempt] = []
    for tried, cost in _rounds(shrunk):
        kept = next((attempt for attempt in tried if attempt.is_kept), None)
        told += [replace(attempt, verdict=_verdict(attempt, kept, cost, policy)) for attempt in tried]
    return tuple(told)


def why(shrunk: Shrunk, policy: Policy) -> str:
    """Return one sentence: what was kept and why not more, or why nothing was."""
    if shrunk.reason:
        return f"Left as it is: {_refusal(shrunk, policy)}."
    if shrunk.form == "dropped":
        return "Left out: it was among the least important results, and the token budget has no room for it."
    if policy.target_ratio is not None and shrunk.tokens_after <= policy.target_ratio * shrunk.tokens_before:
        return f"Kept {shrunk.form}: the mildest form that reaches the {policy.target_ratio:.0%} asked for."
    if shrunk.is_lossy:
        return f"Kept {shrunk.form}, which leaves out {shrunk.left_out}. {_limit(shrunk)}"
    return f"Kept {shrunk.form}, which leaves nothing out. {_limit(shrunk)}"


def _rounds(shrunk: Shrunk) -> Iterator[tuple[list[Attempt], int]]:
    """Yield the attempts of each round and the tokens that the text had before it."""
    cost = shrunk.tokens_before
    for number in range(max((attempt.round for attempt in shrunk.attempts), default=-1) + 1):
        tried = [attempt for attempt in shrunk.attempts if attempt.round == number]
        yield tried, cost
        cost = next((attempt.tokens for attempt in tried if attempt.is_kept and attempt.tokens), cost)


def _verdict(attempt: Attempt, kept: Attempt | None, cost: int, policy: Policy) -> str:
    if attempt.is_kept:
        return "kept"
    if " raised " in attempt.name:
        return "an error of ours, which costs only this form"
    if attempt.tokens is None:
        return "plainly longer than another form, so not counted"
    if attempt.tokens > cost * (1 - policy.margin_share):
        return f"saves less than {policy.margin_share:.0%}"
    if kept is None or kept.tokens is None:
        return f"leaves something out and saves less than {pipeline.LOSSY_SHARE:.0%}"
    if attempt.tokens >= kept.tokens:
        return f"longer than {kept.name}" if attempt.tokens > kept.tokens else f"no shorter than {kept.name}"
    if policy.target_ratio is not None:
        return "goes further than the target asks"
    return f"leaves something out, and is not {pipeline.LOSSY_SHARE:.0%} shorter than {kept.name}"


def _refusal(shrunk: Shrunk, policy: Policy) -> str:
    if shrunk.reason == "too_small":
        return f"{shrunk.tokens_before:,} tokens are fewer than the {policy.min_tokens:,} from which a form pays"
    if shrunk.reason == "no_gain":
        return (
            f"no form at level {shrunk.level} saves {policy.margin_share:.0%}, "
            f"or {pipeline.LOSSY_SHARE:.0%} where something is left out"
        )
    if shrunk.reason.startswith("failed:"):
        return f"the shrinker for {shrunk.reason.removeprefix('failed:')} failed, which is an error of ours"
    return _REFUSALS.get(shrunk.reason, shrunk.reason)


def _limit(shrunk: Shrunk) -> str:
    """Say what stood in the way of a shorter form."""
    if shrunk.level == "lossless":
        return "Level lossless goes no further."
    if any(attempt.is_lossy and not attempt.is_kept and attempt.tokens for attempt in shrunk.attempts) and (
        not shrunk.is_lossy
    ):
        return "What a form with something left out would save on top is not worth what is missing."
    if shrunk.level == "deep":
        return "Level deep has no shorter form of this kind of text."
    if shrunk.is_lossy:
        return "The rest stays for whoever sees it for the first time; level deep may go further."
    return "Nothing is left out of this kind of text when it is seen for the first time; level deep may."
