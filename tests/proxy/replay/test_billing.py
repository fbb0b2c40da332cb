from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.replay import billing
from proxy.replay.billing import Block, Cache, Ttl
from savings.receipts import Usage

PRICES = {"input_fresh": 10, "cache_read": 1, "cache_write_5m": 12.5, "cache_write_1h": 20}


def block(name: str, tokens: int, mark: Ttl | None = None) -> Block:
    return Block(name.encode(), tokens, mark)


def row(prefix: str, count: int, tokens: int = 100) -> list[Block]:
    return [block(f"{prefix}{n}", tokens) for n in range(count)]


def marked(blocks: Sequence[Block], ttl: Ttl = "5m") -> list[Block]:
    return [*blocks[:-1], Block(blocks[-1].digest, blocks[-1].tokens, ttl)]


def anthropic(
    blocks: Sequence[Block], cache: Cache | None = None, at_s: float = 0, model: bytes = b"m"
) -> billing.Billed:
    return billing.bill_anthropic(blocks, cache or {}, at_s=at_s, scope=model)


def openai(blocks: Sequence[Block], cache: Cache | None = None, at_s: float = 0) -> billing.Billed:
    return billing.bill_openai(blocks, cache or {}, at_s=at_s)


def cost(usage: Usage) -> float:
    return sum(rate * (getattr(usage, name) or 0) for name, rate in PRICES.items())


def test_a_first_turn_writes_up_to_each_mark_and_the_rest_is_fresh() -> None:
    blocks = [block("system", 2000, "5m"), block("question", 300, "5m"), block("tail", 50)]
    assert anthropic(blocks).usage == Usage(50, 0, 2300, 0)


def test_a_second_turn_reads_what_the_first_wrote_and_writes_what_is_new() -> None:
    first = anthropic([block("system", 2000, "5m"), block("question", 300, "5m")])
    second = anthropic(
        [block("system", 2000, "5m"), block("question", 300), block("answer", 40), block("result", 500, "5m")],
        first.cache,
    )
    assert second.usage == Usage(0, 2300, 540, 0)


def test_a_changed_block_is_written_again_with_all_that_follows_it() -> None:
    first = anthropic([block("system", 2000, "5m"), block("a", 500), block("b", 500, "5m")])
    second = anthropic([block("system", 2000, "5m"), block("A", 500), block("b", 500, "5m")], first.cache)
    assert second.usage == Usage(0, 2000, 1000, 0)


def test_without_a_mark_nothing_is_read_or_written() -> None:
    first = anthropic(marked(row("x", 20)))
    assert anthropic(row("x", 20), first.cache).usage == Usage(2000, 0, 0, 0)


def test_a_mark_below_the_minimum_prefix_writes_nothing() -> None:
    assert anthropic([block("short", 1023, "5m")]).usage == Usage(1023, 0, 0, 0)
    assert anthropic([block("enough", 1024, "5m")]).usage == Usage(0, 0, 1024, 0)


def test_a_mark_finds_an_entry_nineteen_blocks_back_and_no_further() -> None:
    first = anthropic(marked(row("x", 20)))
    near = anthropic(marked(row("x", 20) + row("new", 19)), first.cache)
    far = anthropic(marked(row("x", 20) + row("new", 20)), first.cache)
    assert near.usage == Usage(0, 2000, 1900, 0)
    assert far.usage == Usage(0, 0, 4000, 0)


def test_a_second_mark_catches_what_the_look_back_of_the_last_one_misses() -> None:
    first = anthropic(marked(row("x", 20)))
    kept_mark = marked(row("x", 20)) + marked(row("new", 25))
    assert anthropic(kept_mark, first.cache).usage == Usage(0, 2000, 2500, 0)


def test_an_entry_dies_after_its_life_and_a_read_prolongs_it() -> None:
    prompt = marked(row("x", 20))
    first = anthropic(prompt, at_s=0)
    read = anthropic(prompt, first.cache, at_s=299)
    assert read.usage == Usage(0, 2000, 0, 0)
    assert anthropic(prompt, read.cache, at_s=598).usage == Usage(0, 2000, 0, 0)
    assert anthropic(prompt, read.cache, at_s=599).usage == Usage(0, 0, 2000, 0)


def test_entries_of_an_hour_live_an_hour_and_are_billed_apart() -> None:
    prompt = [block("system", 2000, "1h"), block("question", 100, "5m")]
    first = anthropic(prompt)
    assert first.usage == Usage(0, 0, 100, 2000)
    assert anthropic(prompt, first.cache, at_s=3599).usage == Usage(0, 2000, 100, 0)


def test_a_system_prompt_stays_cached_while_the_conversation_is_busy() -> None:
    cache: Cache = {}
    for n in range(5):
        cache = anthropic(
            [block("system", 2000, "5m"), *row("x", n), block("tail", 100, "5m")], cache, at_s=n * 200
        ).cache
    other = anthropic([block("system", 2000, "5m"), block("other", 100, "5m")], cache, at_s=1000)
    assert other.usage.cache_read == 2000


