"""What a call would have been billed without us, from what it was billed: pure arithmetic, nothing here remembers anything.

There are two sides: the prompt as it was sent, and the other one, which was not. Of the sent one we know what the provider
read from its cache and wrote to it. Where that is what was to be expected, the other side's cache is taken to be as our
model has it; where it is not (an entry that went early, a prefix that somebody else had cached), the provider knows better,
and the other side is read up to the very place up to which the sent one was. How many tokens of the provider's one of
ours is, `proxy.accounting.scales` learns from what it reports.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

from proxy.accounting.scales import MAX_FACTOR, MIN_FACTOR, Added, Factors, Seen
from savings.receipts import CacheOutcome, Usage

MIN_PREFIX_TOKENS = 1024
"""Shorter prefixes are never cached. The smallest that both providers name; some models ask for more."""
LONGEST_MIN_PREFIX_TOKENS = 4096
"""What the strictest models ask for."""
LOOKBACK_UNITS = 20
"""Anthropic tries this many prefixes for a mark, the one that ends at the mark included."""
STEP_TOKENS = 128
"""OpenAI reads and writes whole steps."""
LIFE_S = {"5m": 300.0, "1h": 3600.0}
ANY_PREFIX_LIFE_S = 600.0
"""OpenAI keeps a prefix for 5 to 10 minutes without use."""
TOLERANCE_TOKENS = 64
TOLERANCE_SHARE = 0.02
CHANGED_TOLERANCE_SHARE = 0.15
"""Where a change of ours begins is known less well than where a request ended."""
USUAL_LEAST, USUAL_MOST = 0.8, 1.8
"""Tokens of any provider's for one of ours, where what only it can read hides how many they are."""
FIRST_ENTRIES, LAST_ENTRIES, ENTRIES_BETWEEN = 3, 9, 8


@dataclass(frozen=True, slots=True)
class Entry:
    """A prefix that the provider holds: its units, its tokens as the provider counts, and until when."""

    units: int
    tokens: float
    life_s: float
    expires_at_s: float


@dataclass(frozen=True, slots=True)
class Side:
    """A prompt, as it was sent or would have been: our tokens up to each unit, those of them in tool results, its marks
    (units, ttl), and how many of its first units are those of the last request on the same side."""

    cumulated: Sequence[int]
    in_results: int
    marks: Sequence[tuple[int, str]]
    common_units: int

    @property
    def total(self) -> int:
        return self.cumulated[-1] if self.cumulated else 0

    def up_to(self, units: int) -> int:
        """Our tokens of the first units."""
        return _up_to(self.cumulated, units)


def _up_to(sums: Sequence[int], units: int) -> int:
    return sums[units - 1] if units > 0 and sums else 0


