"""`git blame`: who wrote which lines and when said once per stretch of lines, every line with its number."""

from __future__ import annotations

import re
from collections.abc import Iterable

from headroom.shrinkers import terminal
from headroom.values import Form, Source

MIN_LINES = 8
MIN_SHARE = 0.9
LINE = re.compile(
    r"(\^?[0-9a-f]{7,40})(?: ([^\s(][^(\n]{0,300}?))? +\(([^\n]{1,80}?) +(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [-+]\d{4}) +(\d+)\)(.*)"
)


def forms(source: Source) -> Iterable[Form]:
    """Yield the lines under their commits; nothing when the text is no blame."""
    lines = terminal.strip_escapes(source.text).rstrip("\n").split("\n")
    found = [LINE.fullmatch(line) for line in lines]
    count = sum(1 for one in found if one)
    if count < MIN_LINES or count < MIN_SHARE * len(lines):
        return
    out = [f"{count:,} lines, each with its number, below the commit that changed it last:"]
    told: set[str] = set()
    current = ""
    for line, one in zip(lines, found, strict=True):
        if one is None:
            current = ""
            out.append(line)
            continue
        commit, path, author, date, number, text = one.groups()
        who = f"{commit}{f' {path}' if path else ''} {author} {date}"
        if who != current:
            out.append(f"{commit}:" if who in told and not path else f"{who}:")
            told.add(who)
            current = who
        out.append(f"{number}){text}")
    yield Form("\n".join(out), "git_blame")
