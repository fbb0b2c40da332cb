"""Which file a tool call reads or changes: a copy of a file in a conversation is worth what was done to the file since."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from headroom import commands, reading
from headroom.values import ToolCall

Act = Literal["read", "change", "write"]
"""`read`: shows it, `change`: edits a part of it, `write`: says all of it anew."""

MAX_ARGUMENT_CHARS = 8_000
MAX_PATCH_CHARS = 100_000
# Spelled without capitals and signs: agents say `file_path`, `filePath` and `AbsolutePath`.
_PATH_KEYS = (
    "filepath",
    "path",
    "filename",
    "file",
    "targetfile",
    "notebookpath",
    "relativepath",
    "absolutepath",
    "pathinproject",
)
_RANGE_KEY = re.compile(
    r"(?:view|read|line)?(?:offset|limit|length|ranges?|lines?|start|end|head|tail|number)(?:line|$)"
)
_CHANGES = re.compile(r"edit|replace|insert|patch|update|modify|apply", re.IGNORECASE)
_KEY_SIGNS = re.compile(r"[^a-zA-Z]")
_WRITES = re.compile(r"write|create|save", re.IGNORECASE)
_QUOTED_PATH = re.compile(
    r'"(?:(?:target|relative|absolute)_?)?(?:path|file|file_?path|file_?name)"\s*:\s*"((?:[^"\\]|\\.){1,500})"',
    re.IGNORECASE,
)
_PARTIAL = frozenset(["head", "tail", "sed", "awk"])
# A patch may be the whole argument (Codex's own tool), or a string in JSON, where a line ends in two characters.
_PATCHED = re.compile(r"(?:\A|\n|\\n)\*\*\* (Update|Add) File: ([^\n\\\"]{1,300})")
_WRITTEN = re.compile(r"(?<![\d&>=-])(>>?)(?![>&=])\s*([\w./@+-]{1,300})")
_PYTHON = re.compile(r"\bpython[\d.]*\s+(?:-\s*)?(?:<<|-c\b)")
_PYTHON_WRITES = re.compile(r"\.write(?:_text|_bytes|lines)?\(")
_PYTHON_PATH = re.compile(r"""["']([\w./@+-]{1,200}\.[A-Za-z]\w{0,7})["']""")
_IN_PLACE = re.compile(r"-\w*i\S*|--in-place\S*")


@dataclass(frozen=True, slots=True)
class Touch:
    """A call's hold on a file. `is_whole`: no part of it was asked for in particular."""

    path: str
    act: Act
    is_whole: bool

    @property
    def name(self) -> str:
        """The file's own name, without its folders."""
        return self.path.rpartition("/")[2]

    @property
    def names(self) -> tuple[str, ...]:
        """The path, and what it is called from each folder on its way: a patch names files from where the shell stands."""
        return _names(self.path)


@lru_cache(maxsize=8192)
def _names(path: str) -> tuple[str, ...]:
    parts = path.split("/")
    return tuple("/".join(parts[start:]) for start in range(len(parts)))


@lru_cache(maxsize=8192)
def touched(tool: str, arguments: str) -> Touch | None:
    """The file that a call is about, `None` when it is about none, or about several."""
    given = _given(arguments)
    if given is None:
        found = _QUOTED_PATH.search(arguments[:MAX_ARGUMENT_CHARS])
        return Touch(found[1], _act(tool, {}), is_whole=False) if found else None
    named = _named(tool, given)
    return named[0] if len(named) == 1 else None if named else _by_command(ToolCall(tool, arguments))


@lru_cache(maxsize=8192)
def touches(tool: str, arguments: str) -> tuple[Touch, ...]:
    """The files that a call is about: those that it names, else those that a patch or a line of shell changes or shows.

    What is written into a named file is not read: it may say anything, of patches too.
    """
    given = _given(arguments)
    if given is not None and (named := _named(tool, given)):
        return named
    one = touched(tool, arguments)
    if given is None and arguments.lstrip()[:1] == "{" and one is not None:
        return (one,)
    found = [
        Touch(_plain(path.strip()), "change" if verb == "Update" else "write", is_whole=True)
        for verb, path in _PATCHED.findall(arguments[:MAX_PATCH_CHARS])
    ]
    found += _by_shell(ToolCall(tool, arguments))
    return tuple(dict.fromkeys(found)) if found or one is None else (one,)


def _named(tool: str, given: dict[str, Any]) -> tuple[Touch, ...]:
    """The file that the arguments name, else those that the parts of one argument do, each with its own range of lines."""
    act = _act(tool, given)
    if one := _one_named(act, given):
        return (one,)
    for value in given.values():
        if isinstance(value, list) and value and all(isinstance(part, dict) for part in value):
            found = [one for part in value if (one := _one_named(act, part))]
            if found:
                return tuple(dict.fromkeys(found))
    paths = given.get("paths")
    if isinstance(paths, list) and all(isinstance(path, str) for path in paths):
        return tuple(dict.fromkeys(Touch(_plain(path), act, is_whole=True) for path in paths if path))
    return ()


def _one_named(act: Act, given: dict[str, Any]) -> Touch | None:
    values = {_KEY_SIGNS.sub("", key).lower(): value for key, value in given.items()}
    path = next((values[key] for key in _PATH_KEYS if isinstance(values.get(key), str) and values[key]), "")
    is_part = any(value and _RANGE_KEY.match(key) for key, value in values.items())
    return Touch(_plain(path), act, is_whole=not is_part) if path else None


def _by_shell(call: ToolCall) -> Iterator[Touch]:
    """What a line of shell writes into files. The text of a here-document is not read, unless Python runs it: it may say
    anything."""
    line = commands.given(call) or ""
    if _PYTHON.search(line) and _PYTHON_WRITES.search(line):
        yield from (Touch(_plain(path), "change", is_whole=True) for path in _PYTHON_PATH.findall(line))
    line = line.partition("\n")[0] if "<<" in line else line
    for arrow, path in _WRITTEN.findall(line):
        if _looks_like_path(path) and not path.startswith("/dev/"):
            yield Touch(_plain(path), "change" if arrow == ">>" else "write", is_whole=True)
    if "sed" in line or "perl" in line or "tee" in line:
        for program, *words in commands.simple(commands.words(line)):
            if program == "tee" or (program in ("sed", "perl") and any(map(_IN_PLACE.fullmatch, words))):
                act: Act = "write" if program == "tee" and "-a" not in words else "change"
                paths = [word for word in words if _looks_like_path(word)]
                yield from (Touch(_plain(path), act, is_whole=True) for path in paths[-1:])


def _given(arguments: str) -> dict[str, Any] | None:
    if len(arguments) > MAX_ARGUMENT_CHARS:
        return None
    try:
        given = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        return {}
    return given if isinstance(given, dict) else {}


def _act(tool: str, given: dict[str, Any]) -> Act:
    verb = given.get("command")
    name = verb if isinstance(verb, str) and " " not in verb.strip() else tool
    if _WRITES.search(name):
        return "write"
    if name != tool and re.search(r"view|read|open", name, re.IGNORECASE):
        return "read"
    return "change" if _CHANGES.search(name) else "read"


def _by_command(call: ToolCall) -> Touch | None:
    if not reading.is_file(call):
        return None
    line = commands.line(call)
    try:
        words = shlex.split(line.replace("\n", " ; "))
    except ValueError:
        return None
    ends = [n for n, word in enumerate(words) if word in ("|", ";", "&&", "||") or word.endswith(";")]
    paths = [word for word in words[: ends[0] if ends and "cd" not in words[:1] else None] if _looks_like_path(word)]
    shown = [path for path in paths if "." in path.rpartition("/")[2]]
    if len(set(shown)) != 1:
        return None
    return Touch(_plain(shown[0]), "read", is_whole=not _PARTIAL.intersection(words))


def _looks_like_path(word: str) -> bool:
    return not word.startswith("-") and ("/" in word or bool(re.fullmatch(r"[\w.+@-]+\.\w{1,8}", word)))


def _plain(path: str) -> str:
    return path.removeprefix("./").rstrip("/")


_DOCUMENT = re.compile(r"\.(?:md|mdx|markdown|rst|adoc|txt)$", re.IGNORECASE)


def is_document(touch: Touch) -> bool:
    """Whether a file is written for people: a plan, a specification, a README."""
    return bool(_DOCUMENT.search(touch.path))
