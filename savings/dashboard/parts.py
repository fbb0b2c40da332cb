"""Parts that several pages show: tables by a label, reasons, time series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.db import connection

from savings import stats
from savings.dashboard.definitions import REASONS, Tile, tiles
from savings.dashboard.scope import Scope
from savings.figures import NANO, Figures
from savings.stats import Window

COLUMNS = ("requests", "spent", "would_have_been", "saved", "saved_percent", "tokens_saved", "cache_hit")
SUMMED = (
    *("requests", "cost_nano_usd", "saved_nano_usd", "tokens_saved", "input_fresh_tokens"),
    *("cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens"),
)
"""The sums behind these columns."""
ROWS = 12
BREAKDOWNS: dict[str, tuple[stats.Dimension, str]] = {
    "model": ("model", "Model"),
    "agent": ("agent", "Agent"),
    "project": ("project", "Project"),
    "key": ("key_label", "Key"),
}


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Figures for each value of a label; `rows` are (value, tiles)."""

    name: str
    title: str
    columns: Sequence[Tile]
    rows: Sequence[tuple[str, Sequence[Tile]]]


def breakdowns(window: Window, scope: Scope) -> list[Breakdown]:
    """The bill by model, agent, project and key; as of the last rollup, and put together once for all who look."""
    return _breakdowns(str(connection.settings_dict["NAME"]), stats.revision(), window, scope)


@lru_cache(maxsize=16)
def _breakdowns(_database: str, _revision: int, window: Window, scope: Scope) -> list[Breakdown]:
    heads = tiles(Figures(), COLUMNS)
    found = []
    for name, (dimension, title) in BREAKDOWNS.items():
        by = stats.by(dimension, window, limit=ROWS, columns=SUMMED, **scope.labels)
        if set(by) != {""}:  # a table of what has no label says what the tiles say
            rows = [(value or "(none)", tiles(figures, COLUMNS)) for value, figures in by.items()]
            found.append(Breakdown(name, title, heads, rows))
    return found


def shares(counted: Mapping[str, int]) -> list[tuple[str, str, int, float]]:
    """Why requests went out as they came: reason, what it means, how many, in percent of all that did."""
    total = sum(counted.values())
    return [
        (reason, REASONS.get(reason.partition(":")[0], ""), count, 100 * count / total)
        for reason, count in counted.items()
    ][:ROWS]


def chart(buckets: Sequence[stats.Bucket]) -> dict[str, Any]:
    """A time series for the browser: seconds since 1970, and dollars."""
    return {
        "x": [int(bucket.starts_at.timestamp()) for bucket in buckets],
        "series": [
            {"label": "Spent", "values": [bucket.figures.cost_nano_usd / NANO for bucket in buckets]},
            {
                "label": "Would have been",
                "values": [(bucket.figures.cost_nano_usd + bucket.figures.saved_nano_usd) / NANO for bucket in buckets],
            },
        ],
    }
