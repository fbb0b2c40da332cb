"""Where things are written in a JSON body that was parsed: the members of its object, and the entries of a list in it.

Most clients spell alike, so each value is spelled once more and compared with what stands there; what is spelled in another
way is walked through token by token.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

Span = tuple[int, int]

TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|[{}\[\],:]|[^\s"{}\[\],:]++', re.DOTALL)
_NAME = re.compile(rb'("(?:[^"\\]|\\.)*+")\s*:\s*', re.DOTALL)
_BETWEEN = re.compile(rb"\s*([,}\]]?)\s*")


def members(body: bytes, document: dict[str, Any], position: int | None = None) -> Iterator[tuple[str, Span]]:
    """The names and spans of an object's values: of those behind a position right after one of them, or of all. Of a name
    that comes twice the last one counts for parsers."""
    end = body.index(b"{") + 1 if position is None else position
    while (between := _between(body, end))[1] != b"}":
        named = _NAME.match(body, between.end())
        if named is None:
            raise ValueError("a member has no name")
        name = json.loads(named[1])
        end = end_of(body, named.end(), document.get(name))
        yield name, (named.end(), end)


def entries(body: bytes, values: Sequence[Any], position: int) -> tuple[list[Span], int]:
    """The spans of a list's entries behind a position (its bracket, or the end of an entry), and where the list ends."""
    found: list[Span] = []
    ahead = iter(values)
    while (between := _between(body, position))[1] != b"]":
        start, position = between.end(), end_of(body, between.end(), next(ahead, None))
        found.append((start, position))
    return found, between.start(1) + 1


def end_of(body: bytes, start: int, value: Any) -> int:
    """Where the value ends that begins at `start`. `value` is what it probably says. Raises ValueError when it has no end."""
    if isinstance(value, str | list | dict):  # where a number ends, the byte behind it decides
        for spelling in _spellings(value):
            if body.startswith(spelling, start):
                return start + len(spelling)
    depth = 0
    for match in TOKEN.finditer(body, start):
        lead = match[0][:1]
        depth += (lead in b"{[") - (lead in b"}]")
        if not depth:
            return match.end()
    raise ValueError("the value has no end")


def _spellings(value: Any) -> Iterator[bytes]:
    try:
        yield orjson.dumps(value)
        yield json.dumps(value).encode("ascii")
    except (TypeError, RecursionError):  # nested too deeply for one of them
        return


def _between(body: bytes, position: int) -> re.Match[bytes]:
    """What stands between two values: white space, and at most one sign."""
    found = _BETWEEN.match(body, position)
    assert found is not None  # it matches nothing as well
    return found
