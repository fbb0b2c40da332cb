"""What is measured of one file, and how files are summed up."""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.engine.corpus import File
from headroom import tokens
from headroom.values import Shrunk, ToolCall

Outcome = Shrunk
GROWN_TOKENS = 8


@dataclass(frozen=True, slots=True)
class Row:
    """One file: tokens before and after, facts, time."""

    path: str
    chars: int
    tokens_before: int
    tokens_after: int
    facts: int
    lost: tuple[str, ...]
    seconds: float

    @property
    def facts_kept(self) -> int:
        return self.facts - len(self.lost)

    @property
    def saved_share(self) -> float:
        return 1 - self.tokens_after / self.tokens_before if self.tokens_before else 0.0


def measure(file: File, shrink: Callable[[str, ToolCall], Shrunk], repeat: int = 1) -> tuple[Row, Outcome]:
    """Shrink one file; the time is the best of `repeat`."""
    seconds = math.inf
    for _ in range(max(1, repeat)):
        started = time.process_time()
        outcome = shrink(file.text, file.call)
        seconds = min(seconds, time.process_time() - started)
    lost = tuple(fact for fact in file.facts if not is_kept(fact, outcome.text, file.category))
    row = Row(
        path=file.path,
        chars=len(file.text),
        tokens_before=tokens.count(file.text),
        tokens_after=tokens.count(outcome.text),
        facts=len(file.facts),
        lost=lost,
        seconds=seconds,
    )
    return row, outcome


def is_kept(fact: str, text: str, category: str) -> bool:
    """Return whether a fact can be read in a text; of a search hit the file's name and the line are enough."""
    if fact in text or json.dumps(fact)[1:-1] in text:
        return True
    if category != "search" or fact.count(":") < 2:
        return False
    path, _, line = fact.split(":", 2)
    return path.rpartition("/")[2] in text and line.strip() in text


def summary(rows: Sequence[Row]) -> dict[str, float]:
    """Return one category's figures; percentages from 0 to 100."""
    before, after = sum(row.tokens_before for row in rows), sum(row.tokens_after for row in rows)
    facts, kept = sum(row.facts for row in rows), sum(row.facts_kept for row in rows)
    times_ms = sorted(1000 * row.seconds for row in rows)
    return {
        "files": len(rows),
        "tokens": before,
        "saved_percent": 100 * (1 - after / max(1, before)),
        "median_percent": 100 * statistics.median(row.saved_share for row in rows),
        "facts": facts,
        "kept_percent": 100 * kept / facts if facts else 100.0,
        "mb_per_s": sum(row.chars for row in rows) / 1e6 / max(1e-9, sum(row.seconds for row in rows)),
        "p50_ms": times_ms[len(times_ms) // 2],
        "p95_ms": times_ms[int(len(times_ms) * 0.95)],
        "grew": sum(row.tokens_after > row.tokens_before + GROWN_TOKENS for row in rows),
    }


def table(rows: Mapping[str, Sequence[Row]]) -> list[str]:
    """Return the lines of the report."""
    head = f"{'category':14}{'n':>5}{'tokens':>10}{'saved%':>8}{'median%':>9}{'facts':>7}{'kept%':>8}{'MB/s':>8}{'p50 ms':>8}{'p95 ms':>9}{'grew':>6}"
    sums = {name: summary(found) for name, found in sorted(rows.items())}
    everything = [row for found in rows.values() for row in found]
    if not everything:
        return [head]
    lines = [head, *(_line(name, figures) for name, figures in sums.items())]
    mean_saved = statistics.mean(figures["saved_percent"] for figures in sums.values())
    mean_kept = statistics.mean([f["kept_percent"] for f in sums.values() if f["facts"] >= 5] or [100.0])
    lines.append(f"{'MEAN':14}{len(sums):5}{'':10}{mean_saved:8.1f}{'':9}{'':7}{mean_kept:8.2f}")
    return [*lines, _line("ALL", summary(everything))]


def _line(name: str, figures: Mapping[str, float]) -> str:
    return (
        f"{name:14}{figures['files']:5.0f}{figures['tokens']:10.0f}{figures['saved_percent']:8.1f}{figures['median_percent']:9.1f}"
        f"{figures['facts']:7.0f}{figures['kept_percent']:8.2f}{figures['mb_per_s']:8.1f}{figures['p50_ms']:8.1f}{figures['p95_ms']:9.1f}{figures['grew']:6.0f}"
    )
