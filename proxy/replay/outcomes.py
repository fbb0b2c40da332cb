"""What a replay found out: sums over turns, sessions and all of them, printable and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any

from savings.receipts import Usage

NANO_PER_USD = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Spent:
    """Billed tokens by class and their price."""

    input_fresh: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    cost_nano_usd: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(Spent)))

    @classmethod
    def of(cls, usage: Usage, cost_nano_usd: int) -> Spent:
        """One request, whose usage must be known in full."""
        return cls(
            usage.input_fresh or 0,
            usage.cache_read or 0,
            usage.cache_write_5m or 0,
            usage.cache_write_1h or 0,
            usage.output or 0,
            cost_nano_usd,
        )


@dataclass(frozen=True, slots=True)
class Form:
    """How often one form was chosen, and the tokens of those tool results before and after it."""

    results: int = 0
    tokens_before: int = 0
    tokens_after: int = 0

    def __add__(self, other: Form) -> Form:
        return Form(
            self.results + other.results,
            self.tokens_before + other.tokens_before,
            self.tokens_after + other.tokens_after,
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """A replayed session, or the sum of several. `forms` by name, `left_alone` counts tool results by reason.

    `epochs` counts moments at which older results were shortened further, by what triggered them; of one session,
    `epoch_turns` has the turns. `first_sight` is what was spent where that is never done. `facts` are texts that an answer
    is known to have used, `hidden_facts` those of them that were not there to be read when it was asked for.

    Turns of models without a price are in `turns` and `unpriced`, and nowhere else: a price is never guessed.
    """

    name: str = ""
    sessions: int = 0
    turns: int = 0
    before: Spent = field(default_factory=Spent)
    after: Spent = field(default_factory=Spent)
    forms: dict[str, Form] = field(default_factory=dict)
    left_alone: dict[str, int] = field(default_factory=dict)
    unpriced: dict[str, int] = field(default_factory=dict)
    epochs: dict[str, int] = field(default_factory=dict)
    first_sight: Spent = field(default_factory=Spent)
    epoch_turns: tuple[tuple[int, str], ...] = ()
    facts: int = 0
    hidden_facts: int = 0
    turn_ms_sum: float = 0.0
    slowest_turn_ms: float = 0.0

    @property
    def saved_nano_usd(self) -> int:
        """Negative when the session became dearer."""
        return self.before.cost_nano_usd - self.after.cost_nano_usd

    @property
    def is_priced(self) -> bool:
        """Whether any of its turns has a price."""
        return not self.turns or self.turns > sum(self.unpriced.values())

    @property
    def more_written(self) -> int:
        """Tokens written to the cache beyond what would have been without us."""
        before, after = self.before, self.after
        return after.cache_write_5m + after.cache_write_1h - before.cache_write_5m - before.cache_write_1h

    @property
    def saved_percent(self) -> float | None:
        """None where there was no bill."""
        before = self.before.cost_nano_usd
        return 100 * self.saved_nano_usd / before if before else None


def total(outcomes: Iterable[Outcome]) -> Outcome:
    """The sum of all."""
    every = list(outcomes)
    return Outcome(
        sessions=sum(one.sessions for one in every),
        turns=sum(one.turns for one in every),
        before=sum((one.before for one in every), Spent()),
        after=sum((one.after for one in every), Spent()),
        forms=_merged((one.forms for one in every), Form()),
        left_alone=_merged((one.left_alone for one in every), 0),
        unpriced=_merged((one.unpriced for one in every), 0),
        epochs=_merged((one.epochs for one in every), 0),
        first_sight=sum((one.first_sight for one in every), Spent()),
        facts=sum(one.facts for one in every),
        hidden_facts=sum(one.hidden_facts for one in every),
        turn_ms_sum=sum(one.turn_ms_sum for one in every),
        slowest_turn_ms=max((one.slowest_turn_ms for one in every), default=0.0),
    )


def as_json(outcome: Outcome) -> dict[str, Any]:
    """The figures under the names that `headroom replay --json` promises."""
    percent = outcome.saved_percent
    return {
        "sessions": outcome.sessions,
        "turns": outcome.turns,
        "bill_usd": {
            "before": outcome.before.cost_nano_usd / NANO_PER_USD,
            "first_sight": outcome.first_sight.cost_nano_usd / NANO_PER_USD,
            "after": outcome.after.cost_nano_usd / NANO_PER_USD,
            "saved": outcome.saved_nano_usd / NANO_PER_USD,
            "saved_percent": None if percent is None else round(percent, 3),
        },
        "tokens": {
            one.name: {
                "before": getattr(outcome.before, one.name),
                "first_sight": getattr(outcome.first_sight, one.name),
                "after": getattr(outcome.after, one.name),
            }
            for one in fields(Spent)
            if one.name != "cost_nano_usd"
        },
        "shrunk": {
            name: {"results": form.results, "tokens_before": form.tokens_before, "tokens_after": form.tokens_after}
            for name, form in by_tokens(outcome.forms)
        },
        "left_alone": dict(sorted(outcome.left_alone.items())),
        "epochs": dict(sorted(outcome.epochs.items())),
        "facts": {"needed": outcome.facts, "hidden": outcome.hidden_facts},
        "unpriced_turns": dict(sorted(outcome.unpriced.items())),
        "milliseconds": {
            "mean_turn": round(outcome.turn_ms_sum / outcome.turns, 3) if outcome.turns else None,
            "slowest_turn": round(outcome.slowest_turn_ms, 3),
        },
    }


def session_as_json(outcome: Outcome) -> dict[str, Any]:
    """The same of one session, with its name and the turns in which its epochs began."""
    turns = [{"turn": turn, "trigger": trigger} for turn, trigger in outcome.epoch_turns]
    return {"name": outcome.name, **as_json(outcome), "epoch_turns": turns}


def by_tokens(forms: dict[str, Form]) -> list[tuple[str, Form]]:
    """Forms in the order of what they saved."""
    return sorted(forms.items(), key=lambda item: (item[1].tokens_after - item[1].tokens_before, item[0]))


def _merged(parts: Iterable[dict[str, Any]], zero: Any) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            merged[key] = merged.get(key, zero) + value
    return merged
