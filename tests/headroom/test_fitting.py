"""A conversation that must fit a budget: who goes first, what is never touched, what is said about it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom import Policy, Scope, compress, importance, tokens, walk
from headroom.messages import Result
from tests.examples import examples


def log(name: str, lines: int = 120) -> str:
    return "\n".join(
        f"2024-01-02 03:04:{at % 60:02} INFO {name} served /{name}/{at * 7} in {at % 90} ms" for at in range(lines)
    )


def step(call_id: str, command: str, output: str, says: str = "") -> list[dict[str, Any]]:
    arguments = json.dumps({"command": command})
    call = {"id": call_id, "type": "function", "function": {"name": "Bash", "arguments": arguments}}
    return [
        {"role": "assistant", "content": says, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call_id, "content": output},
    ]


TALK = [
    {"role": "system", "content": "You are helpful."},
    {"role": "user", "content": "Why does checkout_total differ?"},
    *step("a", "cat stock.log", log("stock")),
    *step("b", "cat checkout.log", log("checkout_total")),
    *step("c", "cat mail.log", log("mail") + "\nERROR smtp_relay_7 refused the connection"),
    *step("d", "cat last.log", log("last"), says="The relay smtp_relay_7 is down."),
]


def fitted(budget: int, **options: Any) -> Result:
    return compress(TALK, model="m", token_budget=budget, explain=True, **options)


def outputs(result: Result) -> dict[str, str]:
    return {message["tool_call_id"]: message["content"] for message in result.messages if message["role"] == "tool"}


def test_what_fits_is_left_as_it_is() -> None:
    usual = compress(TALK, model="m")
    assert fitted(usual.tokens_after).messages == usual.messages and fitted(usual.tokens_after).budget == ()


def test_the_least_important_results_are_shortened_first_and_no_more_than_needed() -> None:
    usual = compress(TALK, model="m", explain=True)
    result = fitted(usual.tokens_after - 20)
    levels = {block.message: block.level for block in result.explain}
    assert result.tokens_after <= usual.tokens_after - 20 and result.budget == ("deep",)
    assert levels == {3: "deep", 5: "balanced", 7: "balanced", 9: "balanced"}


def test_then_results_are_left_out_with_a_way_back() -> None:
    deepest = compress(TALK, model="m", policy=Policy(level="deep"))
    result = fitted(deepest.tokens_after - 60)
    assert result.budget == ("deep", "dropped") and result.tokens_after <= deepest.tokens_after - 60
    gone = outputs(result)["a"]
    assert gone.startswith("[headroom left out this result for want of room: 120 lines, ") and "\n" not in gone
    assert result.ccr_hashes[0] in gone and result.originals[result.ccr_hashes[0]] == log("stock")
    assert not any("for want of room" in outputs(result)[name] for name in "bcd")
    assert "router:dropped" in result.transforms_summary
    assert len(result.messages) == len(TALK) and result.messages[:3] == TALK[:3]
    again = compress(result.messages, model="m")
    assert again.messages == result.messages


def test_a_budget_that_cannot_be_met_says_so_and_keeps_what_people_said() -> None:
    result = fitted(5)
    assert result.budget[-1] == "not_met" and all("for want of room" in text for text in outputs(result).values())
    assert [m for m in result.messages if m["role"] in ("system", "user")] == TALK[:2]
    result = fitted(5, scope=Scope(user_text=True, frozen_messages=4, recent_messages=1))
    kept = outputs(result)
    assert kept["a"] == log("stock") and kept["d"] == log("last") and "for want of room" in kept["c"]


@pytest.mark.parametrize(
    "policy",
    [Policy(level="lossless"), Policy(excluded_tools=frozenset(["bash"])), Policy(tool_levels=(("*", "lossless"),))],
)
def test_where_nothing_may_be_left_out_the_budget_is_not_met(policy: Policy) -> None:
    result = fitted(5, policy=policy)
    assert result.budget == ("not_met",) and result.ccr_hashes == []


LINES = st.lists(st.text("abc 019/._:-[]{}\"'\n", min_size=10, max_size=60), min_size=5, max_size=50).map("\n".join)


@examples(15)
@given(
    st.lists(LINES, min_size=1, max_size=4), st.integers(0, 4_000), st.sampled_from(["lossless", "balanced", "deep"])
)
def test_a_budget_is_kept_to_or_said_not_to_be_whatever_the_texts(texts: list[str], budget: int, level: Any) -> None:
    talk = [message for at, text in enumerate(texts) for message in step(f"c{at}", "cat x", text)]
    result = compress(talk, model="m", token_budget=budget, policy=Policy(level=level))
    read = sum(tokens.count(part) for message in result.messages for part in walk.read(message))
    assert read == result.tokens_after <= result.tokens_before
    assert result.tokens_after <= budget or "not_met" in result.budget
    assert compress(talk, model="m", token_budget=budget, policy=Policy(level=level)) == result


def test_importance_is_age_the_question_trouble_and_what_is_said_later() -> None:
    texts = walk.texts(TALK, Scope())
    stock, checkout, mail, last = importance.scores(texts, TALK)
    assert stock < min(checkout, mail, last)
    without_question = [TALK[0], {"role": "user", "content": "Go on."}, *TALK[2:]]
    assert importance.scores(texts, without_question)[1] < checkout
    unsaid = [*TALK[:8], {**TALK[8], "content": "Something is down."}, TALK[9]]
    assert importance.scores(texts, unsaid)[2] < mail
    calm = [text if text.number != 2 else replace(text, text=log("mail")) for text in texts]
    assert importance.scores(calm, unsaid)[2] < importance.scores(texts, unsaid)[2]
