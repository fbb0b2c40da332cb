"""Compress a whole conversation as a library call: OpenAI chat messages, Responses items, Anthropic blocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from headroom import explanations, fitting, pipeline, references, tokens, walk
from headroom.pipeline import Extra
from headroom.values import Attempt, Level, Policy, Scope, Shrunk
from headroom.walk import Message, Text


@dataclass(frozen=True, slots=True)
class Block:
    """What happened to one text, for `explain`.

    `message` is the place of its message, `detected` the kinds that it may be of, `kind` and `form` what was kept of it,
    `attempts` the forms that were tried with their tokens, and `why` says why this one and not more. `text` is what
    stands there now.
    """

    message: int
    tool: str
    detected: tuple[str, ...]
    level: Level
    kind: str
    form: str
    reason: str
    tokens_before: int
    tokens_after: int
    lines_after: int
    original_hash: str
    attempts: tuple[Attempt, ...]
    why: str
    text: str


@dataclass(frozen=True, slots=True)
class Result:
    """The conversation with shorter tool results; `originals` maps every hash in `ccr_hashes` to the text it names.

    `budget` says what was done for a token budget: `deep`, `dropped`, `not_met`, or nothing.
    """

    messages: list[Message]
    tokens_before: int
    tokens_after: int
    tokens_saved: int
    compression_ratio: float
    transforms_applied: list[str] = field(default_factory=list)
    transforms_summary: dict[str, int] = field(default_factory=dict)
    ccr_hashes: list[str] = field(default_factory=list)
    originals: dict[str, str] = field(default_factory=dict)
    budget: tuple[str, ...] = ()
    explain: tuple[Block, ...] = ()


def compress(
    messages: Sequence[Message],
    *,
    model: str,
    policy: Policy | None = None,
    scope: Scope | None = None,
    token_budget: int | None = None,
    extra: Extra | None = None,
    explain: bool = False,
) -> Result:
    """Return `messages` with their tool results in shorter forms; the list given is not changed.

    Number, order, roles and ids stay as they are. `model` names the reader and is kept for callers' records: tokens are
    counted with one encoding for all models, so that figures can be compared.

    A result that mostly stands in an earlier one, word for word, is said by reference to it and what is different now.

    When the result is above `token_budget`, the least important tool results are shortened further, and then left out
    one by one until it fits. `extra` are shrinkers beside the registered ones, by kind.
    """
    policy, scope = policy or Policy(), scope or Scope()
    texts = walk.texts(messages, scope)
    outcomes = [
        scope.settled.get(text.number) or pipeline.shrink(text.text, call=text.call, policy=policy, extra=extra)
        for text in texts
    ]
    pairs = zip(texts, outcomes, strict=True)
    counted = {text.text: outcome.tokens_before for text, outcome in pairs if text.number not in scope.settled}
    if token_budget is None and not scope.settled and policy.level != "lossless":
        # What fits a budget, or holds for a session, may lose the copy that a reference needs.
        outcomes = references.referred(texts, outcomes, policy)
    parts = [part for message in messages for part in walk.read(message)]
    before = sum(counted[part] if part in counted else tokens.estimate(part) for part in parts)
    excess = before - sum(map(_saved, outcomes)) - token_budget if token_budget is not None else 0
    fit = fitting.fit(texts, outcomes, messages, excess=excess, policy=policy, extra=extra)
    saved = sum(map(_saved, fit.outcomes))
    changed = [outcome for outcome in fit.outcomes if outcome.is_changed]
    originals = {outcome.original_hash: text.text for text, outcome in zip(texts, fit.outcomes, strict=True)}
    originals.pop("", None)
    return Result(
        messages=walk.visited(messages, scope, lambda text: fit.outcomes[text.number].text),
        tokens_before=before,
        tokens_after=before - saved,
        tokens_saved=saved,
        compression_ratio=round((before - saved) / before, 2) if before else 1.0,
        transforms_applied=[f"router:{one.form}:{one.tokens_after / one.tokens_before:.2f}" for one in changed],
        transforms_summary=dict(Counter(f"router:{one.form}" for one in changed)),
        ccr_hashes=list(originals),
        originals=originals,
        budget=fit.steps,
        explain=tuple(_told(*pair, policy) for pair in zip(texts, fit.outcomes, strict=True)) if explain else (),
    )


def _saved(outcome: Shrunk) -> int:
    return outcome.tokens_before - outcome.tokens_after


def _told(text: Text, outcome: Shrunk, policy: Policy) -> Block:
    return Block(
        message=text.message,
        tool=text.call.name,
        detected=outcome.detected,
        level=outcome.level,
        kind=outcome.kind,
        form=outcome.form,
        reason=outcome.reason,
        tokens_before=outcome.tokens_before,
        tokens_after=outcome.tokens_after,
        lines_after=outcome.text.count("\n") + 1,
        original_hash=outcome.original_hash,
        attempts=explanations.attempts(outcome, policy),
        why=explanations.why(outcome, policy),
        text=outcome.text,
    )
