"""How many tokens a model takes in all, as far as anybody knows: the public list of models, and what a beta adds."""

from __future__ import annotations

import re

from proxy.values import Exchange
from savings.pricing import PriceBook

_WIDER = re.compile(r"\bcontext-(\d{1,2})m\b|\[(\d{1,2})m\]", re.IGNORECASE)
"""A beta such as `context-1m-2025-08-07`, and the suffix by which some agents choose it in the model's name."""


def context_tokens(prices: PriceBook, client: Exchange, *, provider: str, upstream: str, model: str) -> int | None:
    """The context window of a model, `None` where nobody knows. Never waits for the list to be loaded."""
    wider = [
        1_000_000 * int(found[1] or found[2])
        for text in (*_betas(client), model)
        if (found := _WIDER.search(text)) is not None
    ]
    if not prices.is_warm or not model:
        return None
    listed = prices.context_tokens(provider, upstream, _WIDER.sub("", model))
    return max(listed, *wider) if listed and wider else listed


def _betas(client: Exchange) -> list[str]:
    return [value.decode("latin-1") for key, value in client.headers if key == b"anthropic-beta"]
