"""Which shrinkers may fit a text: what the call says first, what the text is built like second."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from headroom import commands, reading
from headroom.shrinkers import fixed, git_blame, logs, page_tree, passages, prose, table
from headroom.values import ToolCall

HEAD_CHARS = 16_384
"""Structure is judged by the beginning; what only shows later is found by the shrinkers themselves."""

STAMPED_SHARE = 0.5
LEVEL_SHARE = 0.8
PROBED_CHARS = 400
PROBED_LINES = 80
"""So many lines of the beginning, evenly spread, say what lines are like."""

COMMANDS: dict[str, tuple[str, ...]] = {
    "ack": ("search",),
    "ag": ("search",),
    "ava": ("test_output",),
    "bazel": ("test_output", "build_output"),
    "biome": ("build_output",),
    "cargo": ("test_output", "build_output"),
    "clang": ("build_output",),
    "clang++": ("build_output",),
    "cmake": ("build_output",),
    "ctest": ("test_output",),
    "curl": ("json", "html"),
    "deno": ("test_output",),
    "dmesg": ("logs",),
    "docker": ("build_output", "logs", "command"),
    "docker-compose": ("build_output", "logs", "command"),
    "dotnet": ("test_output", "build_output"),
    "egrep": ("search",),
    "eslint": ("build_output",),
    "fd": ("path_list",),
    "find": ("path_list",),
    "flake8": ("build_output",),
    "g++": ("build_output",),
    "gcc": ("build_output",),
    "go": ("test_output", "build_output"),
    "golangci-lint": ("build_output",),
    "gradle": ("test_output", "build_output"),
    "gradlew": ("test_output", "build_output"),
    "grep": ("search",),
    "helm": ("config", "command"),
    "javac": ("build_output",),
    "jest": ("test_output",),
    "journalctl": ("logs",),
    "jq": ("json",),
    "karma": ("test_output",),
    "ktlint": ("build_output",),
    "kubectl": ("json", "config", "logs", "command"),
    "make": ("build_output",),
    "mix": ("test_output", "build_output"),
    "mocha": ("test_output",),
    "msbuild": ("build_output",),
    "mvn": ("test_output", "build_output"),
    "mvnw": ("test_output", "build_output"),
    "mypy": ("build_output",),
    "ninja": ("build_output",),
    "nose2": ("test_output",),
    "npm": ("test_output", "build_output"),
    "phpunit": ("test_output",),
    "pip": ("build_output",),
    "pip3": ("build_output",),
    "pnpm": ("test_output", "build_output"),
    "podman": ("build_output", "logs", "command"),
    "poetry": ("build_output",),
    "pylint": ("build_output",),
    "pyright": ("build_output",),
    "pytest": ("test_output",),
    "rg": ("search", "path_list"),
    "rspec": ("test_output",),
    "rubocop": ("build_output",),
    "ruff": ("build_output",),
    "rustc": ("build_output",),
    "sbt": ("test_output", "build_output"),
    "shellcheck": ("build_output",),
    "stylelint": ("build_output",),
    "swift": ("test_output", "build_output"),
    "tox": ("test_output",),
    "tree": ("path_list", "command"),
    "tsc": ("build_output",),
    "unittest": ("test_output",),
    "uv": ("build_output",),
    "vitest": ("test_output",),
    "wget": ("html", "json"),
    "yarn": ("test_output", "build_output"),
}
"""The program that a shell call runs, and the kinds of output it prints."""

_LISTING = frozenset(
    [
        "config",
        "env",
        "freeze",
        "info",
        "inspect",
        "la",
        "list",
        "ll",
        "ls",
        "metadata",
        "outdated",
        "search",
        "show",
        "tree",
        "view",
        "why",
    ]
)
"""Subcommands by which package managers and build tools list things: nothing is built or tested, and every line counts."""

GIT: dict[str, tuple[str, ...]] = {
    "annotate": ("git_blame",),
    "blame": ("git_blame",),
    "diff": ("diff",),
    "grep": ("search",),
    "log": ("git_log", "diff"),
    "ls-files": ("path_list",),
    "show": ("git_log", "diff"),
}

TOOLS: dict[str, tuple[str, ...]] = {
    "fetch": ("html", "json", "prose"),
    "fetch_webpage": ("html", "prose"),
    "glob": ("path_list",),
    "grep": ("search", "path_list"),
    "ls": ("path_list", "command"),
    "read": ("code", "config", "prose"),
    "read_file": ("code", "config", "prose"),
    "view": ("code", "config", "prose"),
    "webfetch": ("html", "prose"),
}

_SHOWS_LOGS = re.compile(r"\b(?:docker|podman)(?:[ -]compose)?(?: --?[\w-]+(?:[ =]\S+)?){0,8}? logs\b")
_LOG_FILE = re.compile(r"\w\.log\b|/var/log/")
_NUMBERED = re.compile(r"(?m)^ *\d{1,7}(?:→|\t)")
_STAMPED = re.compile(
    r"(?m)^[^\w\n]{0,3}(?:\w{1,12} )?[^\w\n]{0,3}(?:\d{4}[-/]\d\d[-/]\d\d[T ]\d\d?:\d\d|\d\d[-/]\d\d[- ]|\d\d:\d\d:\d\d\b|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d"
    r"|[IWEF]\d{4} \d\d:|\d{10}(?:\.\d+)? )|^.{0,20}?\b\d{1,2}:\d{1,2}:\d{1,2}\b"
)
_LEVEL = re.compile(
    r"(?m)^.{0,80}?\b(?:(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|FATAL|CRITICAL)\b|level\"?[=:] ?[\w\"])"
)
_DIFF = re.compile(r"(?m)^(?:diff --git |@@ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@|--- \S.*\n\+\+\+ \S)")
# Neither a clock ("2015/01/01 01:00:00", "12:10PM") nor a word with a slash among others makes a line a match or a path.
_HIT = re.compile(
    r"(?m)^(?!\d{1,4}[-/:]\d\d)(?:[A-Za-z]:)?[^\s:,][^\s:,]{0,300}:\d+:(?!\d\d\b)"
    r"|^(?!\d{1,4}[-/:]\d\d)[^\s:'\"{}()<>=,]{1,300}[./][^\s:'\"{}()<>=,]{0,200}:\S"
)
_FINDING = re.compile(r"[^\s:,][^\s:,]{0,300}(?::\d+:\d+|\(\d+,\d+\))(?::? |: )\S")
_FINDING_SHARE = 0.5
_PATH = re.compile(r"(?m)^[^\s:|'\"(){}<>=,]*/[^\s:|'\"(){}<>=,]*$")
_COMMIT = re.compile(r"(?m)^commit [0-9a-f]{7,40}\b")
_TEST = re.compile(
    r"(?m)^(?:=+ .*(?:test session|passed|failed)|.*(?:PASSED|FAILED)\b|ok \d+|not ok \d+|--- (?:PASS|FAIL):|=== RUN|running \d+ tests?"
    r"|Tests run:|Ran \d+ tests?|[ \t]*(?:✓|✕|✗|√|×) |(?:PASS|FAIL|ok)\s+\S+|Tests?:? +\d+|.{0,200} \.\.\. (?:ok|FAILED))"
)
_HTML = re.compile(r"(?i)<!doctype html|<html\b|<body\b|</(?:div|p|td|li|script|style|span)>")
_KEY = re.compile(r"(?m)^[ \t]*(?:- )?[\w.\"'/-]{1,80}\s*(?::(?: |$)|=)|^\[[^\]\n]{1,80}\]\s*$")
_CODE = re.compile(
    r"(?m)^[ \t]*(?:\d{1,7} *[\t→|:][ \t]*)?(?:def |class |import |from \S+ import |function |const |let |var |export |package |func |fn |pub |impl |use "
    r"|#include|using |namespace |public |private |protected |static |struct |enum |interface |module |require\b|end\b|\}|return\b)"
)


# Our own words above results grouped by file, paths grouped by folder and rows of tuples: nobody reads those as anything else again.
_GROUPED = re.compile(
    r"[\d,]+ (?:matches in [\d,]+ files?:|paths in [\d,]+ folders; further names on a line are in the folder"
    r"|lines, each with its number, below the commit)|\[[\d,]+ tuples like \("
)
_TABLE_CHARS = 4_096
_RUNNERS = frozenset(["build_output", "test_output"])
_SETTLING = frozenset(
    ["build_output", "diff", "git_blame", "git_log", "page_tree", "path_list", "search", "test_events", "xml_report"]
)
"""Kinds whose structure leaves no doubt about what the text is."""

_WHOLE_JSON = re.compile(r"\s*(?:\{\s*[\"}]|\[\s*(?:[\[{\"\]]|-?\d+(?:\.\d+)?\s*[,\]]))")
_OPENING = re.compile(r"(?m)[\[{](?<=^.)\s*\n\s*[\[{\"]")
_EVENTS = re.compile(
    r'(?m)^\{"(?:Time":"[^"\n]{10,40}","Action|Action|protocolVersion)"|^\{[^\n]{0,200}"type":"test(?:Start|Done)"'
)
_XML = re.compile(r"(?i)^\ufeff?\s*(?:<\?xml\b|<[a-z][\w:.-]*[ >])")

_SHAPES: tuple[tuple[str, re.Pattern[str], float], ...] = (
    ("diff", _DIFF, 0.0),
    ("git_blame", git_blame.LINE, git_blame.MIN_SHARE),
    ("git_log", _COMMIT, 0.0),
    ("page_tree", page_tree.LINE, page_tree.MIN_SHARE),
    ("html", _HTML, 0.0),
    ("search", _HIT, 0.5),
    ("logs", _STAMPED, 0.25),
    ("logs", _LEVEL, 0.33),
    ("test_output", _TEST, 0.0),
    ("path_list", _PATH, 0.6),
    ("config", _KEY, 0.5),
    ("code", _CODE, 0.1),
)
"""A kind, what its lines look like, and the share of lines that must; at 0 two places anywhere are enough."""

_PLACES = frozenset(["path_list", "search"])

# Asking for plain strings first is ten times faster than the expressions, and most texts have none of them.
_HINTS = {
    "diff": ("diff --git ", "@@ -", "\n+++ "),
    "git_log": ("commit ",),
    "html": ("<",),
    "numbered": ("→", "\t"),
    "page_tree": ("[ref=",),
    "test_events": ('"Action"', '"protocolVersion"', '"type":"test'),
}


def kinds(text: str, call: ToolCall) -> tuple[str, ...]:
    """Return the kinds that may fit, likeliest first, each once; the measured tokens decide between them."""
    if reading.language(call):
        return ("numbered", "code", "blob")  # the next edit quotes it: nothing that takes it for anything else
    if reading.is_document(call):
        return ("numbered", "prose", "blob")
    if len(text) <= passages.MAX_CHARS and prose.is_passages(text):
        return ("prose",)
    if _WHOLE_JSON.match(text) and text[-200:].rstrip()[-1:] in ("}", "]"):
        return ("test_events",) if _is_events(text[:HEAD_CHARS]) else ("json",)
    if text.startswith("[(") and text[-200:].rstrip().endswith(")]"):
        return ("tuples", "blob")
    if _GROUPED.match(text):
        return ("blob",)
    return _by_call_and_structure(text, call)


def tells_places(call: ToolCall) -> bool:
    """Return whether a call asks where things are: which files there are, or what in them matches."""
    names = {program.name for program in commands.programs(call)}
    return "ls" in names or not _PLACES.isdisjoint(_by_call(call))


def _by_call_and_structure(text: str, call: ToolCall) -> tuple[str, ...]:
    called = [*_by_call(call)]
    head = text[:HEAD_CHARS]
    is_stamped = "search" not in called and _is_stamped(head)
    delimited = table.read(head) if is_stamped else None
    if is_stamped and delimited is None and not fixed.is_table(head[:_TABLE_CHARS]):
        return tuple(dict.fromkeys([*(kind for kind in called if kind in _RUNNERS), "logs", "json"]))
    # Shrinkers that look for records or sentences would drop what these know to keep. They strip escape codes themselves, where those are not content.
    built = [*_settling(text)]
    is_settled = not _SETTLING.isdisjoint(built) or not _RUNNERS.isdisjoint(called)
    found = dict.fromkeys([*called, *(built if is_settled else _by_structure(text, built))])
    delimited = (delimited or table.read(head)) if "table" in found else None
    if delimited is not None:
        others = ("logs", "prose", "code", "command") if delimited.delimiter in ",;" else ("logs", "prose", "code")
        found = dict.fromkeys(kind for kind in found if kind not in others)
    if "test_events" in found:
        found.pop("json", None)
    if "build_output" in found:
        found.pop("test_output", None)
    return tuple(found)


def _is_stamped(head: str) -> bool:
    """Return whether lines begin with a time, as in no other kind of text than logs but tables, whose cells are counted."""
    lines = head.split("\n")
    probe = _probe(lines)
    return len(lines) >= 4 and (
        _share(_STAMPED, probe, STAMPED_SHARE) >= STAMPED_SHARE or _share(_LEVEL, probe, LEVEL_SHARE) >= LEVEL_SHARE
    )


def _probe(lines: list[str]) -> list[str]:
    return [line[:PROBED_CHARS] for line in lines[:: -(-len(lines) // PROBED_LINES)]]


def _share(pattern: re.Pattern[str], lines: list[str], least: float) -> float:
    """Return the share of lines that look like something, 0 when it is one line only or `least` is out of reach."""
    found = 0
    for seen, line in enumerate(lines, 1):
        if pattern.match(line):
            found += 1
        elif (found + len(lines) - seen) / len(lines) < least:
            return 0.0
    return found / len(lines) if found > 1 else 0.0


def _is_twice(pattern: re.Pattern[str], text: str) -> bool:
    found = pattern.search(text)
    return found is not None and pattern.search(text, max(found.end(), found.start() + 1)) is not None


def _by_call(call: ToolCall) -> Iterator[str]:
    for program in commands.programs(call):
        found = COMMANDS.get(program.name, ())
        if program.name == "git":
            yield from GIT.get(program.subcommand, ())
        elif "logs" in found and _SHOWS_LOGS.search(commands.line(call)):
            yield "logs"
        elif program.subcommand not in _LISTING or _RUNNERS.isdisjoint(found):
            yield from found
    yield from TOOLS.get(call.name.lower().rpartition("__")[2], ())
    if _LOG_FILE.search(call.arguments[:4_000]):
        yield "logs"


def _settling(text: str) -> Iterator[str]:
    """Yield the kinds whose structure leaves no doubt, and JSON, which may be inside them."""
    head = text[:HEAD_CHARS]
    probe = _probe(head.split("\n"))
    if _is_events(head):
        yield "test_events"
    if _XML.search(head) and not _HTML.search(head[:1_000]):
        yield "xml_report"
    if _is_json(text) or head.lstrip()[:1] == "{" or '{"' in head or "[{" in head or _OPENING.search(head):
        yield "json"
    if _share(_FINDING, probe, _FINDING_SHARE) > _FINDING_SHARE:
        yield "build_output"
    for kind, pattern, share in _SHAPES:
        if kind in _SETTLING and _is_hinted(kind, head) and _is_like(pattern, share, head, probe):
            yield kind


def _by_structure(text: str, settling: Sequence[str]) -> Iterator[str]:
    """Yield the kinds of a text of which nothing is sure but what was found already."""
    head = text[:HEAD_CHARS]
    if _is_hinted("numbered", head) and _NUMBERED.search(head):
        yield "numbered"
    yield from settling
    probe = _probe(head.split("\n"))
    for kind, pattern, share in _SHAPES:
        if kind not in _SETTLING and _is_hinted(kind, head) and _is_like(pattern, share, head, probe):
            yield kind
    if logs.counts_seconds(probe):
        yield "logs"
    yield from ("blob",) if _is_json(text) else ("table", "command", "blob", "prose")


def _is_json(text: str) -> bool:
    return text[:HEAD_CHARS].lstrip()[:1] in ("{", "[") and text[-200:].rstrip()[-1:] in ("}", "]")


def _is_events(head: str) -> bool:
    return _is_hinted("test_events", head) and _EVENTS.search(head) is not None


def _is_hinted(kind: str, head: str) -> bool:
    return kind not in _HINTS or any(hint in head for hint in _HINTS[kind])


def _is_like(pattern: re.Pattern[str], share: float, head: str, probe: list[str]) -> bool:
    return _share(pattern, probe, share) > share if share else _is_twice(pattern, head)
