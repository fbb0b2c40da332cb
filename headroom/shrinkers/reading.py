"""Whether a result is a file that the next edit may quote: such text keeps its exact spelling at first sight."""

from __future__ import annotations

import re

from headroom import commands
from headroom.values import Source, ToolCall

_TOOLS = re.compile(r"read|view|open_file|get_file|cat_file|str_replace", re.IGNORECASE)
_NOT_TOOLS = re.compile(r"thread|spread|webpage|screenshot|log|url|query|search", re.IGNORECASE)
_SHOWN = re.compile(
    r"(?:^|&&|[;\n]|\|\|)\s*(?:sudo\s+)?(?:cat|head|tail|nl|less|more|bat|sed\s+-n|awk\s+'?NR)\b([^|;&\n]*)(?=$|[;&\n]|\|\s*(?:cat|head|tail|nl|less|sed)\b)"
)
_DATA = re.compile(
    r"\.(?:csv|tsv|psv|log|out|err|jsonl|ndjson|txt|dat)(?:\.\d+)?\b|/proc/|/sys/|/var/log/", re.IGNORECASE
)


def is_quotable(source: Source) -> bool:
    """Return whether the text came from reading a file of code, settings or prose, and is not old yet.

    >>> is_quotable(Source("x = 1", ToolCall("Read", '{"file_path": "/app/a.py"}')))
    True
    >>> is_quotable(Source("a,b", ToolCall("Bash", '{"command": "cat sales.csv"}')))
    False
    """
    return source.policy.level != "deep" and is_file(source.call)


def is_file(call: ToolCall) -> bool:
    """Return whether a call shows a file as it is, and not one of data."""
    arguments = call.arguments[:4000]
    command = commands.given(call)
    if command:
        shown = [found[1] for found in _SHOWN.finditer(command)]
        return any(not _DATA.search(names) for names in shown)
    if not _TOOLS.search(call.name) or _NOT_TOOLS.search(call.name):
        return False
    return not _DATA.search(arguments)
