"""What a provider has of a conversation in its prompt cache, and what the conversation has cost so far.

From the history and its epochs alone, so that every worker counts the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from proxy.aging import epochs
from proxy.aging.epochs import Epoch, Prompt
from proxy.aging.values import Look, Stand, Standing
from proxy.decisions import Decided
from proxy.values import Outline, Path, Provider

CHARS_PER_TOKEN = 4
MAX_CLIENT_MARKS = 3
"""The provider takes four marks; one of them may be ours only if the client leaves one."""
LIFE_S = {"5m": 300.0, "1h": 3600.0}
OPENAI_LIFE_S = 600.0
HELD_TURNS = 20
"""What so many requests ago was cached for five minutes is still there: agents ask about every ten seconds. Counted in
turns, so that all workers agree, and those that did not see the conversation so far."""
GRACE_S = 15.0
"""A cache that expired by less than this may still be there."""


def may_be_cold(standing: Standing, at_s: float) -> bool:
    return standing.asked_at_s is not None and at_s - standing.asked_at_s > min(LIFE_S.values())


def is_cold(outline: Outline, standing: Standing, at_s: float) -> bool:
    """Whether the provider has forgotten the last request by now, as far as we know when that was."""
    return standing.asked_at_s is not None and at_s - standing.asked_at_s > _life_s(outline) + GRACE_S


def books(look: Look, outline: Outline, standing: Standing) -> tuple[float, float]:
    """About what the conversation would have cost so far without us, and how much of that we saved: in tokens at the price
    of fresh input, from the history and its epochs alone, so that every worker counts the same."""
    tokens = [chars // CHARS_PER_TOKEN for chars in outline.chars]
    earned = 0.0
    for stand in look.stands:
        if stand.decided is None:
            continue
        tokens[outline.results[stand.result.path]] = stand.decided.tokens_before
        saved_tokens = stand.decided.tokens_saved
        if stand.result.age_turns:
            earned += saved_tokens * (look.billing.write + look.billing.read * (stand.result.age_turns - 1))
    for epoch in standing.epochs:
        turns_since = max(0, len(outline.turn_ends) - epoch.turn)
        earned += look.billing.read * epoch.saved_tokens * turns_since - epoch.cost
    ends = list(accumulate(tokens, initial=0))
    billed, sent_tokens = 0.0, 0
    for end in outline.turn_ends:
        billed += look.billing.read * sent_tokens + look.billing.write * (ends[end] - sent_tokens)
        sent_tokens = ends[end]
    return billed, earned


def prompt(look: Look, outline: Outline, standing: Standing, deep: dict[str, Decided], allowance: float) -> Prompt:
    tokens = [chars // CHARS_PER_TOKEN for chars in outline.chars]
    for stand in look.stands:
        made = deep.get(stand.key) or stand.decided
        if made is not None:
            tokens[outline.results[stand.result.path]] = made.tokens_after
    entries, cached_end = _entries(look, outline, standing)
    return Prompt(tokens, cached_end, entries, turns=len(outline.turn_ends), allowance=allowance)


def marked(prompt: Prompt, epoch: Epoch, outline: Outline, stands: Sequence[Stand], last: Stand) -> str:
    """The key of the result that shall carry our mark. `last` is the last one that the epoch deepens."""
    blocks = [outline.results[stand.result.path] for stand in stands]
    place = epochs.mark_place(prompt, epoch, outline.results[last.result.path] + 1)
    seen = epochs.seen_from(epoch.read_to, blocks) if place == "read" else None
    return stands[seen].key if seen is not None else last.key


def mark(look: Look, standing: Standing) -> tuple[Path, str] | None:
    """Which block of this request carries our mark, and with which ttl: that of the client's next mark, as longer ones
    come first."""
    if not standing.mark_key:
        return None
    ttls = look.provider.marks(look.call)
    marked = next((stand.result for stand in look.stands if stand.key == standing.mark_key), None)
    if marked is None or not 0 < len(ttls) <= MAX_CLIENT_MARKS:
        return None
    if ttls[0] == ttls[-1]:
        return marked.path, ttls[-1]
    block = look.outline.results[marked.path]
    return marked.path, next((ttl for end, ttl in look.outline.marks if end > block), ttls[-1])


def _entries(look: Look, outline: Outline, standing: Standing) -> tuple[list[int], int]:
    """After which blocks the provider has a prefix of today's bytes that we can have read, and how far the last request
    reached."""
    first_message = min([*outline.turn_ends, len(outline.chars)])
    at_start = max((end for end, _ in outline.marks if end <= first_message), default=0)
    if outline.marks and all(end <= first_message for end, _ in outline.marks):
        return [at_start], at_start
    last_end = outline.turn_ends[-1] if outline.turn_ends else at_start
    if outline.marks and not _marks(look.provider, outline):
        return [at_start], last_end
    held_turns = int(HELD_TURNS * _life_s(outline) / min(LIFE_S.values()))
    first_turn = max(standing.epoch_turn, len(outline.turn_ends) - held_turns)
    ends = outline.turn_ends[first_turn:]
    blocks = [outline.results[stand.result.path] for stand in look.stands]
    if first_turn == standing.epoch_turn:
        ends += [block + 1 for block, stand in zip(blocks, look.stands, strict=True) if stand.key == standing.mark_key]
    return sorted({at_start, *(end for end in ends if epochs.seen_from(end, blocks) is not None)}), last_end


def _life_s(outline: Outline) -> float:
    return max((LIFE_S.get(ttl, LIFE_S["1h"]) for _, ttl in outline.marks), default=OPENAI_LIFE_S)


def _marks(provider: Provider, outline: Outline) -> list[tuple[int, str]]:
    """The client's marks if they leave room for one of ours, else none."""
    return outline.marks if provider.DIALECT == "anthropic" and len(outline.marks) <= MAX_CLIENT_MARKS else []
