"""When an epoch pays, and what can be read of the prompt afterwards: arithmetic over one prompt."""

from __future__ import annotations

import pytest

from proxy.aging import epochs
from proxy.aging.epochs import Billing, Candidate, Prompt, Tuning

ANTHROPIC = Billing(0.1, 1.25, finds_any_prefix=False)
OPENAI = Billing(0.5, 1.0, finds_any_prefix=True)


def prompt(*, turns: int = 40, entries: tuple[int, ...] = (0,), allowance: float = 1e9) -> Prompt:
    """Ten blocks of a thousand tokens, all of them cached."""
    return Prompt([1000] * 10, 10, entries, turns, allowance)


def test_an_epoch_costs_what_is_written_again_and_brings_what_is_not_read_again() -> None:
    tuning = Tuning(horizon_share=0.5, margin_share=0.0, asked_share=0.02)
    epoch = epochs.plan(prompt(), [Candidate(6, 900)], OPENAI, tuning)
    assert epoch is not None
    assert epoch.read_to == 6
    assert epoch.cost == 1.0 * (4000 - 900) - 0.5 * 4000
    assert epoch.gain == 0.5 * 900 * 20 - 0.02 * 0.5 * 10_000, "one of fifty is asked for: the prompt is read once more"


def test_what_saves_less_than_asking_for_it_costs_stays_also_when_the_cache_is_cold() -> None:
    cold = Billing(0.1, 1.25, finds_any_prefix=False, is_cold=True)
    assert epochs.plan(prompt(turns=2), [Candidate(6, 9)], cold, Tuning(asked_share=0.0)) is not None
    assert epochs.plan(prompt(turns=2), [Candidate(6, 9)], cold, Tuning(asked_share=0.02)) is None


def test_half_a_round_is_earned_before_a_change_of_a_cold_prompt_is_free() -> None:
    cold = Billing(0.1, 1.25, finds_any_prefix=False, is_cold=True)
    few, many = [Candidate(6, 300)], [Candidate(6, 500)]
    assert epochs.plan(prompt(allowance=0), few, cold, Tuning()) is None, "375 at once, 500 for half a round"
    assert epochs.plan(prompt(allowance=0), many, cold, Tuning()) is not None
    assert epochs.plan(prompt(allowance=200), few, cold, Tuning()) is not None


def test_what_stands_behind_the_first_change_comes_along() -> None:
    epoch = epochs.plan(prompt(), [Candidate(2, 900), Candidate(6, 900), Candidate(8, 10)], OPENAI, Tuning())
    assert epoch is not None
    assert (epoch.first, epoch.saved_tokens) == (0, 1810)


@pytest.mark.parametrize("is_cold", [True, False])
def test_what_comes_along_is_worth_more_than_a_round_for_it(is_cold: bool) -> None:
    billing, tuning = (
        Billing(0.5, 1.0, finds_any_prefix=True, is_cold=is_cold),
        Tuning(horizon_share=0.25, asked_share=0.02),
    )
    assert not epochs.is_worth_a_round(Candidate(6, 16), prompt(turns=40), billing, tuning), (
        "100 for rounds, 6 for each token"
    )
    assert epochs.is_worth_a_round(Candidate(6, 17), prompt(turns=40), billing, tuning)
    assert not epochs.is_worth_a_round(Candidate(6, 66), prompt(turns=2), billing, tuning)
    assert epochs.is_worth_a_round(Candidate(6, 81), prompt(turns=2), billing, tuning)
    assert not epochs.is_worth_a_round(Candidate(6, 33, risk=2.0), prompt(turns=40), billing, tuning)
    assert epochs.is_worth_a_round(Candidate(6, 34, risk=2.0), prompt(turns=40), billing, tuning)


def test_what_is_likelier_to_be_asked_for_must_bring_more() -> None:
    tuning = Tuning(asked_share=0.02)
    gains = []
    for risk in (1.0, 3.0):
        epoch = epochs.plan(prompt(turns=40), [Candidate(6, 900, risk)], OPENAI, tuning)
        assert epoch is not None
        gains.append(epoch.gain)
    assert gains[0] - gains[1] == pytest.approx(2 * 0.5 * 0.02 * sum(prompt().block_tokens))
    assert epochs.plan(prompt(turns=40), [Candidate(6, 900, risk=1_000.0)], OPENAI, tuning) is None


def test_an_epoch_waits_for_turns_and_for_money() -> None:
    candidates = [Candidate(6, 900)]
    assert epochs.plan(prompt(turns=2), candidates, OPENAI, Tuning()) is None
    assert epochs.plan(prompt(allowance=1000), candidates, OPENAI, Tuning()) is None


def test_without_an_entry_close_by_everything_is_written_again() -> None:
    far = epochs.plan(prompt(turns=600, entries=(0, 8)), [Candidate(6, 900)], ANTHROPIC, Tuning())
    near = epochs.plan(prompt(turns=600, entries=(0, 5, 8)), [Candidate(6, 900)], ANTHROPIC, Tuning())
    assert far is not None
    assert near is not None
    assert (far.read_to, near.read_to) == (0, 5)
    assert far.cost - near.cost == pytest.approx((1.25 - 0.1) * 5000)


@pytest.mark.parametrize(("end", "found"), [(10, 2), (9, 1), (4, 1), (3, 1), (29, 2), (30, None)])
def test_a_mark_finds_a_prefix_at_most_twenty_blocks_before_it(end: int, found: int | None) -> None:
    assert epochs.seen_from(end, [3, 9, 28]) == found


def test_no_epoch_takes_a_prompt_below_what_providers_cache() -> None:
    small = Prompt([400] * 4, 4, (0,), 40, 1e9)
    assert epochs.plan(small, [Candidate(3, 300)], OPENAI, Tuning()) is not None
    assert epochs.plan(small, [Candidate(2, 300), Candidate(3, 300)], OPENAI, Tuning()).saved_tokens == 300  # type: ignore[union-attr]
    assert epochs.plan(small, [Candidate(3, 401)], OPENAI, Tuning()) is None
