from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from typing import Any

import genai_prices
import pytest
from genai_prices.data import providers
from hypothesis import given
from hypothesis import strategies as st

from savings import price_list, pricing
from savings.models import PriceOverride
from savings.pricing import PriceBook
from savings.receipts import Usage
from tests.examples import examples
from tests.savings.receipts import NOON, make_receipt

BOOK = PriceBook()
AUTUMN = datetime(2026, 11, 20, tzinfo=UTC).timestamp()
"""The list knows the prices of service tiers from October 2026 on."""
ANTHROPIC = "https://api.anthropic.com"
OPENAI = "https://api.openai.com"
USUAL = Usage(input_fresh=1000, cache_read=0, cache_write_5m=0, cache_write_1h=0, output=100)


@cache
def listed() -> dict[tuple[str, str], pricing.Tariff]:
    """Every model of the list that has token prices, by the names by which it and its provider can be asked for."""
    tariffs = {}
    for provider in providers:
        for model in provider.models:
            found = price_list.find(provider.id, "", model.id)
            if found is not None and (tariff := found.tariff(NOON)) is not None:
                tariffs[provider.id, model.id] = tariff
    return tariffs


def cost(model: str, usage: Usage, provider: str = "anthropic", upstream: str = ANTHROPIC) -> int | None:
    return BOOK.price(provider, upstream, model, usage, NOON).cost_nano_usd


def test_a_long_cached_prompt_costs_what_the_price_page_says() -> None:
    # $3 fresh, $0.30 read, $3.75 and $6 written, $15 output per million.
    five_minutes = Usage(input_fresh=20_000, cache_read=60_000, cache_write_5m=20_000, cache_write_1h=0, output=0)
    one_hour = Usage(input_fresh=20_000, cache_read=60_000, cache_write_5m=0, cache_write_1h=20_000, output=0)
    assert cost("claude-sonnet-4-5", five_minutes) == 153_000_000
    assert cost("claude-sonnet-4-5", one_hour) == 198_000_000
    assert cost("claude-sonnet-4-5", replace(one_hour, output=1000)) == 213_000_000
    assert cost("claude-sonnet-4-5", Usage(input_fresh=1, output=0)) == 3_000


def test_models_without_write_prices_are_priced_without_reported_writes() -> None:
    # gpt-5: $1.25 fresh, $0.125 read, $10 output. OpenAI reports no cache writes.
    usage = Usage(input_fresh=1000, cache_read=2000, cache_write_5m=None, cache_write_1h=None, output=100, reasoning=60)
    assert cost("gpt-5", usage, "openai", OPENAI) == 1_250_000 + 250_000 + 1_000_000


@examples(75)
@given(
    seller=st.deferred(lambda: st.sampled_from(sorted(listed()))),
    counts=st.tuples(*[st.one_of(st.integers(0, 5000), st.integers(0, 600_000)) for _ in range(6)]),
    day=st.integers(0, 900),
    hour=st.integers(0, 23),
)
def test_prices_agree_with_the_list_to_the_nano_dollar(
    seller: tuple[str, str], counts: tuple[int, ...], day: int, hour: int
) -> None:
    at = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=day, hours=hour)
    provider, model = seller
    fresh, read, write_5m, write_1h, output, reasoning = counts
    usage = Usage(fresh, read, write_5m, write_1h, output, min(reasoning, output))
    expected = genai_prices.calc_price(
        genai_prices.Usage(
            input_tokens=fresh + read + write_5m + write_1h,
            cache_read_tokens=read,
            cache_write_tokens=write_5m + write_1h,
            cache_write_5m_tokens=write_5m,
            cache_write_1h_tokens=write_1h,
            output_tokens=output,
            output_reasoning_tokens=min(reasoning, output),
        ),
        model,
        provider_id=provider,
        genai_request_timestamp=at,
    )
    ours = BOOK.price(provider, "", model, usage, at.timestamp()).cost_nano_usd
    if ours is None:  # a class that was used has no price of its own: the list says 0, we say unknown
        prices = expected.model_price
        assert prices.input_mtok is None or (output and prices.output_mtok is None)
    else:
        assert ours == int((expected.total_price * 10**9).to_integral_value(ROUND_HALF_EVEN))


