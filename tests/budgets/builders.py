"""Builders of budgets and of what is booked against them: a test names only what matters to it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from budgets import limits
from budgets.estimates import Demand
from budgets.gate import Principal
from budgets.models import Budget, BudgetPeriod
from savings import ledger
from savings.pricing import Price, PricedReceipt
from savings.receipts import Receipt, Reserved, Usage
from tests.savings.receipts import NOON, make_admission, make_settlement

USD = 10**9


def make_budget(usd: str | float = 10, period: Any = "daily", **fields: Any) -> Budget:
    return limits.create(Decimal(str(usd)), period, **fields)


def account(budget: Budget) -> BudgetPeriod:
    return BudgetPeriod.objects.get(budget=budget)


def standing(budget: Budget) -> tuple[int, int, int]:
    """(spent, held, leased) of a budget's only period."""
    period = account(budget)
    return period.spent_nano_usd, period.held_nano_usd, period.leased_nano_usd


def priced(cost_nano_usd: int | None, *reserved: Reserved, holder: str = "w1", **admission: Any) -> PricedReceipt:
    call = make_admission(reserved=reserved, holder=holder, **admission)
    receipt = Receipt(call, make_settlement(call.call_id))
    price = Price(cost_nano_usd, "" if cost_nano_usd is None else "override", "1")
    return PricedReceipt(receipt, Usage(input_fresh=1, output=1), "measured", price)


def book(post: Callable[[Any], None], *entries: PricedReceipt) -> int:
    """Record entries as the flusher does."""
    return ledger.record_many(entries, post_balances=post)


def make_demand(**fields: Any) -> Demand:
    """A call to claude-sonnet-4-5: $3 a million tokens in, $15 out."""
    return Demand(
        **{
            "provider": "anthropic",
            "upstream": "https://api.anthropic.com",
            "route": "/v1/messages",
            "model": "claude-sonnet-4-5",
            "input_tokens": 1000,
            "body_bytes": 4000,
            "max_output_tokens": 100,
            **fields,
        }
    )


def somebody(key_id: str = "", owner: str = "local") -> Principal:
    return Principal(owner, key_id)


__all__ = ["NOON", "USD"]
