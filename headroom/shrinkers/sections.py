"""Settings whose names have points in them, one a line, as `sysctl -a` and `git config -l` print them: what neighbours share
is said once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby

from headroom.values import Form

HEAD = "[where a line begins with a point, its name goes on from the last line that ends in one]"
MIN_SHARE = 0.6
"""Of the lines that are such settings."""
MIN_MEMBERS = 3
_SETTING = re.compile(r"([A-Za-z_][\w-]*(?:\.[\w-]+)*)\.[\w-]+(?= ?[=:])")


def forms(text: str) -> Iterable[Form]:
    """Yield the lines with the sections that several neighbours are in above these.

    >>> one, = forms("net.ipv4.tcp_mem = 1\\nnet.ipv4.tcp_rmem = 2\\nnet.ipv4.tcp_wmem = 3")
    >>> one.text.split("\\n")[1:]
    ['net.ipv4.', '.tcp_mem = 1', '.tcp_rmem = 2', '.tcp_wmem = 3']
    """
    lines = text.split("\n")
    found = [_SETTING.match(line) for line in lines]
    if sum(map(bool, found)) < MIN_SHARE * len(lines) or any(
        line.startswith(".") or line.endswith(".") for line in lines
    ):
        return
    out = [HEAD]
    for section, members in groupby(zip(lines, found, strict=True), key=lambda pair: pair[1][1] if pair[1] else ""):
        several = [line for line, _ in members]
        if section and len(several) >= MIN_MEMBERS:
            out += [f"{section}.", *(line[len(section) :] for line in several)]
        else:
            out += several
    if len(out) > len(lines) + 1:
        yield Form("\n".join(out), "sections")
