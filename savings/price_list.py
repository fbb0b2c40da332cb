"""The public price list, genai-prices, as tariffs of whole numbers. Imported late, by `savings.pricing` alone.

Rates are found by asking its own arithmetic what one token more of a class costs, so that its rules about classes and
tiers need not be known here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal

import genai_prices
from genai_prices import data_snapshot
from genai_prices.types import ModelInfo, ModelPrice, Provider, TieredPrices

from savings.pricing import Rates, Tariff

ATTO_PER_USD = 10**18
DAY_S = 86_400
MAX_DAYS = 100


@dataclass(slots=True)
class Listed:
    """One model of the list, and the tariffs it had or has."""

    model: ModelInfo
    _tariffs: dict[int, Tariff | None] = field(default_factory=dict)
    _of_tiers: dict[tuple[int, str, int], Tariff | None] = field(default_factory=dict)

    def tariff(self, at: float, tier: str = "") -> Tariff | None:
        """The tariff at a time (seconds since 1970); None where the list knows the model, but no price of its tokens."""
        prices = self.model.prices
        if not isinstance(prices, ModelPrice):
            prices = self.model.get_prices(datetime.fromtimestamp(at, UTC))
        if tier:
            return self._of_tier(prices, at, tier)
        if id(prices) not in self._tariffs:
            self._tariffs[id(prices)] = _tariff(prices)
        return self._tariffs[id(prices)]

    def _of_tier(self, standard: ModelPrice, at: float, tier: str) -> Tariff | None:
        """The tariff of a service tier; the standard one, saying so, where the list has none. By day, as prices change."""
        key = (id(standard), tier, int(at // DAY_S))
        if key not in self._of_tiers:
            if len(self._of_tiers) >= MAX_DAYS:
                self._of_tiers.clear()
            # Providers spell the same choice in three ways, and the list spells each as its provider does.
            context = dict.fromkeys(("service_tier", "speed", "processing"), tier)
            prices = self.model.get_prices(datetime.fromtimestamp(at, UTC), context)
            found = _tariff(prices)
            if found is not None and vars(prices) == vars(standard):
                found = replace(found, version=f"{found.version}, {tier} as standard")
            self._of_tiers[key] = found
        return self._of_tiers[key]


def find(provider: str, upstream: str, model: str) -> Listed | None:
    """The model at the upstream's own provider when that is known by its address, else at the dialect's."""
    if not model:
        return None
    snapshot = data_snapshot.get_snapshot()
    seller = _seller(snapshot, provider, upstream)
    # Not the snapshot's own search: that one remembers every name it was ever asked for, and names come from clients.
    found = seller.find_model(model.lower(), all_providers=snapshot.providers) if seller else None
    return Listed(found) if found else None


def _seller(snapshot: data_snapshot.DataSnapshot, provider: str, upstream: str) -> Provider | None:
    for options in (
        {"provider_id": None, "provider_api_url": upstream},
        {"provider_id": provider, "provider_api_url": None},
    ):
        try:
            return snapshot.find_provider(None, **options)
        except LookupError:
            continue
    return None


def _tariff(prices: ModelPrice) -> Tariff | None:
    if prices.input_mtok is None and prices.output_mtok is None:
        return None
    starts = {tier.start for price in vars(prices).values() if isinstance(price, TieredPrices) for tier in price.tiers}
    tiers = tuple((start, _rates(prices, max(start + 1, 0))) for start in sorted({-1, *starts}))
    return Tariff(tiers, source="genai-prices", version=genai_prices.__version__)


def _rates(prices: ModelPrice, input_tokens: int) -> Rates:
    """What one token more of each class costs when the input is that long already."""
    per_call = _cost(prices, 0)
    start = _cost(prices, input_tokens)
    has_input, has_output = prices.input_mtok is not None, prices.output_mtok is not None

    def input_class(**one: int) -> int | None:
        return _atto_usd(_cost(prices, input_tokens + 1, **one) - start) if has_input else None

    output = _cost(prices, input_tokens, output_tokens=1) - start
    reasoning = _cost(prices, input_tokens, output_tokens=1, output_reasoning_tokens=1) - start
    return Rates(
        input_fresh=input_class(),
        cache_read=input_class(cache_read_tokens=1),
        cache_write_5m=input_class(cache_write_tokens=1, cache_write_5m_tokens=1),
        cache_write_1h=input_class(cache_write_tokens=1, cache_write_1h_tokens=1),
        output=_atto_usd(output) if has_output else None,
        reasoning=_atto_usd(reasoning - output) if has_output else None,
        per_call=_atto_usd(per_call),
    )


def _cost(prices: ModelPrice, input_tokens: int, **more: int) -> Decimal:
    usage = genai_prices.Usage(**{"input_tokens": input_tokens, "output_tokens": 0, **more})
    return prices.calc_price(usage)["total_price"]


def _atto_usd(usd: Decimal) -> int:
    return int((usd * ATTO_PER_USD).to_integral_value())
