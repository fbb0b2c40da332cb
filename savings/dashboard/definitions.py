"""What each figure on a page is called, what it means, and how it is read: once, so that no two tiles can disagree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from savings.figures import Figures

Kind = Literal["nano_usd", "count", "percent", "ms"]
Tone = Literal["", "gain", "loss"]


@dataclass(frozen=True, slots=True)
class Definition:
    """A figure: its title, one line that says what it counts, and where its number comes from."""

    title: str
    meaning: str
    kind: Kind
    read: Callable[[Figures], int | float]
    is_signed: bool = False
    """Whether the sign is good or bad news."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure as a page shows it. `number` is the exact one: nano-dollars, counts, percent or milliseconds."""

    name: str
    title: str
    meaning: str
    number: int | float
    text: str
    tone: Tone
    note: str = ""


DEFINITIONS: dict[str, Definition] = {
    "spent": Definition(
        "Spent",
        "What providers charge for these calls: billed tokens at their prices. Calls without a known price are not in it.",
        "nano_usd",
        lambda figures: figures.cost_nano_usd,
    ),
    "would_have_been": Definition(
        "Would have been",
        "The bill without Headroom: spent and saved together.",
        "nano_usd",
        lambda figures: figures.cost_nano_usd + figures.saved_nano_usd,
    ),
    "saved": Definition(
        "Saved",
        "What the removed tokens would have cost at the tier they would have been billed at, less what we caused. "
        "Negative where we made it dearer.",
        "nano_usd",
        lambda figures: figures.saved_nano_usd,
        is_signed=True,
    ),
    "saved_percent": Definition(
        "Saved, in percent",
        "Saved as a share of what the bill would have been.",
        "percent",
        lambda figures: figures.saved_percent,
        is_signed=True,
    ),
    "avoided": Definition(
        "Not asked again",
        "What answers out of our response cache would have cost at the provider. Apart from what was saved.",
        "nano_usd",
        lambda figures: figures.avoided_nano_usd,
    ),
    "would_save": Definition(
        "Would have saved",
        "With --observe: what shortening would have saved. Nothing was changed, so it is in no other figure.",
        "nano_usd",
        lambda figures: figures.observed_saved_nano_usd,
        is_signed=True,
    ),
    "calls": Definition(
        "Calls",
        "Calls to providers, recorded once each; a retry or a retrieval round is a call of its own.",
        "count",
        lambda figures: figures.calls,
    ),
    "requests": Definition(
        "Requests",
        "Requests of clients; retries and rounds of ours are not counted again.",
        "count",
        lambda f: f.requests,
    ),
    "failed": Definition(
        "Failed",
        "Calls that the provider answered with an error, or that broke off.",
        "count",
        lambda figures: figures.failed_calls,
    ),
    "unpriced": Definition(
        "Without price",
        "Calls of models without a known price: they are in no sum of dollars.",
        "count",
        lambda figures: figures.unpriced_calls,
    ),
    "tokens_saved": Definition(
        "Prompt tokens saved",
        "Prompt tokens that were not sent, by our own count. Many of them would have been cheap cache reads.",
        "count",
        lambda figures: figures.tokens_saved,
        is_signed=True,
    ),
    "input_tokens": Definition(
        "Input tokens",
        "Billed input of every class: fresh, read from and written to the provider's cache.",
        "count",
        lambda figures: figures.input_tokens,
    ),
    "output_tokens": Definition("Output tokens", "Billed output.", "count", lambda figures: figures.output_tokens),
    "cache_hit": Definition(
        "Read from cache",
        "The share of billed input that the provider read from its prompt cache.",
        "percent",
        lambda figures: figures.cache_hit_percent,
    ),
    "latency": Definition(
        "Whole answer", "Mean time from a request's arrival to the end of its answer.", "ms", lambda f: f.latency_ms
    ),
    "overhead": Definition(
        "Ours", "Mean time that a request spent in this proxy before it was sent.", "ms", lambda f: f.overhead_ms
    ),
    "ttfb": Definition(
        "The provider's", "Mean time from sending to the provider's first byte.", "ms", lambda f: f.ttfb_ms
    ),
}


OUTCOMES: dict[str, tuple[str, str]] = {
    "hit": ("Read as expected", "The provider read from its cache what an earlier request had written."),
    "cold_start": ("First of its kind", "Nothing could be there yet: a new conversation, or a new prompt."),
    "ttl_expiry": ("Expired", "The pause was longer than the provider keeps a prompt: five minutes, or an hour."),
    "prefix_change": ("Changed by the client", "The client sent its history differently from before."),
    "own_change": ("Changed by us", "An epoch of ours re-wrote older results; outside of those this must be 0."),
    "unknown": ("Nobody knows", "The provider read less than expected and nothing here explains it."),
}
"""What became of the provider's prompt cache in a call: in short, and in a sentence."""

REASONS: dict[str, str] = {
    "already_shrunk": "The newest result was short already, from us or from the tool.",
    "busy": "Too much was being shortened at once.",
    "bypass": "The client asked for it with a header.",
    "cached": "Answered from our response cache.",
    "disabled": "Shortening is switched off.",
    "edit_refused": "The provider refused the conversation as shortened, so the client's own bytes are sent.",
    "excluded": "The tool is one that you excluded.",
    "failed": "Something here failed; nothing was risked.",
    "history": "Every result was in the history already, and keeps the form that it was sent in.",
    "no_gain": "No shorter form was clearly shorter.",
    "no_tool_results": "Only tool results are ever shortened, and there were none.",
    "not_a_prompt": "Nothing to shorten in a request of this kind.",
    "observed": "With --observe nothing is changed.",
    "retrieval": "A lookup of ours.",
    "retrieved": "The model had asked for this text in full.",
    "small_prompt": "It would have become too short for the provider's cache.",
    "store_down": "The originals could not be kept, so nothing was left out.",
    "too_large": "A result was larger than what is looked at.",
    "too_small": "Every result was too short to be worth it.",
    "unparsed": "Not a body that we understand; the provider judges it.",
    "unspliceable": "The new text could not be put in without touching anything else.",
}
"""Why a request went out as it came. What follows a colon in a reason says where."""


def tiles(figures: Figures, names: Sequence[str]) -> list[Tile]:
    """These figures, in this order."""
    return [tile(figures, name) for name in names]


def tile(figures: Figures, name: str) -> Tile:
    """One figure."""
    definition = DEFINITIONS[name]
    number = definition.read(figures)
    return Tile(
        name, definition.title, definition.meaning, number, text(number, definition.kind), tone(number, definition)
    )


def text(number: int | float, kind: Kind) -> str:
    """A number as people read it.

    >>> text(-153_000_000, "nano_usd"), text(1234567, "count"), text(12.34, "percent"), text(0.4567, "ms")
    ('−$0.1530', '1,234,567', '12.3 %', '0.46 ms')
    """
    sign = "−" if number < 0 else ""
    size = abs(number)
    if kind == "nano_usd" and not number:
        return "$0"
    if kind == "nano_usd":
        dollars = Decimal(int(size)) / 1_000_000_000
        return f"{sign}${dollars:,.2f}" if dollars >= 100 else f"{sign}${dollars:,.4f}"
    if kind == "percent":
        return f"{sign}{size:.1f} %"
    if kind == "ms":
        return f"{sign}{size:,.0f} ms" if size >= 100 else f"{sign}{size:.2f} ms"
    return f"{sign}{size:,}"


def tone(number: int | float, definition: Definition) -> Tone:
    """Whether a figure is good news or bad news."""
    if not definition.is_signed or not number:
        return ""
    return "gain" if number > 0 else "loss"
