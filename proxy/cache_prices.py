"""What reading and writing a provider's prompt cache costs, as shares of the price of fresh input."""

from __future__ import annotations

from proxy.aging.epochs import Billing
from proxy.values import Dialect
from savings.pricing import PriceBook, Tariff

ANTHROPIC = Billing(read=0.1, write=1.25, finds_any_prefix=False)
OPENAI = Billing(read=0.1, write=1.25, finds_any_prefix=True)
"""For models without a known price: the shares at which a change costs most, so that few are made."""


def billing(prices: PriceBook, dialect: Dialect, upstream: str, model: str, at_s: float) -> Billing:
    """The shares of a model. Never waits: while the price list is not in memory yet, the cautious ones."""
    usual = ANTHROPIC if dialect == "anthropic" else OPENAI
    if not prices.is_warm:
        return usual
    tariff = prices.tariff(dialect, upstream, model, at_s)
    return usual if tariff is None else of(tariff, usual)


def of(tariff: Tariff, usual: Billing) -> Billing:
    """The shares that a tariff amounts to."""
    rates = tariff.tiers[0][1]
    if not rates.input_fresh or rates.cache_read is None:
        return usual
    write = rates.cache_write_5m if rates.cache_write_5m is not None else rates.input_fresh
    return Billing(rates.cache_read / rates.input_fresh, max(1.0, write / rates.input_fresh), usual.finds_any_prefix)
