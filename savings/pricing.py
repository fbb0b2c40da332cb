"""What a call cost, in whole nano-dollars: overrides of the database first, then the public price list, else unknown.

Unknown is `None`, never 0 and never a guess. A price takes a few microseconds once a model has been seen.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from savings.models import PriceOverride
from savings.receipts import Basis, CacheOutcome, Receipt, Usage

# Rates are whole atto-dollars (10^-18 $) per token, so that any price list's decimals are exact; a nano-dollar is 10^9.
ATTO_PER_NANO = 10**9
ATTO_PER_USD_PER_MILLION = 10**12
MAX_CACHED_MODELS = 2000
MAX_NANO_USD = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Price:
    """A cost and where it comes from. `cost_nano_usd` is None, and the source empty, where no price is known."""

    cost_nano_usd: int | None
    source: str
    version: str
    output_nano_usd: int | None = None
    """Of the cost, what the answer took."""
    cache_discount_nano_usd: int | None = None
    """What the same tokens would have cost more without the provider's cache; negative where writing to it cost more."""


@dataclass(frozen=True, slots=True)
class Saving:
    """What a call would have cost without us, less what it cost: negative where we made it dearer, None where unknown.

    `avoided_nano_usd` is what an answer out of our response cache would have cost. `basis` names the arithmetic.
    """

    nano_usd: int | None = None
    avoided_nano_usd: int | None = None
    basis: str = ""
    cache_outcome: CacheOutcome = ""


NO_SAVING = Saving()


@dataclass(frozen=True, slots=True)
class PricedReceipt:
    """A receipt with what it is booked as: the tokens (estimated where nobody reported them), who counted, the price."""

    receipt: Receipt
    usage: Usage
    basis: Basis
    price: Price
    saving: Saving = NO_SAVING


@dataclass(frozen=True, slots=True)
class Rates:
    """Atto-dollars per token of each class, and per call. `None` where the model has no price for a class."""

    input_fresh: int | None
    cache_read: int | None
    cache_write_5m: int | None
    cache_write_1h: int | None
    output: int | None
    reasoning: int | None
    """Extra for those output tokens that are reasoning; 0 almost everywhere."""
    per_call: int = 0


@dataclass(frozen=True, slots=True)
class Tariff:
    """Rates by length of the whole input: the last tier whose start it exceeds. The first one starts below zero."""

    tiers: tuple[tuple[int, Rates], ...]
    source: str
    version: str

    def rates(self, input_tokens: int) -> Rates:
        """The rates for a request with so many input tokens of all classes together."""
        for start, rates in reversed(self.tiers):
            if input_tokens > start:
                return rates
        return self.tiers[0][1]


@dataclass(frozen=True, slots=True)
class _Override:
    provider: str
    model: str
    is_prefix: bool
    valid_from_s: float
    valid_until_s: float
    tariff: Tariff

    def applies(self, provider: str, model: str, at: float) -> bool:
        return (
            self.provider == provider
            and (model.startswith(self.model) if self.is_prefix else model == self.model)
            and self.valid_from_s <= at < self.valid_until_s
        )


TIERS = frozenset(("batch", "fast", "flex", "priority"))
"""Those that a public price list may know prices of."""

NO_PRICE = Price(None, "", "")
FREE = Price(0, "free", "")
NOTHING_BILLED = Usage(0, 0, 0, 0, 0, 0)


