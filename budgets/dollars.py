"""Nano-dollars as people read them."""

from __future__ import annotations

NANO_PER_USD = 10**9


def exact(nano_usd: int) -> str:
    """Dollars with every decimal that there is, and at least two.

    >>> exact(5_000_000_000), exact(1_500_000)
    ('5.00', '0.0015')
    """
    whole, rest = divmod(nano_usd, NANO_PER_USD)
    decimals = f"{rest:09}".rstrip("0")
    return f"{whole}.{decimals:0<2}"
