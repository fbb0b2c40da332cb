"""When does it pay to shorten what was already sent? Pure arithmetic over one prompt; nothing here remembers anything.

A provider bills what it finds in its prompt cache at a fraction of the price, and everything after the first changed byte
in full. So old tool results are deepened in batches, called epochs, at moments when the tokens that will not be read again
and again are worth more than writing the rest of the prompt once more. Between epochs no byte moves.

Prices here are shares of the price of fresh input: reading, and (re)writing what a change makes unreadable.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Literal

CACHED_FROM_TOKENS = 1200
"""Providers cache prompts of 1,024 tokens and more (Anthropic's and OpenAI's documentation of prompt caching); the rest is
for what our estimate may be off. Around that a text that is a little shorter can cost more than it saves: the discount on
the whole prompt, turn after turn until it has grown."""
LOOKBACK_BLOCKS = 20
"""Anthropic finds a cached prefix that ends at a mark or at most 19 blocks before it."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """Numbers of the policy version.

    What a command printed is old enough after `min_age_turns`, the data that any other tool brought after
    `min_data_age_turns`, and either as soon as `min_stale_age_turns` when a newer copy of its file follows.
    A file that was read stays for `min_read_age_turns` in which nobody touched it, for up to `max_read_age_turns` in
    conversations whose edits come late, and for `min_unedited_age_turns` where none came yet: many agents read all
    files first. Short parts of files are no sign of that: they are what agents look around with. One that was edited
    stays for `min_edited_age_turns`: the next edit quotes it. A document that the user named stays for
    `min_named_age_turns`: it may be carried out step by step. Of output that is old enough `deep_share` is left, of
    files, which stay on disk as they are, `deep_read_share`. What is that old and was not touched for
    `min_buried_age_turns` is buried: one line of it is left.

    `horizon_share` of the turns so far are counted on to follow: most sessions end soon, and those that do not are the
    expensive ones. An epoch must bring `margin_share` more than it costs, and may cost no more than what we saved in this
    conversation so far and `risk_share` of its bill: should it end with the very next turn, it was hardly dearer than
    without us. Of what is deepened `asked_share` is asked for once more (of recorded sessions 1 to 2 %), which takes a
    round: reading the prompt again. While the cache is cold a change costs nothing, but such a round does: `cold_rounds`
    of one have to be earned as well. Lists of files and matches are what the next steps go by: for `list_age_turns` they
    are `list_risk` times as likely to be asked for.
    """

    min_age_turns: int = 1
    min_data_age_turns: int = 4
    min_read_age_turns: int = 3
    max_read_age_turns: int = 45
    min_unedited_age_turns: int = 12
    min_stale_age_turns: int = 2
    min_edited_age_turns: int = 40
    min_named_age_turns: int = 120
    min_buried_age_turns: int = 30
    list_age_turns: int = 5
    deep_share: float = 0.08
    deep_read_share: float = 0.03
    horizon_share: float = 0.25
    margin_share: float = 0.1
    risk_share: float = 0.01
    asked_share: float = 0.015
    list_risk: float = 10.0
    cold_rounds: float = 0.5

    def a_turn_earlier(self) -> Tuning:
        """The same numbers, but that everything is old enough a turn earlier: what will be ripe when a conversation asks
        next, unless something happens to it."""
        ages = {name: getattr(self, name) - 1 for name in self.__slots__ if name.endswith("_age_turns")}
        return replace(self, **ages)


@dataclass(frozen=True, slots=True)
class Billing:
    """How the provider at hand bills: `read` and `write` as shares of the fresh price.

    `finds_any_prefix`: it needs no marks (OpenAI). Otherwise only prefixes that end at `Prompt.entries` can be read.
    `is_cold`: nothing of this prompt is cached any more, so a change costs nothing that would not be paid anyway.
    """

    read: float
    write: float
    finds_any_prefix: bool
    is_cold: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """A result that may be deepened: which block of the prompt it is, how many tokens that takes away, and how many times as
    likely as others it is to be asked for once more."""

    block: int
    saved_tokens: int
    risk: float = 1.0


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as its blocks in order: their tokens as they would be sent now.

    `cached_end` is the number of blocks that the last request sent, and that the provider therefore holds. `entries` are
    the numbers of blocks after which a prefix of unchanged bytes is on record there, ascending; the first is the end of
    what the client itself marks at the start (0 when it marks nothing). `allowance` is the most that a change may cost.
    """

    block_tokens: Sequence[int]
    cached_end: int
    entries: Sequence[int]
    turns: int
    allowance: float


