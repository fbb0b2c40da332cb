"""Which calls print a file as it is: what they show is ground truth for the next edit."""

from __future__ import annotations

import re

from headroom import commands
from headroom.shrinkers import grammars
from headroom.values import ToolCall

_TOOLS = frozenset(
    [
        "cat",
        "fetch_file",
        "get_file_contents",
        "open",
        "open_file",
        "read",
        "read_file",
        "readfile",
        "str_replace_based_edit_tool",
        "str_replace_editor",
        "view",
        "view_file",
    ]
)
_PRINTS_FILE = re.compile(r"(?:cd [^;&|]{1,300}(?:&&|;)\s*)?(?:sudo )?(?:cat|head|tail|nl|bat|less|more|sed -n)\b")
_DOCUMENT = re.compile(r"(?i)[\w-]\.(?:md|mdx|markdown|rst|adoc)\b|\b(?:readme|changelog|contributing)(?:\.txt)?\b")
_PIPED = re.compile(r"[|>](?!\|)\s*(?!head|tail|cat|nl|less|more)\w")


def is_read(call: ToolCall) -> bool:
    """Return whether a call prints a file, or some lines of it, unchanged."""
    if call.name.lower().rpartition("__")[2] in _TOOLS:
        return True
    line = commands.line(call)
    return bool(_PRINTS_FILE.match(line)) and not _PIPED.search(line)


def language(call: ToolCall) -> grammars.Name | None:
    """Return the programming language of the file that a call prints, None when it prints none in one."""
    return grammars.by_path(call.arguments) if is_read(call) else None


def is_document(call: ToolCall) -> bool:
    """Return whether a call prints a document written for people: markdown, reStructuredText, plain text."""
    return is_read(call) and bool(_DOCUMENT.search(call.arguments[:4_000]))