class PriceBook:
    """All prices, in memory. `refresh` reads the overrides; `price` never touches the database."""

    def __init__(self) -> None:
        self._overrides: tuple[_Override, ...] = ()
        self._listed: dict[tuple[str, str, str], Any] = {}
        self._list: Any = None

    def refresh(self) -> None:
        """Read the overrides anew."""
        self._overrides = _in_order_of_precedence(PriceOverride.objects.all())

    @property
    def is_warm(self) -> bool:
        """Whether the public price list is in memory, so that asking for a tariff costs nothing."""
        return self._list is not None

    def warm(self) -> None:
        """Load the public price list (0.2 s, 30 MB), so that the first price does not wait for it."""
        if self._list is None:
            # Not at the top of this file: start-up must not pay for it, and the serving process loads it in a thread.
            self._list = importlib.import_module("savings.price_list")

    def tariff(self, provider: str, upstream: str, model: str, at: float, tier: str = "") -> Tariff | None:
        """The rates for a model at a time (seconds since 1970), or None where nobody told us.

        A service tier that has no prices of its own has those of the standard one, and the version says so. Overrides hold
        for all tiers.
        """
        for override in self._overrides:
            if override.applies(provider, model, at):
                return override.tariff
        listed = self._find(provider, upstream, model)
        found: Tariff | None = listed.tariff(at, tier if tier in TIERS else "") if listed is not None else None
        return found

    def context_tokens(self, provider: str, upstream: str, model: str) -> int | None:
        """How many tokens a model can take in all, where the public list says so."""
        listed = self._find(provider, upstream, model)
        return None if listed is None else listed.model.context_window

    def _find(self, provider: str, upstream: str, model: str) -> Any:
        self.warm()
        key = (provider, upstream, model)
        if key in self._listed:
            return self._listed[key]
        if len(self._listed) >= MAX_CACHED_MODELS:  # names come from clients
            self._listed = {}  # another one, as other threads may be reading this one
        found = self._listed[key] = self._list.find(provider, upstream, model)
        return found

    def price(self, provider: str, upstream: str, model: str, usage: Usage, at: float, *, tier: str = "") -> Price:
        """The price of so many tokens. Unknown too where a class that the model bills was not reported."""
        tariff = self.tariff(provider, upstream, model, at, tier)
        if tariff is None:
            return NO_PRICE
        cost = cost_nano_usd(tariff, usage)
        return NO_PRICE if cost is None else Price(cost, tariff.source, tariff.version, *_parts(tariff, usage, cost))

    def priced(self, receipt: Receipt) -> PricedReceipt:
        """The receipt as it is to be booked."""
        if receipt.admission.origin == "response_cache":
            return self._given_again(receipt)
        usage, basis = booked_usage(receipt)
        if _is_free(receipt):
            return PricedReceipt(receipt, usage, basis, FREE)
        admission, model = receipt.admission, receipt.settlement.model
        known = usage
        if usage.output is None and _is_cut_short(receipt):
            known = replace(usage, output=0)  # the input was sent for sure; the basis says that this is not all
        for name in dict.fromkeys((model or admission.model, admission.model)):
            price = self.price(
                admission.provider, admission.upstream, name, known, admission.admitted_at, tier=_tier(receipt)
            )
            if price.cost_nano_usd is not None:
                break
        at_most = _count(admission.at_most_nano_usd)
        if receipt.settlement.status == "interrupted" and at_most is not None and (price.cost_nano_usd or 0) < at_most:
            # A strict budget is never exceeded: what the provider may have charged is not given to another call.
            bound = Price(at_most, price.source or "bound", price.version)
            return PricedReceipt(receipt, usage, basis, bound)
        return PricedReceipt(receipt, usage, basis, price, self._saving(receipt, name, known, price))

    def _saving(self, receipt: Receipt, model: str, usage: Usage, price: Price) -> Saving:
        """What was saved by a call that has a price."""
        admission, settlement = receipt.admission, receipt.settlement
        other = settlement.counterfactual
        basis, outcome = settlement.savings_basis, settlement.cache_outcome
        if admission.origin == "retrieval":
            # Without us there had been no such round. What it says is the answer that the client waits for.
            other, basis = Usage(0, output=usage.output), "round-1"
        elif other is None and admission.tokens_before == admission.tokens_after:
            other, basis = usage, "same-1"
        if other is None or price.cost_nano_usd is None:
            return Saving(basis=basis if other is None else "", cache_outcome=outcome)
        other = replace(_counts(other), output=usage.output, reasoning=usage.reasoning)
        tariff = self.tariff(admission.provider, admission.upstream, model, admission.admitted_at, _tier(receipt))
        other_cost = None if tariff is None else cost_nano_usd(tariff, other, in_tier_of=usage)
        if other_cost is None:
            return Saving(cache_outcome=outcome)
        saved = other_cost - price.cost_nano_usd
        return Saving(-saved if admission.is_observed else saved, basis=basis, cache_outcome=outcome)

    def _given_again(self, receipt: Receipt) -> PricedReceipt:
        """An answer of ours: nothing was billed. What it would have cost, with all that was written to a cache read there."""
        admission, usage = receipt.admission, _counts(receipt.settlement.usage)
        read = sum(count or 0 for count in (usage.cache_read, usage.cache_write_5m, usage.cache_write_1h))
        again = Usage(usage.input_fresh, cache_read=read, output=usage.output, reasoning=usage.reasoning)
        model = receipt.settlement.model or admission.model
        price = self.price(admission.provider, admission.upstream, model, again, admission.admitted_at)
        saving = Saving(avoided_nano_usd=price.cost_nano_usd, basis="response_cache")
        return PricedReceipt(receipt, NOTHING_BILLED, "measured", FREE, saving)


def cost_nano_usd(tariff: Tariff, usage: Usage, *, in_tier_of: Usage | None = None) -> int | None:
    """Rounded half to even. None where a count or its rate is missing; cache classes that were never reported are none.

    `in_tier_of` takes the rates for a prompt of that length instead: whether one that was never sent would have been let
    into a dearer tier nobody knows, and a saving must not be made of it.
    """
    if usage.input_fresh is None:
        return None
    cache_read, write_5m, write_1h = usage.cache_read or 0, usage.cache_write_5m or 0, usage.cache_write_1h or 0
    rates = tariff.rates(_input_tokens(usage if in_tier_of is None else in_tier_of))
    if usage.output is None and rates.output is not None:
        return None
    output = usage.output or 0
    atto_usd = rates.per_call
    for tokens, rate in (
        (usage.input_fresh, rates.input_fresh),
        (cache_read, rates.cache_read),
        (write_5m, rates.cache_write_5m),
        (write_1h, rates.cache_write_1h),
        (output, rates.output),
        (min(usage.reasoning or 0, output), rates.reasoning),
    ):
        if tokens:
            if rate is None:
                return None
            atto_usd += tokens * rate
    nano_usd, rest = divmod(atto_usd, ATTO_PER_NANO)
    if rest * 2 > ATTO_PER_NANO or (rest * 2 == ATTO_PER_NANO and nano_usd % 2):
        nano_usd += 1
    return nano_usd if nano_usd <= MAX_NANO_USD else None


