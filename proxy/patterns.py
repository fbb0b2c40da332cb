"""What agents came back for: how each tool's results were shortened, and how often the full text was wanted after all.

Counts alone, out of what is kept anyway: no text, no query, no name of anybody.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from proxy.models import Decision, Original

MIN_RESULTS = 20
"""Fewer say nothing about a tool."""
WANTED_SHARE = 0.2
"""From here on, fetching texts back costs more than their shorter forms saved, and the agent's patience besides."""
CHUNK = 2000


@dataclass(frozen=True, slots=True)
class Pattern:
    """One form of one tool's results. `shortened` counts results, `wanted` those of them whose original was asked for (by
    route, tool or file), and `asks` how often. Tokens are o200k."""

    tool: str
    level: str
    form: str
    shortened: int
    wanted: int
    asks: int
    tokens_before: int
    tokens_after: int

    @property
    def wanted_share(self) -> float:
        return self.wanted / self.shortened if self.shortened else 0.0


def read() -> list[Pattern]:
    """The patterns of everything that is kept at the moment, which is the last 48 hours or longer; most results first."""
    sums: dict[tuple[str, str, str], list[int]] = {}
    rows = Decision.objects.exclude(original_hash="").values_list(
        "original_hash", "level", "label", "tokens_before", "tokens_after"
    )
    batch = []
    for row in rows.iterator(chunk_size=CHUNK):
        batch.append(row)
        if len(batch) == CHUNK:
            _add(sums, batch)
            batch = []
    _add(sums, batch)
    found = [Pattern(*key, *counts) for key, counts in sums.items()]
    return sorted(found, key=lambda one: (-one.shortened, one.tool, one.level, one.form))


def _add(sums: dict[tuple[str, str, str], list[int]], rows: list[tuple[str, str, str, int, int]]) -> None:
    originals = {
        hash: (tool, asks)
        for hash, tool, asks in Original.objects.filter(hash__in={row[0] for row in rows}).values_list(
            "hash", "tool", "retrieval_count"
        )
    }
    for hash, level, form, before, after in rows:
        if hash in originals:
            tool, asks = originals[hash]
            counts = sums.setdefault((tool, level, form), [0] * 5)
            for n, count in enumerate((1, int(asks > 0), asks, before, after)):
                counts[n] += count


def proposal(patterns: Iterable[Pattern]) -> dict[str, str]:
    """Tools whose shortened results are wanted back so often that nothing should be left out of them: values for
    `HEADROOM_TOOL_LEVELS`. Only what is seen for the first time from then on follows it; what was sent stays."""
    results: dict[str, int] = {}
    wanted: dict[str, int] = {}
    for one in patterns:
        if one.tool:
            results[one.tool] = results.get(one.tool, 0) + one.shortened
            wanted[one.tool] = wanted.get(one.tool, 0) + one.wanted
    return {
        tool: "lossless"
        for tool, count in sorted(results.items())
        if count >= MIN_RESULTS and wanted[tool] >= WANTED_SHARE * count
    }
