"""The figures of a replay as a page of text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from proxy.replay.outcomes import NANO_PER_USD, Outcome, Spent, by_tokens, total

LISTED_SESSIONS = 10
NAME_WIDTH = 44
CLASSES = {
    "input_fresh": "fresh input",
    "cache_read": "cache reads",
    "cache_write_5m": "cache writes, 5 min",
    "cache_write_1h": "cache writes, 1 h",
    "output": "output",
}


def page(outcomes: Sequence[Outcome], *, lists_all: bool = False) -> str:
    """Totals, tokens by class, forms, and the sessions with the largest bills, or all of them."""
    every = total(outcomes)
    parts = [
        _headline(every),
        _classes(every),
        _forms(every),
        _sessions(outcomes, len(outcomes) if lists_all else LISTED_SESSIONS),
        _foot(every),
    ]
    return "\n\n".join(part for part in parts if part)


def _headline(every: Outcome) -> str:
    priced = every.turns - sum(every.unpriced.values())
    lines = [f"{_counted(every.sessions, 'session')}, {_counted(every.turns, 'turn')}"]
    if priced:
        lines += [
            f"  bill without headroom  {_usd(every.before.cost_nano_usd):>12}",
            f"  first sight alone      {_usd(every.first_sight.cost_nano_usd):>12}",
            f"  bill with headroom     {_usd(every.after.cost_nano_usd):>12}",
            f"  saved                  {_usd(every.saved_nano_usd):>12}  {_percent(every)}",
        ]
    return "\n".join([*lines, *(f"  {line}" for line in unpriced(every))])


def unpriced(every: Outcome) -> list[str]:
    """What is in no bill."""
    return [
        f"no price is known for {model} of its provider: {_counted(turns, 'turn')} left out of the bill "
        "(--model prices them as another)"
        for model, turns in sorted(every.unpriced.items())
    ]


def _classes(every: Outcome) -> str:
    rows = [
        (field.name, getattr(every.before, field.name), getattr(every.after, field.name))
        for field in fields(Spent)
        if field.name in CLASSES
    ]
    shown = [
        (CLASSES[name], f"{before:,}", f"{after:,}", f"{after - before:+,}")
        for name, before, after in rows
        if before or after
    ]
    return _table(("billed tokens", "without", "with", "change"), shown)


def _forms(every: Outcome) -> str:
    shown = [
        (
            name,
            f"{form.results:,}",
            f"{form.tokens_before:,}",
            f"{form.tokens_after:,}",
            f"{form.tokens_after - form.tokens_before:+,}",
        )
        for name, form in by_tokens(every.forms)
    ]
    alone = ", ".join(
        f"{reason} {results:,}" for reason, results in sorted(every.left_alone.items(), key=lambda item: -item[1])
    )
    epochs = ", ".join(f"{trigger} {count:,}" for trigger, count in sorted(every.epochs.items()))
    table = (
        _table(("shrunk by", "results", "tokens", "shorter", "change"), shown) if shown else "no tool result was shrunk"
    )
    facts = f"texts that answers used: {every.facts:,}, hidden from them: {every.hidden_facts:,}" if every.facts else ""
    lines = [table, f"left as they were: {alone}" if alone else "", f"epochs: {epochs}" if epochs else "", facts]
    return "\n".join(line for line in lines if line)


def _sessions(outcomes: Sequence[Outcome], listed: int) -> str:
    if len(outcomes) < 2:
        return _epochs(outcomes[0]) if outcomes else ""
    largest = sorted(outcomes, key=lambda one: (-one.before.cost_nano_usd, -one.turns))[:listed]
    shown = [(_clipped(one.name), str(one.turns), *_bill(one)) for one in largest]
    left = len(outcomes) - len(largest)
    title = "largest bills" if left else "session"
    head = (title, "turns", "without", "first sight", "with", "saved", "written", "epochs", "hidden")
    more = f"\nand {_counted(left, 'session')} more; --all lists them" if left else ""
    return _table(head, shown) + more


def _epochs(outcome: Outcome) -> str:
    """When the epochs of one session began, and why."""
    return "\n".join(f"epoch at turn {turn}: {trigger}" for turn, trigger in outcome.epoch_turns)


def _bill(outcome: Outcome) -> tuple[str, ...]:
    bills = (outcome.before, outcome.first_sight, outcome.after)
    return (
        *([_usd(bill.cost_nano_usd) for bill in bills] if outcome.is_priced else ["no price", "", ""]),
        _percent(outcome),
        f"{outcome.more_written:+,}",
        ", ".join(f"{trigger} {count}" for trigger, count in sorted(outcome.epochs.items())),
        f"{outcome.hidden_facts} of {outcome.facts}" if outcome.facts else "",
    )


def _foot(every: Outcome) -> str:
    if not every.turns:
        return ""
    return f"added per turn: {every.turn_ms_sum / every.turns:.1f} ms on average, {every.slowest_turn_ms:.1f} ms in the slowest"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Columns as wide as they need: the first one to the left, figures to the right."""
    widths = [max(len(row[n]) for row in (head, *rows)) for n in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if n == 0 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, *rows)
    )


def _usd(nano_usd: int) -> str:
    """Dollars with the digits that matter: cents for large bills, more for small ones."""
    usd = nano_usd / NANO_PER_USD
    sign = "-" if usd < 0 else ""
    return f"{sign}${abs(usd):,.2f}" if abs(usd) >= 100 else f"{sign}${abs(usd):.4f}"


def _percent(outcome: Outcome) -> str:
    percent = outcome.saved_percent
    return "" if percent is None else f"{percent:.1f} %"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _clipped(name: str) -> str:
    return name if len(name) <= NAME_WIDTH else "…" + name[1 - NAME_WIDTH :]