def _parts(tariff: Tariff, usage: Usage, cost: int) -> tuple[int | None, int | None]:
    """What the output cost, and what the provider's cache took off."""
    input_cost = cost_nano_usd(tariff, replace(usage, output=0, reasoning=0))
    cached = (usage.cache_read or 0) + (usage.cache_write_5m or 0) + (usage.cache_write_1h or 0)
    uncached: int | None = cost
    if cached:
        fresh = (usage.input_fresh or 0) + cached
        uncached_usage = Usage(fresh, output=usage.output, reasoning=usage.reasoning)
        uncached = cost_nano_usd(tariff, uncached_usage)
    return (
        None if input_cost is None else cost - input_cost,
        None if uncached is None else uncached - cost,
    )


def _input_tokens(usage: Usage) -> int:
    classes = (usage.input_fresh, usage.cache_read, usage.cache_write_5m, usage.cache_write_1h)
    return sum(count or 0 for count in classes)


def booked_usage(receipt: Receipt) -> tuple[Usage, Basis]:
    """The tokens to book: as reported, and where nothing was, our estimates of what was sent and relayed."""
    admission, settlement = receipt.admission, receipt.settlement
    usage = _counts(settlement.usage)
    if not admission.is_billable:  # what it reports is of another call, or of a batch of them
        return Usage(), "measured"
    if _is_free(receipt):
        return usage, "measured"
    has_input, has_output = usage.input_fresh is not None, usage.output is not None
    is_cut_short = _is_cut_short(receipt)
    if has_input and has_output and not is_cut_short:
        return usage, "measured"
    estimate = _count(settlement.estimated_output)
    if not has_input:
        sent = admission.tokens_before if admission.is_observed else admission.tokens_after
        usage = replace(usage, input_fresh=_count(sent))
    if is_cut_short and has_output and estimate is not None:
        # What a provider reports in the middle of a stream is what it had counted by then.
        usage = replace(usage, output=max(usage.output or 0, estimate))
    elif not has_output:
        usage = replace(usage, output=estimate)
    return usage, "partial" if has_input or has_output else "estimated"


def _is_cut_short(receipt: Receipt) -> bool:
    return receipt.settlement.status in {"partial", "interrupted"}


def _is_free(receipt: Receipt) -> bool:
    settlement = receipt.settlement
    if settlement.status == "void" or not receipt.admission.is_billable:
        return True
    return (settlement.http_status or 0) >= 400 and settlement.usage == Usage()


def _tier(receipt: Receipt) -> str:
    """What the provider says it used goes before what it was asked for."""
    return receipt.settlement.tier or receipt.admission.tier


def _counts(usage: Usage) -> Usage:
    return Usage(
        _count(usage.input_fresh),
        _count(usage.cache_read),
        _count(usage.cache_write_5m),
        _count(usage.cache_write_1h),
        _count(usage.output),
        _count(usage.reasoning),
    )


def _count(tokens: Any) -> int | None:
    """A provider may send anything: what is no plausible count was not reported."""
    return tokens if type(tokens) is int and 0 <= tokens < 2**53 else None


def _in_order_of_precedence(overrides: Iterable[PriceOverride]) -> tuple[_Override, ...]:
    """Exact names before prefixes, long prefixes before short ones, the latest beginning first."""
    return tuple(
        sorted(
            map(_override, overrides),
            key=lambda one: (one.is_prefix, -len(one.model), -one.valid_from_s),
        )
    )


def _override(row: PriceOverride) -> _Override:
    input_fresh = _atto_usd(row.input_fresh)
    rates = Rates(
        input_fresh=input_fresh,
        cache_read=input_fresh if row.cache_read is None else _atto_usd(row.cache_read),
        cache_write_5m=input_fresh if row.cache_write_5m is None else _atto_usd(row.cache_write_5m),
        cache_write_1h=input_fresh if row.cache_write_1h is None else _atto_usd(row.cache_write_1h),
        output=_atto_usd(row.output),
        reasoning=0,
    )
    is_prefix = row.model.endswith("*")
    return _Override(
        provider=row.provider,
        model=row.model[:-1] if is_prefix else row.model,
        is_prefix=is_prefix,
        valid_from_s=row.valid_from.timestamp() if row.valid_from else -math.inf,
        valid_until_s=row.valid_until.timestamp() if row.valid_until else math.inf,
        tariff=Tariff(((-1, rates),), source="override", version=str(row.pk)),
    )


def _atto_usd(usd_per_million: Decimal) -> int:
    return int(usd_per_million * ATTO_PER_USD_PER_MILLION)