@dataclass(frozen=True, slots=True)
class Held:
    """What a provider would hold of one conversation on one side, and what of it was the last request's."""

    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class Account:
    """One request on both sides. `turn_ends` are the units that earlier requests of its conversation ended with.

    `is_first`: nothing is known of an earlier request of this conversation. `is_clients_wish`: the client asked for no
    shortening in this request or the last one, so that what changed between them is its doing. `client_common_units` are
    the first units that the client left as they were. `thought` and `found` are about the tokens, up to each unit, of what
    only the provider can count: they are in neither side, as nobody knows how many they are.
    """

    at_s: float
    finds_any_prefix: bool
    is_first: bool
    sent: Side
    other: Side
    turn_ends: Sequence[int]
    client_common_units: int
    last_units: int = 0
    is_clients_wish: bool = False
    thought: Sequence[int] = ()
    found: Sequence[int] = ()

    def sealed(self, factors: Factors, units: int | None = None) -> float:
        """Such tokens of the first units, or of all, by these factors."""
        units = len(self.thought) if units is None else units
        return factors.thought * _up_to(self.thought, units) + factors.found * _up_to(self.found, units)


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of a conversation from one call to the next: both sides' caches, and what the last call left in
    the provider's (tokens, and how long that lives).

    `sent_tokens` are the provider's of the last call, `results`, `rest`, `thought` and `found` ours; `seen` is what such
    figures have shown, and `whole` how many of the provider's tokens one of ours was in the first prompt.
    """

    sent: Held = field(default_factory=Held)
    other: Held = field(default_factory=Held)
    cached_tokens: float = 0.0
    cached_at_s: float = 0.0
    life_s: float = 0.0
    sent_tokens: int = 0
    results: int = 0
    rest: int = 0
    thought: int = 0
    found: int = 0
    whole: float = 0.0
    seen: Seen = field(default_factory=Seen)


@dataclass(frozen=True, slots=True)
class Reckoning:
    """The usage of the other side, how we know it, and what became of the cache."""

    other: Usage | None
    basis: str
    cache_outcome: CacheOutcome
    memory: Memory


BASIS_SAME = "same-1"
"""Both sides are one and were billed alike."""
BASIS_MODEL = "model-1"
"""The other side's cache is our model's; the provider's figures for the sent side are what the model expected."""
BASIS_MIRROR = "mirror-1"
"""The other side is read as far as the provider read the sent one."""


def reckon(account: Account, memory: Memory, usage: Usage) -> Reckoning:
    """Say what the other side would have been billed. Output is the same on both sides."""
    if usage.input_fresh is None or not account.sent.total:
        return Reckoning(None, "", "", memory)
    read_tokens = usage.cache_read or 0
    written_tokens = (usage.cache_write_5m or 0) + (usage.cache_write_1h or 0)
    sent_tokens = usage.input_fresh + read_tokens + written_tokens
    memory = _calibrated(memory, account, sent_tokens)
    factors = memory.seen.factors(memory.whole)
    seal = _seal(account, sent_tokens, factors)
    ratio = (sent_tokens - seal * account.sealed(factors)) / account.sent.total
    if not MIN_FACTOR <= ratio <= MAX_FACTOR:
        outcome = _outcome(account, memory, usage, sent_tokens, is_change_read=False)  # nobody knows where it stands
        return Reckoning(None, "", outcome, Memory())
    reached = read_tokens + written_tokens
    if reached and not account.finds_any_prefix:
        account = _heeded(account, _Scale(account, sent_tokens, ratio, factors, seal, is_other=False), reached)
    scales = (
        _Scale(account, sent_tokens, ratio, factors, seal, is_other=False),
        _Scale(account, sent_tokens, ratio, factors, seal, is_other=True),
    )
    floor = _floor(sent_tokens, is_cached=bool(reached))
    if floor == math.inf and account.sent.marks and not account.finds_any_prefix:
        memory = replace(memory, sent=Held(), other=Held())
    found = [_found(held, scale, account) for held, scale in zip((memory.sent, memory.other), scales, strict=True)]
    expected = _tokens_of(found[0], account)
    is_expected = _is_expected(read_tokens, expected, scales[0])
    if is_expected:
        other_read = _tokens_of(found[1], account)
    else:
        other_read = _mirrored(read_tokens, scales, account)
        if read_tokens < expected:  # what the model has is gone
            memory = replace(memory, sent=Held(), other=Held())
    other = _billed(scales[1], other_read, floor, account, usage)
    is_same = account.sent.total == account.other.total and abs(other_read - read_tokens) <= TOLERANCE_TOKENS
    if is_same:
        other = usage
    cached_tokens = float(reached)
    if account.finds_any_prefix:
        cached_tokens = _in_steps(sent_tokens) if sent_tokens >= MIN_PREFIX_TOKENS else 0.0
    after = replace(
        memory,
        sent=Held(_kept(memory.sent, scales[0], found[0], reached, floor, account)),
        other=Held(_kept(memory.other, scales[1], found[1] if is_expected else None, None, floor, account)),
        cached_tokens=cached_tokens,
        cached_at_s=account.at_s,
        life_s=max((LIFE_S[ttl] for _, ttl in account.sent.marks), default=LIFE_S["5m"]),
    )
    basis = BASIS_SAME if is_same else BASIS_MODEL if is_expected else BASIS_MIRROR
    is_change_read = _is_change_read(read_tokens, scales[0])
    outcome = _outcome(account, memory, usage, sent_tokens, is_change_read=is_change_read)
    return Reckoning(replace(other, output=usage.output), basis, outcome, after)


