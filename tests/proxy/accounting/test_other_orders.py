"""Requests whose history the client put in another order are sized up like any other."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.accounting.books import Books, Request
from proxy.providers import anthropic
from proxy.values import Plan
from savings.receipts import Usage
from tests.examples import examples

TURNS = 14
MOVED = (7, 9, 10)
"""Turns in the midst of the history, where not every message is looked at again."""


def body(order: list[int], model: str = "claude-sonnet-4-5") -> bytes:
    """A request with these turns; each has as many calls as its number lets it have, one to three."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Go."}]
    for turn in order:
        ids = [f"t{turn}.{n}" for n in range(1 + turn % 3)]
        calls = [{"type": "tool_use", "id": one, "name": "Bash", "input": {"command": f"make {one}"}} for one in ids]
        results = [{"type": "tool_result", "tool_use_id": one, "content": f"made {one}\n" * 40} for one in ids]
        messages += [{"role": "assistant", "content": calls}, {"role": "user", "content": results}]
    return orjson.dumps({"model": model, "max_tokens": 9, "messages": messages})


@examples(40)
@given(
    order=st.permutations(range(TURNS)),
    length=st.integers(1, TURNS),
    model=st.sampled_from(["claude-sonnet-4-5", "claude-opus-4-5"]),
)
@example(order=[n for n in range(TURNS) if n not in MOVED] + list(MOVED), length=TURNS, model="claude-sonnet-4-5")
@example(order=[*range(7), 8, 7, *range(9, TURNS)], length=TURNS, model="claude-sonnet-4-5")
@example(order=[*range(6), 7, 6, *range(8, TURNS)], length=TURNS, model="claude-opus-4-5")
def test_another_order_is_sized_up(order: list[int], length: int, model: str) -> None:
    books = Books()
    for one in (body(list(range(TURNS))), body(order[:length], model)):
        call = anthropic.parse(one)
        entry = books.open("conversation", Request(call, "anthropic", Plan(), 0.0, is_edited=False))
        assert entry is not None
        reckoning = entry.settle(Usage(input_fresh=len(one) // 4, output=1))
        assert reckoning is not None
        assert reckoning.basis