def test_every_listed_model_has_whole_rates() -> None:
    assert len(listed()) > 1000
    for tariff in listed().values():
        for _, rates in tariff.tiers:
            for name in ("input_fresh", "cache_read", "cache_write_5m", "cache_write_1h", "output", "per_call"):
                rate = getattr(rates, name)
                assert rate is None or (isinstance(rate, int) and rate >= 0)


@pytest.mark.parametrize(
    ("provider", "upstream", "model"),
    [
        ("anthropic", ANTHROPIC, "my-own-model"),
        ("anthropic", ANTHROPIC, ""),
        ("anthropic", ANTHROPIC, "x" * 5000),
        ("anthropic", ANTHROPIC, "(((["),
        ("openai", "https://openrouter.ai", "gpt-oss-of-nobody"),
        ("nobody", "http://127.0.0.1:9", "claude-sonnet-4-5"),
    ],
)
def test_an_unknown_price_is_none_and_not_zero(provider: str, upstream: str, model: str) -> None:
    assert BOOK.price(provider, upstream, model, USUAL, NOON) == pricing.NO_PRICE


def test_the_seller_known_by_address_goes_before_the_dialect() -> None:
    # Mistral sells in the dialect of OpenAI, which has no such model.
    price = BOOK.price("openai", "https://api.mistral.ai", "mistral-large-latest", USUAL, NOON)
    assert price.cost_nano_usd
    assert BOOK.price("openai", OPENAI, "mistral-large-latest", USUAL, NOON) == pricing.NO_PRICE


def test_an_upstream_that_nobody_knows_is_priced_by_its_dialect() -> None:
    assert cost("claude-sonnet-4-5", USUAL, upstream="http://127.0.0.1:1234") == 3_000_000 + 1_500_000


def test_long_inputs_are_priced_by_their_tier() -> None:
    # Sonnet 4.5 above 200,000 tokens of input, cached ones included: $6, $0.60, $7.50, $22.50.
    short = Usage(input_fresh=100_000, cache_read=100_000, output=1000)
    long = Usage(input_fresh=100_000, cache_read=100_001, output=1000)
    assert cost("claude-sonnet-4-5", short) == 300_000_000 + 30_000_000 + 15_000_000
    assert cost("claude-sonnet-4-5", long) == 600_000_000 + 60_000_600 + 22_500_000


@pytest.mark.parametrize(
    "usage", [Usage(), Usage(output=5), Usage(input_fresh=5), Usage(input_fresh=None, cache_read=5, output=5)]
)
def test_a_class_that_was_not_reported_is_not_taken_for_zero(usage: Usage) -> None:
    assert cost("claude-sonnet-4-5", usage) is None


def test_embeddings_have_no_output_to_report() -> None:
    assert cost("text-embedding-3-small", Usage(input_fresh=1_000_000), "openai", OPENAI) == 20_000_000


def test_service_tiers_have_prices_of_their_own_where_the_list_knows_them() -> None:
    usage = Usage(input_fresh=1_000_000, output=0)

    def usd(model: str, tier: str, provider: str = "openai", upstream: str = OPENAI) -> tuple[float, str]:
        price = BOOK.price(provider, upstream, model, usage, AUTUMN, tier=tier)
        assert price.cost_nano_usd is not None
        return price.cost_nano_usd / 1e9, price.version

    standard, version = usd("gpt-5.1", "")
    assert [usd("gpt-5.1", tier)[0] / standard for tier in ("priority", "flex", "batch")] == [2, 0.5, 0.5]
    assert usd("gpt-5.1", "standard") == usd("gpt-5.1", "whatever") == (standard, version)
    fast, _ = usd("claude-opus-5", "fast", "anthropic", ANTHROPIC)
    assert fast > usd("claude-opus-5", "", "anthropic", ANTHROPIC)[0]
    # Nobody says what priority costs there: it counts as standard, and says so.
    cost_usd, version = usd("claude-sonnet-4-5", "priority", "anthropic", ANTHROPIC)
    assert cost_usd > 0 and version.endswith("priority as standard")


def test_the_tier_that_was_used_goes_before_the_one_that_was_asked_for() -> None:
    usage = Usage(input_fresh=1_000_000, output=0)

    def cost(asked: str, used: str) -> int | None:
        call = {"provider": "openai", "upstream": OPENAI, "model": "gpt-5.1", "tier": asked, "admitted_at": AUTUMN}
        return BOOK.priced(make_receipt(call, model="gpt-5.1", usage=usage, tier=used)).price.cost_nano_usd

    standard = cost("", "")
    assert standard and cost("priority", "") == 2 * standard
    assert cost("priority", "standard") == standard
    assert cost("", "flex") == standard / 2


