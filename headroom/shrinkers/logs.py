"""Logs: lines of one template once, with their count."""

from __future__ import annotations

from collections.abc import Iterable

from headroom.values import Form, Source


def forms(source: Source) -> Iterable[Form]:
    """Yield runs of the same line once, with their count."""
    kept: list[str] = []
    lines = source.text.split("\n")
    repeated = 0
    for line in [*lines, None]:
        if line is not None and kept and line == kept[-1]:
            repeated += 1
            continue
        if repeated:
            kept.append(f"[the line above {repeated:,} more times]")
            repeated = 0
        if line is not None:
            kept.append(line)
    if len(kept) < len(lines):
        yield Form("\n".join(kept), "log_runs")