def _heeded(account: Account, scale: _Scale, reached: int) -> Account:
    """The account without marks that the provider did not heed: what it read and wrote ends clearly before them."""
    most = reached + max(TOLERANCE_TOKENS, CHANGED_TOLERANCE_SHARE * reached)
    last = max((units for units, _ in account.sent.marks if scale.up_to(units) <= most), default=0)
    if not last:
        return account
    sent, other = (
        replace(side, marks=[mark for mark in side.marks if mark[0] <= last]) for side in (account.sent, account.other)
    )
    return replace(account, sent=sent, other=other)


def _floor(sent_tokens: int, *, is_cached: bool) -> float:
    """The shortest prefix that a mark has kept, as far as a call shows. Where long prompts are not kept either, none is:
    many a provider that speaks Anthropic's dialect takes marks and does not heed them."""
    if is_cached or sent_tokens < MIN_PREFIX_TOKENS:
        return MIN_PREFIX_TOKENS
    return LONGEST_MIN_PREFIX_TOKENS if sent_tokens < LONGEST_MIN_PREFIX_TOKENS else math.inf


def _calibrated(memory: Memory, account: Account, sent_tokens: int) -> Memory:
    """The memory with what this call shows, when it is the next one of an unbroken conversation."""
    results, rest = account.sent.in_results, account.sent.total - account.sent.in_results
    thought, found = _up_to(account.thought, len(account.thought)), _up_to(account.found, len(account.found))
    seen, whole = memory.seen, memory.whole
    if not memory.sent_tokens:
        sealed = account.sealed(seen.factors(1.0)) if thought or found else 0.0
        whole = (sent_tokens - sealed) / account.sent.total
        least, most = (USUAL_LEAST, USUAL_MOST) if thought or found else (MIN_FACTOR, MAX_FACTOR)
        whole = min(max(whole, least), most)
    elif account.client_common_units >= account.last_units:
        added = Added(
            results - memory.results,
            rest - memory.rest,
            thought - memory.thought,
            found - memory.found,
            sent_tokens - memory.sent_tokens,
        )
        seen = seen.with_one(added)
    return replace(
        memory,
        sent_tokens=sent_tokens,
        results=results,
        rest=rest,
        thought=thought,
        found=found,
        whole=whole,
        seen=seen,
    )


def _seal(account: Account, sent_tokens: int, factors: Factors) -> float:
    """How much more or less is sealed than the factors say: whatever what can be read leaves of the provider's count."""
    sealed, sent = account.sealed(factors), account.sent
    if not sealed:
        return 0.0
    legible = factors.results * sent.in_results + factors.rest * (sent.total - sent.in_results)
    return max(0.0, sent_tokens - legible) / sealed


@dataclass(frozen=True, slots=True)
class _Scale:
    """A side in the provider's tokens: the sent one, counted from its end, which is the best known place, and on the other
    one a factor of them more for each of ours that is in it beyond what was sent."""

    account: Account
    sent_tokens: int
    ratio: float
    factors: Factors
    seal: float
    is_other: bool

    @property
    def side(self) -> Side:
        return self.account.other if self.is_other else self.account.sent

    @property
    def tokens(self) -> float:
        return self.sent_tokens + self.removed(len(self.side.cumulated))

    def up_to(self, units: int) -> float:
        account = self.account
        sealed = self.seal * (account.sealed(self.factors) - account.sealed(self.factors, units))
        as_sent = self.sent_tokens - sealed - self.ratio * (account.sent.total - account.sent.up_to(units))
        return max(0.0, as_sent + self.removed(units))

    def removed(self, units: int) -> float:
        """What is in the first units of this side and not of the sent one."""
        return self.factors.results * (self.side.up_to(units) - self.account.sent.up_to(units))


