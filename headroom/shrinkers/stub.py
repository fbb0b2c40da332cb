"""What is left of a result that is old news: enough to see what it was, what was spoken of since, and how to have it back.

Only where a policy names a share, for results that are many turns old. Lines stay word for word and in their order; a text
of few long lines keeps its two ends. With a share of nothing it is the beginning of one line.
"""

from __future__ import annotations

from collections.abc import Iterable

from headroom.shrinkers import gist, named
from headroom.values import Form, Source

MIN_BUDGET_CHARS = 120
MIN_LINES = 6
MAX_LINE_CHARS = 80
_ENDS = (0.7, 0.3)


def forms(source: Source) -> Iterable[Form]:
    """Yield about the policy's share of the text: lines with names that were spoken of first, then the most telling ones."""
    share = source.policy.deep_share
    if source.policy.level != "deep" or share is None:
        return
    if share == 0:
        yield from _first_line(source.text)
        return
    budget_chars = max(MIN_BUDGET_CHARS, int(share * len(source.text)))
    lines = source.text.split("\n")
    if len(lines) < MIN_LINES or max(map(len, lines)) > len(source.text) // 2:
        yield from _ends(source.text, budget_chars)
        return
    spoken = named.rows(lines, source.policy.keep_words, budget_chars)
    left_chars = budget_chars - sum(len(lines[row]) for row in spoken)
    room_chars = max(left_chars, budget_chars // 3)
    kept = spoken | gist.chosen(lines, source.call.arguments, room_chars, is_tight=True)
    if len(kept) < len(lines):
        yield Form(gist.written(lines, kept), "stub", f"{len(lines) - len(kept):,} of {len(lines):,} lines")


def _first_line(text: str) -> Iterable[Form]:
    lines = [line for line in text.split("\n") if line.strip()]
    if not lines:
        return
    shown = lines[0]
    if len(shown) > MAX_LINE_CHARS:
        begun = shown[:MAX_LINE_CHARS]
        shown = f"{begun.rpartition(' ')[0].rstrip() or begun} {gist.GAP}"
    yield Form(shown, "stub", f"{len(text) - len(shown):,} characters")


def _ends(text: str, budget_chars: int) -> Iterable[Form]:
    head, tail = (int(part * budget_chars) for part in _ENDS)
    left_out = len(text) - head - tail
    if left_out > 0:
        shown = f"{text[:head]}\n[{left_out:,} characters]\n{text[len(text) - tail :]}"
        yield Form(shown, "stub", f"{left_out:,} of {len(text):,} characters")