def test_names_that_clients_invent_do_not_pile_up() -> None:
    book = PriceBook()
    for number in range(pricing.MAX_CACHED_MODELS * 2 + 10):
        book.price("anthropic", ANTHROPIC, f"model-{number}", USUAL, NOON)
    assert len(book._listed) <= pricing.MAX_CACHED_MODELS


def make_override(**fields: Any) -> PriceOverride:
    row = PriceOverride(
        **{
            "provider": "anthropic",
            "model": "claude-sonnet-4-5",
            "input_fresh": Decimal(1),
            "output": Decimal(2),
            **fields,
        }
    )
    row.save()
    return row


@pytest.fixture
def book(database: str) -> PriceBook:
    return PriceBook()


def test_an_override_goes_before_the_list(book: PriceBook) -> None:
    row = make_override(cache_read=Decimal("0.1"), cache_write_1h=Decimal("2.5"))
    book.refresh()
    usage = Usage(input_fresh=1000, cache_read=1000, cache_write_5m=1000, cache_write_1h=1000, output=1000)
    price = book.price("anthropic", ANTHROPIC, "claude-sonnet-4-5", usage, NOON)
    # The 5-minute write has no price of its own and costs what fresh input costs.
    assert price.cost_nano_usd == 1_000_000 + 100_000 + 1_000_000 + 2_500_000 + 2_000_000
    assert (price.source, price.version) == ("override", str(row.pk))
    assert book.price("openai", ANTHROPIC, "claude-sonnet-4-5", USUAL, NOON).source != "override"


def test_the_most_exact_override_in_force_wins(book: PriceBook) -> None:
    noon = datetime.fromtimestamp(NOON, UTC)
    make_override(model="local/*", input_fresh=Decimal(1), output=Decimal(0))
    make_override(model="local/big*", input_fresh=Decimal(2), output=Decimal(0))
    make_override(model="local/big-1", input_fresh=Decimal(3), output=Decimal(0), valid_until=noon)
    make_override(model="local/big-1", input_fresh=Decimal(4), output=Decimal(0), valid_from=noon)
    make_override(model="local/big-1", input_fresh=Decimal(5), output=Decimal(0), valid_from=noon + timedelta(days=1))
    book.refresh()

    def rate(model: str, at: float = NOON) -> int | None:
        nano = book.price("anthropic", "", model, Usage(input_fresh=1, output=0), at).cost_nano_usd
        return None if nano is None else nano // 1000

    assert [rate("local/small"), rate("local/big-2"), rate("local/big-1")] == [1, 2, 4]
    assert [rate("local/big-1", NOON - 1), rate("local/big-1", NOON + 86_400)] == [3, 5]
    assert rate("other") is None


def test_a_free_model_of_ones_own_costs_zero_with_a_source(book: PriceBook) -> None:
    make_override(model="mine", input_fresh=Decimal(0), output=Decimal(0))
    book.refresh()
    price = book.price("anthropic", "", "mine", USUAL, NOON)
    assert (price.cost_nano_usd, price.source) == (0, "override")


def test_what_nobody_bills_is_free() -> None:
    for receipt in (
        make_receipt(status="void", http_status=None, usage=Usage()),
        make_receipt({"is_billable": False}, usage=Usage(input_fresh=10)),
        make_receipt(http_status=529, usage=Usage()),
    ):
        entry = BOOK.priced(receipt)
        assert (entry.price, entry.usage, entry.basis) == (pricing.FREE, Usage(), "measured")


def test_an_error_that_was_billed_is_priced() -> None:
    assert BOOK.priced(make_receipt(http_status=500)).price.cost_nano_usd == 450_000


def test_without_usage_the_price_is_of_our_estimates() -> None:
    entry = BOOK.priced(make_receipt({"tokens_after": 400}, usage=Usage(), estimated_output=20))
    assert (entry.basis, entry.usage) == ("estimated", Usage(input_fresh=400, output=20))
    assert entry.price.cost_nano_usd == 400 * 3000 + 20 * 15_000