def test_another_model_shares_nothing() -> None:
    prompt = marked(row("x", 20))
    first = anthropic(prompt, model=b"one")
    assert anthropic(prompt, first.cache, model=b"two").usage == Usage(0, 0, 2000, 0)


@pytest.mark.parametrize("ttls", [["5m"] * 5, ["5m", "1h"], ["1h", "5m", "1h"]])
def test_marks_that_the_provider_refuses_are_refused(ttls: list[Ttl]) -> None:
    with pytest.raises(billing.Refused):
        anthropic([block(str(n), 2000, ttl) for n, ttl in enumerate(ttls)])


def test_four_marks_the_longer_life_first_are_fine() -> None:
    assert anthropic([block(str(n), 2000, ttl) for n, ttl in enumerate(["1h", "1h", "5m", "5m"])]).usage == Usage(
        0, 0, 4000, 4000
    )  # type: ignore[arg-type]


def test_openai_reads_any_prefix_in_steps_of_128_without_a_mark() -> None:
    first = openai(row("x", 20))
    assert first.usage == Usage(2000, 0, 0, 0)
    assert openai(row("x", 15) + row("y", 5), first.cache).usage == Usage(2000 - 1408, 1408, 0, 0)


def test_openai_reads_nothing_below_1024_tokens() -> None:
    first = openai(row("x", 20))
    assert openai(row("x", 10) + row("y", 10), first.cache).usage == Usage(2000, 0, 0, 0)
    short = openai(row("x", 10))
    assert short.cache == {}


def test_openai_forgets_after_five_minutes_without_use() -> None:
    first = openai(row("x", 20))
    assert openai(row("x", 20), first.cache, at_s=299).usage.cache_read == 1920
    assert openai(row("x", 20), first.cache, at_s=300).usage.cache_read == 0


def test_models_with_a_price_for_writes_are_billed_for_what_they_do_not_read() -> None:
    bill = billing.biller("openai", bills_writes=True)
    first = bill(row("x", 20), {}, at_s=0)
    assert first.usage == Usage(80, 0, 1920, 0)
    assert bill(row("x", 20) + row("y", 20), first.cache, at_s=1799).usage == Usage(4000 - 3968, 1920, 3968 - 1920, 0)


BILLERS = st.sampled_from([billing.bill_anthropic, billing.bill_openai, billing.bill_openai_writes])
SIZES = st.lists(st.integers(0, 700), min_size=1, max_size=45)


def _prompts(draw: Any) -> tuple[list[Block], list[int]]:
    sizes = draw(SIZES)
    places = sorted(draw(st.sets(st.integers(0, len(sizes) - 1), max_size=4)))
    return [block(f"p{n}", size, "5m" if n in places else None) for n, size in enumerate(sizes)], places


@st.composite
def prompts(draw: Any) -> list[Block]:
    return _prompts(draw)[0]


@given(BILLERS, st.lists(prompts(), min_size=1, max_size=6))
def test_every_token_is_billed_exactly_once(bill: billing.Biller, turns: list[list[Block]]) -> None:
    cache: Cache = {}
    for n, blocks in enumerate(turns):
        billed = bill(blocks, cache, at_s=n * 90.0)
        usage, cache = billed.usage, billed.cache
        counts = [usage.input_fresh, usage.cache_read, usage.cache_write_5m, usage.cache_write_1h]
        assert all(count is not None and count >= 0 for count in counts)
        assert sum(count or 0 for count in counts) == sum(one.tokens for one in blocks)


@given(BILLERS, prompts(), st.data())
def test_a_longer_identical_prefix_never_costs_more(
    bill: billing.Biller, earlier: list[Block], data: st.DataObject
) -> None:
    cache = bill(earlier, {}, at_s=0).cache
    later, _ = _prompts(data.draw)
    shorter, longer = sorted(data.draw(st.tuples(*[st.integers(0, min(len(later), len(earlier)))] * 2)))

    def sharing(count: int) -> list[Block]:
        """The later prompt's lengths and marks, the first `count` blocks the earlier prompt's own."""
        return [
            Block(
                earlier[n].digest if n < count else b"new%d" % n,
                earlier[n].tokens if n < longer else one.tokens,
                one.mark,
            )
            for n, one in enumerate(later)
        ]

    assert cost(bill(sharing(longer), cache, at_s=60).usage) <= cost(bill(sharing(shorter), cache, at_s=60).usage)


@given(BILLERS, prompts())
def test_billing_changes_nothing_that_it_was_given(bill: billing.Biller, blocks: list[Block]) -> None:
    cache = dict(bill(blocks, {}, at_s=0).cache)
    before = dict(cache)
    assert bill(blocks, cache, at_s=10) == bill(blocks, cache, at_s=10)
    assert cache == before


@given(prompts())
def test_a_repeated_prompt_is_read_up_to_its_last_written_mark(blocks: list[Block]) -> None:
    first = anthropic(blocks)
    second = anthropic(blocks, first.cache, at_s=1)
    assert second.usage == Usage(first.usage.input_fresh, first.usage.cache_write_5m, 0, 0)
