"""Trees drawn with lines, as `tree`, `npm ls`, `cargo tree` and `pstree` print them: indentation says the same."""

from __future__ import annotations

import re
from collections.abc import Iterable

from headroom.values import Form

MIN_LINES = 5
_BRANCH = re.compile(r"[ \u00a0│┃|├└┬─╴╰╭]*[├└╰]─*[┬╴]?─* ?|[ \u00a0│┃]*[|`+\\]-- ")


def forms(text: str) -> Iterable[Form]:
    """Yield the tree with one blank per level instead of its lines."""
    lines = text.split("\n")
    found = [_BRANCH.match(line[:400]) for line in lines]
    widths = sorted({branch.end() for branch in found if branch})
    count = sum(1 for branch in found if branch)
    if count < MIN_LINES or count * 2 < len(lines) or len(widths) > 60:
        return
    level = {width: position + 1 for position, width in enumerate(widths)}
    written = [
        " " * level[branch.end()] + line[branch.end() :] if branch else line
        for line, branch in zip(lines, found, strict=True)
    ]
    yield Form("\n".join(written), "tree")
