"""Which calls show a file as it is: what they show is ground truth for the next edit."""

from __future__ import annotations

import re

from headroom import commands
from headroom.shrinkers import grammars
from headroom.values import Source, ToolCall

_TOOLS = frozenset(
    [
        "cat",
        "fetch_file",
        "file_editor",
        "file_read",
        "fs_read",
        "get_file_contents",
        "memory",
        "open",
        "open_file",
        "open_files",
        "read",
        "read_file",
        "read_files",
        "read_many_files",
        "read_multiple_files",
        "read_text_file",
        "readfile",
        "str_replace_based_edit_tool",
        "str_replace_editor",
        "text_editor",
        "view",
        "view_file",
    ]
)
_NOTES = "memory"
"""Anthropic's tool for files of the model's own: notes, whatever their names end with."""
_SHOWING = frozenset(["view", "read", "open", "show"])
"""What the `command` of an editor is when it shows a file; other words are edits, and no command lines either."""
_LIKE_TOOLS = re.compile(r"(?:^|_)(?:read|view)(?:_|$)|open_(?:\w+_)?file|get_file|cat_file|str_replace|text_editor")
_NOT_TOOLS = re.compile(
    r"webpage|screenshot|log|url|query|search|process|terminal|shell|bash|command|output|console|info|outline"
)
_NAMES_FILE = re.compile(r'(?i)"\w{0,40}(?:path|(?<!pro)file|uri)\w{0,40}"\s*:')
_WORD_STARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|-")
_PRINTS_FILE = re.compile(r"(?:cd [^;&|]{1,300}(?:&&|;)\s*)?(?:sudo )?(?:cat|head|tail|nl|bat|less|more|sed -n)\b")
_PIPED = re.compile(r"[|>](?!\|)\s*(?!head|tail|cat|nl|less|more)\w")
_SHOWN = re.compile(
    r"(?:^|&&|[;\n]|\|\|)\s*(?:sudo\s+)?(?:cat|head|tail|nl|less|more|bat|sed\s+-n|awk\s+'?NR)\b([^|;&\n]*)(?=$|[;&\n]|\|\s*(?:cat|head|tail|nl|less|sed)\b)"
)
_DATA = re.compile(
    r"\.(?:csv|tsv|psv|log|out|err|jsonl|ndjson|txt|dat)(?:\.\d+)?\b|/proc/|/sys/|/var/log/", re.IGNORECASE
)
_DOCUMENT = re.compile(r"(?i)[\w-]\.(?:md|mdx|markdown|rst|adoc)\b|\b(?:readme|changelog|contributing)(?:\.txt)?\b")


def is_quotable(source: Source) -> bool:
    """Return whether the text came from reading a file of code, settings or prose, and is not old yet: such text keeps its
    exact spelling at first sight.

    >>> is_quotable(Source("x = 1", ToolCall("Read", '{"file_path": "/app/a.py"}')))
    True
    >>> is_quotable(Source("a,b", ToolCall("Bash", '{"command": "cat sales.csv"}')))
    False
    """
    return source.policy.level != "deep" and is_file(source.call)


def is_nothing_else(source: Source) -> bool:
    """Return whether the text is a file that an edit may quote, as `is_quotable` says, with no other output beside it."""
    return is_quotable(source) and is_read(source.call)


def is_file(call: ToolCall) -> bool:
    """Return whether a call shows a file as it is, alone or among other things, and not one of data."""
    command = commands.given(call)
    is_tool = _is_tool(call)
    if is_tool and command and command not in _SHOWING:
        return False
    if command and not is_tool:
        shown = [found[1] for found in _SHOWN.finditer(command)]
        return any(not _DATA.search(names) for names in shown)
    return call.name == _NOTES or ((is_tool or _is_like_tool(call)) and not _DATA.search(call.arguments[:4_000]))


def is_read(call: ToolCall) -> bool:
    """Return whether a call shows nothing but a file, or some lines of it, unchanged.

    >>> is_read(ToolCall("Bash", '{"command": "cd app && cat a.py"}'))
    True
    >>> is_read(ToolCall("Bash", '{"command": "cat a.py | wc -l"}'))
    False
    """
    if _is_tool(call):
        return True
    line = commands.line(call)
    return bool(_PRINTS_FILE.match(line)) and not _PIPED.search(line)


def language(call: ToolCall) -> grammars.Name | None:
    """Return the programming language of the file that a call prints, None when it prints none in one."""
    return grammars.by_path(call.arguments) if is_read(call) else None


def is_document(call: ToolCall) -> bool:
    """Return whether a call prints a document written for people: markdown, reStructuredText, plain text."""
    return is_read(call) and bool(_DOCUMENT.search(call.arguments[:4_000]))


def _is_tool(call: ToolCall) -> bool:
    return call.name.lower().rpartition("__")[2] in _TOOLS


def _is_like_tool(call: ToolCall) -> bool:
    """Return whether a tool's name says that it reads, and its arguments what: mails and pages are read as well."""
    name = _WORD_STARTS.sub("_", call.name).lower()
    return bool(_LIKE_TOOLS.search(name) and not _NOT_TOOLS.search(name) and _NAMES_FILE.search(call.arguments[:4_000]))