def _found(held: Held, scale: _Scale, account: Account) -> Entry | None:
    """The longest live prefix that a request finds."""
    alive = [entry for entry in held.entries if entry.expires_at_s > account.at_s]
    common = scale.side.common_units
    if account.finds_any_prefix:
        longest = max(alive, key=lambda entry: entry.units, default=None)
        if longest is None or common >= longest.units:
            return longest
        return replace(longest, units=common, tokens=scale.up_to(common))
    reachable = [
        entry
        for entry in alive
        if entry.units <= common and any(0 <= units - entry.units < LOOKBACK_UNITS for units, _ in scale.side.marks)
    ]
    return max(reachable, key=lambda entry: entry.units, default=None)


def _tokens_of(entry: Entry | None, account: Account) -> float:
    if entry is None:
        return 0.0
    if not account.finds_any_prefix:
        return entry.tokens
    return _in_steps(entry.tokens) if entry.tokens >= MIN_PREFIX_TOKENS else 0.0


def _in_steps(tokens: float) -> float:
    return tokens // STEP_TOKENS * STEP_TOKENS


def _is_about(tokens: float, expected: float, share: float = TOLERANCE_SHARE) -> bool:
    return abs(tokens - expected) <= max(TOLERANCE_TOKENS, STEP_TOKENS, share * max(tokens, expected))


def _is_expected(read_tokens: int, expected: float, sent: _Scale) -> bool:
    """Whether so much was read as our model of the cache has."""
    if _is_about(read_tokens, expected):
        return True
    account = sent.account
    if account.sent.common_units >= min(account.client_common_units, account.last_units):
        return False
    # We changed something: the provider may hold more prefixes than we remember, up to where the change begins.
    most = max(expected, sent.up_to(account.sent.common_units))
    return expected < read_tokens <= most or _is_about(read_tokens, most, CHANGED_TOLERANCE_SHARE)


def _is_change_read(read_tokens: int, sent: _Scale) -> bool:
    """Whether so much was read that what we changed was in the cache already."""
    account = sent.account
    changed_at, ended_at = sent.up_to(account.sent.common_units), sent.up_to(max(account.turn_ends, default=0))
    is_clear = not _is_about(read_tokens, changed_at, CHANGED_TOLERANCE_SHARE) or _is_about(read_tokens, ended_at)
    return read_tokens > changed_at and is_clear


def _mirrored(read_tokens: int, scales: tuple[_Scale, _Scale], account: Account) -> float:
    """How far the other side is read when the sent one was read so far."""
    if not read_tokens:
        return 0.0
    sent, other = scales
    places = sorted({*account.turn_ends, *(units for units, _ in account.sent.marks)})
    units = min(places, key=lambda place: (abs(sent.up_to(place) - read_tokens), -place), default=0)
    if not _is_about(read_tokens, sent.up_to(units)):
        units = bisect_right([sent.up_to(unit + 1) for unit in range(len(sent.side.cumulated))], read_tokens)
    return min(max(0.0, read_tokens + other.removed(units)), other.tokens)


def _billed(scale: _Scale, read: float, floor: float, account: Account, usage: Usage) -> Usage:
    total = max(0, round(scale.tokens))
    read_tokens = min(total, round(read))
    if account.finds_any_prefix:
        is_written = bool(usage.cache_write_5m) and total >= MIN_PREFIX_TOKENS
        written = max(0, int(_in_steps(total)) - read_tokens) if is_written else 0
        return Usage(total - read_tokens - written, read_tokens, written if is_written else usage.cache_write_5m)
    written_of = {"5m": 0, "1h": 0}
    billed = read_tokens
    for units, ttl in scale.side.marks:
        end = min(total, round(scale.up_to(units)))
        if end >= floor and end > billed:
            written_of[ttl] += end - billed
            billed = end
    return Usage(total - billed, read_tokens, written_of["5m"], written_of["1h"])


