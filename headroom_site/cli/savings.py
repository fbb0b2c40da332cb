"""`headroom savings`: what was spent and saved lately, and by whom."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import click

from headroom_site.cli import setup

TIMES = {"today": 1, "7 days": 7, "30 days": 30, "lifetime": None}
BREAKDOWNS = ("model", "agent", "project")
BREAKDOWN_DAYS = 30
ROWS = 10


@click.command("savings")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> None:
    """What calls cost, what they would have cost without this proxy, and the difference: a loss has a minus.

    Days are UTC. Sums up what is new first, so that nothing is missing. By model, agent and project: the last 30 days.
    """
    setup.database()
    rollups = import_module("savings.rollups")
    with contextlib.suppress(rollups.Busy):  # whoever is at it will be done in a moment
        rollups.roll()
    found = _figures(datetime.now(UTC))
    click.echo(json.dumps(found, indent=2) if as_json else _page(found))


def _figures(now: datetime) -> dict[str, Any]:
    stats = import_module("savings.stats")
    last = stats.Window.last(timedelta(days=BREAKDOWN_DAYS), now)
    return {
        "times": {
            name: _row(stats.totals(stats.EVER if days is None else stats.Window.last(timedelta(days=days), now)))
            for name, days in TIMES.items()
        },
        **{
            f"by_{label}": {name or "(none)": _row(some) for name, some in stats.by(label, last, limit=ROWS).items()}
            for label in BREAKDOWNS
        },
        "uncompressed_requests": stats.reasons(last),
        "prompt_cache": _prompt_cache(stats.totals(last)),
    }


def _row(figures: Any) -> dict[str, Any]:
    return {
        "requests": figures.requests,
        "calls": figures.calls,
        "spent_usd": float(figures.spent_usd),
        "would_have_been_usd": float(figures.would_have_been_usd),
        "saved_usd": float(figures.saved_usd),
        "saved_percent": figures.saved_percent,
        "tokens_saved": figures.tokens_saved,
        "avoided_usd": float(figures.avoided_usd),
        "provider_cache_discount_usd": float(figures.cache_discount_usd),
        "unpriced_calls": figures.unpriced_calls,
        "observed_calls": figures.observed_calls,
        "observed_saved_usd": float(figures.observed_saved_nano_usd) / 10**9,
        "observed_tokens_saved": figures.observed_tokens_saved,
        "cost_nano_usd": figures.cost_nano_usd,
        "saved_nano_usd": figures.saved_nano_usd,
    }


def _prompt_cache(figures: Any) -> dict[str, Any]:
    """What became of the provider's prompt cache in calls, and what was written to it."""
    return {
        "calls": figures.cache_outcomes,
        "read_percent": figures.cache_hit_percent,
        "written_5m_tokens": figures.cache_write_5m_tokens,
        "written_1h_tokens": figures.cache_write_1h_tokens,
    }


def _page(found: dict[str, Any]) -> str:
    lines = _table("", found["times"]) + _observed(found["times"])
    for label in BREAKDOWNS:
        lines += ["", *_table(f"by {label}, {BREAKDOWN_DAYS} days", found[f"by_{label}"])]
    lines += ["", *_cache_lines(found["prompt_cache"])]
    unpriced = found["times"]["lifetime"]["unpriced_calls"]
    if unpriced:
        lines += ["", f"{unpriced:,} calls have no known price and are in no sum of dollars."]
    return "\n".join(lines)


def _observed(times: dict[str, dict[str, Any]]) -> list[str]:
    """What would have been saved by calls that went out as they came, with `--observe`."""
    if not times["lifetime"]["observed_calls"]:
        return []
    lines = ["", f"{'only observed':24}{'calls':>10}{'would have saved':>35}{'tokens':>22}"]
    return lines + [
        f"{name:24}{row['observed_calls']:>10,}{_usd(row['observed_saved_usd']):>35}{row['observed_tokens_saved']:>22,}"
        for name, row in times.items()
    ]


def _cache_lines(cache: dict[str, Any]) -> list[str]:
    titles = import_module("savings.dashboard.definitions").OUTCOMES
    told = sum(cache["calls"].values())
    lines = [f"{f'prompt cache, {BREAKDOWN_DAYS} days':24}{'calls':>10}{'share':>12}"]
    for outcome, calls in cache["calls"].items():
        lines.append(f"{titles[outcome][0]:24}{calls:>10,}{100 * calls / told if told else 0:>10.1f} %")
    lines.append(
        f"{cache['read_percent']:.1f} % of the input was read from it; written to it were {cache['written_5m_tokens']:,} tokens "
        f"for 5 minutes and {cache['written_1h_tokens']:,} for an hour"
    )
    return lines


def _table(title: str, rows: dict[str, dict[str, Any]]) -> list[str]:
    lines = [f"{title:24}{'requests':>10}{'spent':>12}{'without us':>12}{'saved':>11}{'':>8}{'tokens saved':>14}"]
    for name, row in rows.items():
        label = "".join(c if c.isprintable() else " " for c in name)
        lines.append(
            f"{label[:23]:24}{row['requests']:>10,}{_usd(row['spent_usd']):>12}{_usd(row['would_have_been_usd']):>12}"
            f"{_usd(row['saved_usd']):>11}{row['saved_percent']:>6.1f} %{row['tokens_saved']:>14,}"
        )
    return lines


def _usd(amount: float) -> str:
    digits = 4 if abs(amount) < 100 else 2
    return f"{'-' if amount < 0 else ''}${abs(amount):,.{digits}f}"