def test_a_hang_up_is_booked_with_what_was_reported_and_relayed() -> None:
    # The provider's count of output from the start of the stream says less than what was relayed since.
    reported = Usage(input_fresh=100, cache_read=50, cache_write_5m=0, cache_write_1h=0, output=1)
    entry = BOOK.priced(make_receipt(status="partial", usage=reported, estimated_output=30))
    assert (entry.basis, entry.usage) == ("partial", replace(reported, output=30))
    entry = BOOK.priced(make_receipt(status="partial", usage=replace(reported, output=80), estimated_output=30))
    assert entry.usage.output == 80


def test_zero_reported_is_zero_and_measured() -> None:
    usage = Usage(input_fresh=0, cache_read=0, cache_write_5m=0, cache_write_1h=0, output=0)
    entry = BOOK.priced(make_receipt(usage=usage, estimated_output=50))
    assert (entry.basis, entry.usage, entry.price.cost_nano_usd) == ("measured", usage, 0)


def test_an_interrupted_call_of_a_strict_budget_is_booked_at_the_most_it_can_have_cost() -> None:
    def booked(status: str, at_most: int | None) -> tuple[int | None, int | None]:
        call = make_receipt({"at_most_nano_usd": at_most}, status=status, usage=Usage())
        entry = BOOK.priced(call)
        return entry.price.cost_nano_usd, entry.saving.nano_usd

    usual, _ = booked("interrupted", None)
    assert usual is not None
    assert booked("interrupted", 10 * usual) == (10 * usual, None)
    assert booked("interrupted", usual // 2)[0] == usual
    assert booked("void", 10 * usual)[0] == 0


def test_an_interrupted_call_is_booked_at_its_input() -> None:
    entry = BOOK.priced(
        make_receipt({"tokens_after": 400}, status="interrupted", http_status=None, model="", usage=Usage())
    )
    assert (entry.basis, entry.usage) == ("estimated", Usage(input_fresh=400, output=None))
    assert entry.price.cost_nano_usd == 400 * 3000


def test_a_whole_answer_without_its_output_count_has_no_price() -> None:
    entry = BOOK.priced(make_receipt(usage=Usage(input_fresh=100)))
    assert (entry.basis, entry.usage.output) == ("partial", None)
    assert entry.price == pricing.NO_PRICE


def test_the_name_that_was_asked_for_serves_when_the_answer_has_an_unknown_one() -> None:
    assert BOOK.priced(make_receipt(model="sonnet-deployment-eu")).price.cost_nano_usd == 450_000


def test_a_saving_is_the_other_bill_less_this_one() -> None:
    receipt = make_receipt(
        usage=Usage(0, 10_000, 1_000, 0, 10), counterfactual=Usage(0, 30_000, 2_000, 0, 10), savings_basis="model-1"
    )
    saving = PriceBook().priced(receipt).saving
    assert saving.nano_usd == 20_000 * 300 + 1_000 * 3_750
    assert saving.basis == "model-1"


def test_a_loss_is_negative() -> None:
    receipt = make_receipt(usage=Usage(0, 1_000, 9_000, 0, 10), counterfactual=Usage(0, 12_000, 500, 0, 10))
    assert PriceBook().priced(receipt).saving.nano_usd == 11_000 * 300 - 8_500 * 3_750


def test_what_would_have_been_is_this_bill_less_the_other() -> None:
    receipt = make_receipt(
        {"is_observed": True}, usage=Usage(10_000, output=10), counterfactual=Usage(4_000, output=10)
    )
    assert PriceBook().priced(receipt).saving.nano_usd == 6_000 * 3_000


def test_a_round_of_ours_costs_its_input() -> None:
    receipt = make_receipt({"origin": "retrieval"}, usage=Usage(500, 10_000, output=70))
    assert PriceBook().priced(receipt).saving.nano_usd == -(500 * 3_000 + 10_000 * 300)


@pytest.mark.parametrize(("after", "saved"), [(1000, 0), (400, None)])
def test_without_another_bill_only_what_is_the_same_is_known_to_save_nothing(after: int, saved: int | None) -> None:
    receipt = make_receipt({"tokens_before": 1000, "tokens_after": after}, usage=Usage(900, output=10))
    assert PriceBook().priced(receipt).saving.nano_usd == saved


def test_no_saving_is_made_of_a_tier_that_was_not_reached() -> None:
    receipt = make_receipt(usage=Usage(0, 190_000, 0, 0, 0), counterfactual=Usage(0, 210_000, 0, 0, 0))
    assert PriceBook().priced(receipt).saving.nano_usd == 20_000 * 300