@dataclass(frozen=True, slots=True)
class Epoch:
    """A batch worth deepening: the candidates from position `first` on, and what we expect of it, in fresh tokens' price.

    `at_once` of the gain comes with the change itself: what need not be written, as the cache is cold. `read_to` is the number
    of blocks that can still be read from the cache after the change.
    """

    first: int
    saved_tokens: int
    cost: float
    gain: float
    at_once: float
    read_to: int


def plan(prompt: Prompt, candidates: Sequence[Candidate], billing: Billing, tuning: Tuning) -> Epoch | None:
    """The most profitable batch, or `None` when none pays. Candidates are in the order of the prompt."""
    prefix_tokens = [0, *accumulate(prompt.block_tokens)]
    horizon_turns = tuning.horizon_share * prompt.turns
    asked_cost = _asked_cost(prompt, billing, tuning)
    cold_risk = tuning.cold_rounds * billing.read * prefix_tokens[-1] if billing.is_cold else 0.0
    best: Epoch | None = None
    saved_tokens, risk = 0, 0.0
    for first in range(len(candidates) - 1, -1, -1):
        candidate = candidates[first]
        saved_tokens += candidate.saved_tokens
        risk += candidate.risk
        read_to = _readable(prompt, candidate.block, billing)
        rewritten_tokens = max(0, prefix_tokens[prompt.cached_end] - prefix_tokens[read_to])
        cost = 0.0
        if not billing.is_cold:
            cost = billing.write * (rewritten_tokens - saved_tokens) - billing.read * rewritten_tokens
        at_once = billing.write * saved_tokens if billing.is_cold else 0.0
        gain = at_once + billing.read * saved_tokens * horizon_turns
        gain -= asked_cost * risk
        if (
            prefix_tokens[-1] - saved_tokens >= CACHED_FROM_TOKENS
            and cost + cold_risk - at_once <= prompt.allowance
            and gain > cost + tuning.margin_share * abs(cost)
            and (best is None or gain - cost > best.gain - best.cost)
        ):
            best = Epoch(first, saved_tokens, cost, gain, at_once, read_to)
    return best


def is_worth_a_round(candidate: Candidate, prompt: Prompt, billing: Billing, tuning: Tuning) -> bool:
    """Whether a result that comes after the first changed one, and is written anew anyway, is worth the risk that it is asked
    for once more."""
    per_token = billing.write + billing.read * tuning.horizon_share * prompt.turns
    return candidate.saved_tokens * per_token > candidate.risk * _asked_cost(prompt, billing, tuning)


def _asked_cost(prompt: Prompt, billing: Billing, tuning: Tuning) -> float:
    """What one more deepened result costs on average in rounds."""
    return billing.read * tuning.asked_share * sum(prompt.block_tokens)


def _readable(prompt: Prompt, block: int, billing: Billing) -> int:
    """How many blocks before a changed one can still be read."""
    if billing.finds_any_prefix:
        return block
    position = bisect_right(prompt.entries, block) - 1
    return prompt.entries[position] if position >= 0 else 0


Place = Literal["none", "read", "end"]


def mark_place(prompt: Prompt, epoch: Epoch, region_end: int) -> Place:
    """Where the one mark of ours does most: at the end of the deepened region, so that the next epoch finds it, unless
    the look-back from there does not reach what can still be read; then there. `region_end` counts blocks."""
    is_clients = epoch.read_to == (prompt.entries[0] if prompt.entries else 0)
    if is_clients or region_end - epoch.read_to < LOOKBACK_BLOCKS:
        return "end"
    return "read"


def seen_from(end: int, blocks: Sequence[int]) -> int | None:
    """The position of the last block a mark on which finds the prefix of `end` blocks, `None` when none of them does."""
    found = bisect_right(blocks, end + LOOKBACK_BLOCKS - 2) - 1
    return found if found >= 0 and blocks[found] >= end - 1 else None
