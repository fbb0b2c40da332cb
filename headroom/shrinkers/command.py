"""Output of any command that no other module knows: tables, repeated blocks, long lists, padding."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable

from headroom import reading
from headroom.shrinkers import drawn, fixed, kubernetes, listing, outline, records, sections, tree
from headroom.shrinkers.grid import Item
from headroom.values import Form, Source

MAX_CHARS = 10_000_000
MOSTLY = 5
"""Where all but one line in five are rows of tables, nothing else comes near the tables' forms."""
# Our own words above rows and entries: what was written shorter once is not read as a command's output again.
_FOLDED = re.compile(
    r"^(?:Unless a (?:row|line) says otherwise in brackets: |In all [\d,]+ rows: |[\d,]+ (?:entries\. Unless|lines like “)|\[where a line begins with a point)",
    re.MULTILINE,
)
_FOLDED_WORDS = (
    " says otherwise in brackets: ",
    "In all ",
    " entries. Unless",
    " lines like “",
    "[where a line begins with",
)


def forms(source: Source) -> Iterable[Form]:
    """Yield the output with what its rows or blocks share said once; then, when it is long, with the rows that matter."""
    text, level, wanted = source.text, source.policy.level, source.wanted
    if len(text) > MAX_CHARS or reading.is_quotable(source) or _is_folded(text):
        return
    if records.is_bannered(text):
        yield from records.forms(text, level, wanted=wanted)
        return
    yield from sections.forms(text)
    items = fixed.read(text)
    yield from drawn.forms(items, level, wanted=wanted)
    if level != "lossless":
        yield from _without_machine_labels(source, items)
    rows = sum(not isinstance(item, str) for item in items)
    if rows * MOSTLY >= len(items) * (MOSTLY - 1):
        return
    if rows * 2 < len(items):
        yield from records.forms(text, level, wanted=wanted)
        yield from listing.forms(text, level, wanted=wanted)
    yield from tree.forms(text)
    if _is_code(text):
        return
    lines = drawn.squeezed(text.split("\n"))
    folded, saved = outline.fold_repeats(lines)
    if saved:
        yield Form("\n".join(folded), "repeated_blocks")
    yield Form("\n".join(lines), "padding")


def _is_folded(text: str) -> bool:
    return any(word in text for word in _FOLDED_WORDS) and _FOLDED.search(text) is not None


def _without_machine_labels(source: Source, items: list[Item]) -> Iterable[Form]:
    trimmed, gone = kubernetes.trim_labels(items)
    if not gone:
        return
    note = f"{gone:,} labels that controllers set for themselves (pod-template-hash and the like)"
    for form in drawn.forms(trimmed, source.policy.level, wanted=source.wanted):
        yield dataclasses.replace(
            form, name=f"{form.name}_labels", left_out=f"{form.left_out}; {note}" if form.left_out else note
        )


def _is_code(text: str) -> bool:
    """Return whether the beginning looks like source code, where blanks inside a line may belong to a string."""
    lines = [line.rstrip() for line in text[:20_000].split("\n") if line.strip()]
    return sum(line.endswith(("{", "}", ";", "):", "(", "),")) for line in lines) * 5 > len(lines)