def _kept(
    held: Held, scale: _Scale, found: Entry | None, reached: float | None, floor: float, account: Account
) -> tuple[Entry, ...]:
    """What the provider holds after a request. `reached` are the tokens up to the last mark, where it said so."""
    at_s, side = account.at_s, scale.side
    kept = {
        entry.units: entry for entry in held.entries if entry.expires_at_s > at_s and entry.units <= side.common_units
    }
    if found is not None:
        kept[found.units] = replace(found, expires_at_s=at_s + found.life_s)
    if account.finds_any_prefix:
        end = len(side.cumulated)
        kept[end] = Entry(end, scale.tokens, ANY_PREFIX_LIFE_S, at_s + ANY_PREFIX_LIFE_S)
    for n, (units, ttl) in enumerate(side.marks):
        is_last = n == len(side.marks) - 1
        tokens = reached if is_last and reached else scale.up_to(units)
        if tokens >= floor:
            life_s = LIFE_S[ttl]
            kept[units] = Entry(units, tokens, life_s, at_s + life_s)
    in_order = sorted(kept.values(), key=lambda entry: entry.units)
    # Those at the start, behind tools and system, are what is left to read when the history changed.
    first, rest = in_order[:FIRST_ENTRIES], in_order[FIRST_ENTRIES:]
    return (*first, *spread(rest[:-LAST_ENTRIES], in_order[-1].units if in_order else 0), *rest[-LAST_ENTRIES:])


def spread(entries: list[Entry], end: int) -> list[Entry]:
    """Few of the entries, the further from the end the further apart: one of them is near wherever a change begins."""
    while len(entries) > ENTRIES_BETWEEN:
        gaps = [
            (after.units - before.units) / (end - entry.units + 1)
            for before, entry, after in zip(entries, entries[1:], entries[2:], strict=False)
        ]
        del entries[1 + gaps.index(min(gaps))]
    return entries


def _outcome(account: Account, memory: Memory, usage: Usage, sent_tokens: int, *, is_change_read: bool) -> CacheOutcome:
    """What became of what the last request had left. `is_change_read`: so much was read that a change of ours was there."""
    read_tokens = usage.cache_read
    if read_tokens is None:
        return ""
    if not memory.cached_tokens:
        if account.is_first and account.turn_ends:
            return "hit" if read_tokens else "unknown" if _caches(account, usage, sent_tokens) else ""
        return "hit" if read_tokens else "cold_start" if _caches(account, usage, sent_tokens) else ""
    if read_tokens >= memory.cached_tokens or _is_about(read_tokens, memory.cached_tokens):
        return "hit"
    if account.at_s - memory.cached_at_s > memory.life_s:
        return "ttl_expiry"
    if account.client_common_units < account.last_units:  # whatever we changed: it does not go on from the last request
        return "prefix_change"
    if account.sent.common_units >= account.last_units:
        return "unknown"
    if account.is_clients_wish:
        return "prefix_change"
    # Another worker may have changed it, in a request that this one has not seen.
    return "hit" if is_change_read else "own_change"


def _caches(account: Account, usage: Usage, sent_tokens: int) -> bool:
    """Whether this request leaves anything in the provider's cache."""
    if account.finds_any_prefix:
        return sent_tokens >= MIN_PREFIX_TOKENS
    return bool(usage.cache_write_5m or usage.cache_write_1h)


def cumulated(sizes: Sequence[int]) -> array[int]:
    """Sums up to each unit, in little memory."""
    return array("L", accumulate(sizes))
