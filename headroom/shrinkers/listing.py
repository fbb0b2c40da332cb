"""Long lists of names, as `ls` and `ls -R` print them: a sample of each list, and what kinds of names it holds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from headroom.shrinkers import sample
from headroom.shrinkers.grid import PROBED_ROWS, weight
from headroom.values import Form, Level

TOKENS_SHOWN: dict[Level, int] = {"balanced": 12_000, "deep": 700}
MIN_NAMES = 30
ALWAYS_SHOWN = 8
_NAME = re.compile(r"(?=[^A-Za-z\n]*[A-Za-z])[^\s,;|={}<>\"]+(?: [^\s,;|={}<>\"]+){0,3}$")
_EXTENSION = re.compile(r"(?<=[^./])(\.[A-Za-z][\w-]{0,9})[*/@=|]?$")


def forms(text: str, level: Level, *, wanted: str = "") -> Iterable[Form]:
    """Yield the text with its long lists sampled, when the text costs more than a list should."""
    if level == "lossless":
        return
    lines = text.split("\n")
    runs = _runs(lines)
    names = sum(end - start for start, end in runs)
    if names < MIN_NAMES or names * 2 < len(lines):
        return
    probe = lines[:: max(1, len(lines) // (4 * PROBED_ROWS))]
    cost = (sum(weight(line) + 1 for line in probe) / len(probe)) * len(lines)
    if cost <= TOKENS_SHOWN[level]:
        return
    share = TOKENS_SHOWN[level] / cost
    written: list[str] = []
    at = shown = 0
    for start, end in runs:
        written += lines[at:start]
        kept = _sampled(lines[start:end], share, wanted)
        shown += len(kept)
        written += kept
        if len(kept) < end - start:
            written.append(f"({len(kept):,} of {end - start:,} names here; in all {_kinds(lines[start:end])})")
        at = end
    if shown < names:
        yield Form("\n".join([*written, *lines[at:]]), "names", f"{names - shown:,} of {names:,} names")


def _runs(lines: Sequence[str]) -> list[tuple[int, int]]:
    """Return the stretches of lines that are names: short, no columns, no closing colon, not indented."""
    runs: list[tuple[int, int]] = []
    start = 0
    for index, line in enumerate([*lines, ""]):
        if index < len(lines) and len(line) <= 200 and not line.endswith(":") and _NAME.match(line):
            continue
        if index - start >= MIN_NAMES:
            runs.append((start, index))
        start = index + 1
    return runs


def _sampled(names: Sequence[str], share: float, wanted: str) -> list[str]:
    keep = max(ALWAYS_SHOWN, int(len(names) * share))
    return [names[index] for index in sample.pick(names, [[_kind(name) for name in names]], keep, wanted=wanted)]


def _kind(name: str) -> str:
    found = _EXTENSION.search(name[-20:])
    return found[1].lower() if found else "no extension"


def _kinds(names: Sequence[str]) -> str:
    counts = Counter(_kind(name) for name in names).most_common()
    ordered = sorted(counts, key=lambda pair: (-pair[1], pair[0]))
    said = ", ".join(f"{times:,} {kind}" if kind[0] == "." else f"{times:,} with {kind}" for kind, times in ordered[:8])
    return said + (f" and {len(ordered) - 8:,} more kinds" if len(ordered) > 8 else "")
