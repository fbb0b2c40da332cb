"""What a provider bills for a prompt, given what it has cached: pure functions over digests and token counts.

Nothing here reads a text, a clock or a price. A prompt is a row of blocks; a cache is a mapping that is passed in and
handed back changed, so a future can be tried out and thrown away. https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching
and https://platform.openai.com/docs/guides/prompt-caching have the rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate
from typing import Literal, Protocol

from proxy.values import Dialect
from savings.receipts import Usage

Ttl = Literal["5m", "1h"]

MIN_PREFIX_TOKENS = 1024
"""Shorter prefixes are never cached. The smallest that both providers name; some models ask for more."""
LOOKBACK_BLOCKS = 20
"""Anthropic tries this many prefixes for a mark, the one that ends at the mark included."""
MAX_MARKS = 4
OPENAI_STEP_TOKENS = 128
LIFE_S: dict[Ttl, float] = {"5m": 300.0, "1h": 3600.0}
OPENAI_LIFE_S = 300.0
"""OpenAI promises 5 to 10 minutes without use; we count on no more than the promise."""
OPENAI_WRITTEN_LIFE_S = 1800.0
"""Where writes are paid for they are kept for at least half an hour."""


class Refused(ValueError):
    """The provider would answer 400 to these marks."""


@dataclass(frozen=True, slots=True)
class Block:
    """One piece of a prompt as a cache sees it: what it is (a digest of role and content), how long, and its mark."""

    digest: bytes
    tokens: int
    mark: Ttl | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A cached prefix: until when (seconds on the caller's clock), and for how long a read prolongs it."""

    expires_at_s: float
    life_s: float


Cache = Mapping[bytes, Entry]
"""Digests of prefixes that the provider holds. Never changed in place."""


@dataclass(frozen=True, slots=True)
class Billed:
    """The input tokens of one request by class, and the cache as the request leaves it. `output` is not known here."""

    usage: Usage
    cache: Cache


class Biller(Protocol):
    """How one dialect bills."""

    def __call__(self, blocks: Sequence[Block], cache: Cache, *, at_s: float, scope: bytes = b"") -> Billed: ...


def bill_anthropic(blocks: Sequence[Block], cache: Cache, *, at_s: float, scope: bytes = b"") -> Billed:
    """Bill a Messages request: prefixes are kept at marks and found from marks.

    `scope` names what a cache is never shared across: the model. Raises Refused for more than four marks, or for one of
    an hour after one of five minutes.
    """
    chain, ends = _prefixes(blocks, scope)
    marks = [(n, block.mark) for n, block in enumerate(blocks) if block.mark]
    if why := refusal(blocks):
        raise Refused(why)
    found = [_found(chain, mark, cache, at_s) for mark, _ in marks]
    hit = max((n for n in found if n is not None), default=-1)
    read_tokens = ends[hit] if hit >= 0 else 0
    kept = {key: entry for key, entry in cache.items() if entry.expires_at_s > at_s}
    for n in found:
        if n is not None:
            kept[chain[n]] = Entry(at_s + kept[chain[n]].life_s, kept[chain[n]].life_s)
    written: dict[Ttl, int] = {"5m": 0, "1h": 0}
    billed_tokens = read_tokens
    for n, ttl in marks:
        if n > hit and ends[n] >= MIN_PREFIX_TOKENS:
            kept[chain[n]] = Entry(at_s + LIFE_S[ttl], LIFE_S[ttl])
            written[ttl] += ends[n] - billed_tokens
            billed_tokens = ends[n]
    total_tokens = ends[-1] if ends else 0
    return Billed(Usage(total_tokens - billed_tokens, read_tokens, written["5m"], written["1h"]), kept)


def bill_openai(blocks: Sequence[Block], cache: Cache, *, at_s: float, scope: bytes = b"") -> Billed:
    """Bill a request whose provider keeps every prefix by itself. Marks mean nothing to it, and writes cost nothing."""
    return _bill_any_prefix(blocks, cache, at_s=at_s, scope=scope, life_s=OPENAI_LIFE_S, bills_writes=False)


def bill_openai_writes(blocks: Sequence[Block], cache: Cache, *, at_s: float, scope: bytes = b"") -> Billed:
    """The same for models whose cache writes have a price (from GPT-5.6): what is not read is written, in whole steps."""
    return _bill_any_prefix(blocks, cache, at_s=at_s, scope=scope, life_s=OPENAI_WRITTEN_LIFE_S, bills_writes=True)


def refusal(blocks: Sequence[Block]) -> str:
    """Why Anthropic would answer 400 to the marks on these blocks, "" when it would not."""
    ttls = [block.mark for block in blocks if block.mark]
    if len(ttls) > MAX_MARKS:
        return f"{len(ttls)} cache marks, at most {MAX_MARKS} are allowed"
    if "5m" in ttls and "1h" in ttls[ttls.index("5m") :]:
        return "a cache mark of one hour stands after one of five minutes"
    return ""


def biller(dialect: Dialect, *, bills_writes: bool) -> Biller:
    """The rules of a dialect; `bills_writes` is whether the model has a price for cache writes above that of input."""
    if dialect == "anthropic":
        return bill_anthropic
    return bill_openai_writes if bills_writes else bill_openai


def _bill_any_prefix(
    blocks: Sequence[Block], cache: Cache, *, at_s: float, scope: bytes, life_s: float, bills_writes: bool
) -> Billed:
    chain, ends = _prefixes(blocks, scope)
    total_tokens = ends[-1] if ends else 0
    kept = {key: entry for key, entry in cache.items() if entry.expires_at_s > at_s}
    if total_tokens < MIN_PREFIX_TOKENS:
        return Billed(Usage(total_tokens, 0, 0, 0), kept)
    shared_blocks = next((n for n, prefix in enumerate(chain) if prefix not in kept), len(chain))
    shared_tokens = ends[shared_blocks - 1] if shared_blocks else 0
    read_tokens = _in_steps(shared_tokens) if shared_tokens >= MIN_PREFIX_TOKENS else 0
    written_tokens = _in_steps(total_tokens) - read_tokens if bills_writes else 0
    kept.update(dict.fromkeys(chain, Entry(at_s + life_s, life_s)))
    return Billed(Usage(total_tokens - read_tokens - written_tokens, read_tokens, written_tokens, 0), kept)


def _in_steps(tokens: int) -> int:
    return tokens // OPENAI_STEP_TOKENS * OPENAI_STEP_TOKENS


def _prefixes(blocks: Sequence[Block], scope: bytes) -> tuple[list[bytes], list[int]]:
    """For each block, the digest of everything up to its end, and how many tokens that is."""
    chain: list[bytes] = []
    prefix = blake2b(scope, digest_size=16).digest()
    for block in blocks:
        prefix = blake2b(prefix + block.digest, digest_size=16).digest()
        chain.append(prefix)
    return chain, list(accumulate(block.tokens for block in blocks))


def _found(chain: list[bytes], mark: int, cache: Cache, at_s: float) -> int | None:
    """The last block of the longest live prefix that a mark finds."""
    for n in range(mark, max(-1, mark - LOOKBACK_BLOCKS), -1):
        entry = cache.get(chain[n])
        if entry is not None and entry.expires_at_s > at_s:
            return n
    return None
