"""What each line of test and build output is: to be kept, or of a kind that may be folded, named in plain words."""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Sequence

KEEP = "keep"
"""An error, a warning, a summary or a location: stays as it is."""

OTHER = ""
"""Nothing known: stays unless many lines look like it."""

PASSED = "lines of passing tests"
TRACE = "shell trace lines"
PROGRESS = "progress lines"
CAPTURED = "lines of output of passing tests"
SOURCE = "source lines"
DETAIL = "detail"
"""Text of a failure: stays unless the same passage stands further up."""
FRAME = "frames outside the project"

_PASSED = re.compile(
    r"\s*(?:"
    r"PASSED\b|\[ *(?:OK|RUN) *\]|=== (?:RUN|PAUSE|CONT|NAME)\b|--- PASS: |[✓✔√]\s|ok \d+\b(?!.*# (?:todo|skip)(?i:))"
    r"|# Subtest: |test \S+ \.\.\. ok$|PASS [\w./\\@-]+(?: \(.*\))?$|\?\s+\S+\s+\[no test files\]"
    r"|\d+/\d+ Test +#\d+: .* Passed\b"
    r"|test\S* ok$|[\w./\\-]+ \.{1,100}(?: +\[ *\d+%\])?$|\.{10,}(?: +\[ *\d+%\])?$"
    r")"
)
# What only the end of a line says is asked of lines that have the word: an expression would try every place of all lines.
_PASSED_AT_END = re.compile(
    r"\s*(?:\S+ > .* PASSED$|.{1,200} \.\.\. ok$|.{1,300}(?:::\S+|\.py) PASSED(?: +\[ *\d+%\])?$)"
)
_SUMMARY = re.compile(
    r"E   |E$|>  |(?:FAILED|ERROR|FAIL|XPASS)\b|=+ .*(?: in [\d.]+ ?s|\bseconds?\b).*|Ran \d+ tests?\b|(?:not ok|Bail out) "
    r"|\s*--- (?:FAIL|SKIP)|FAIL\t|ok  \t|(?:Tests?|Test Suites|Test Files|Suites)(?: run)?:|\s*[✗✘✕×●❯] "
    r"|\s*(?:\d+ (?:passing|failing|pending)|# (?:tests|pass|fail|skipped|suites)\b)|BUILD |test result: |Finished |Successfully (?:built|installed)"
    r"|(?:make|gmake|ninja)(?:\[\d+\])?: \*\*\*"
)
_EXIT = re.compile(r"\b(?:exit(?:ed)?(?: with)? (?:code|status)|Error \d+)\b")
_TROUBLE_WORDS = (
    "error", "warn", "fail", "fatal", "panic", "exception", "traceback", "assert", "undefined", "cannot", "can't",
    "could not", "couldn't", "not found", "no such", "denied", "refused", "conflict", "incompatible", "mismatch", "missing",
    "deprecat", "timed out", "timeout", "killed", "segmentation", "abort", "invalid", "illegal", "expected",
    "leak", "overflow", "vulnerab", "unable", "corrupt", "violation", "critical", "severe", "uninitiali", "race",
)  # fmt: skip
# Words count where they stand alone or end a class name, not inside file names and options ("-Werror", "errors.py").
_TROUBLE = re.compile(
    r"(?i:(?<![\w/\\.\-])(?:errors?|warn(?:ing)?s?|fail(?:s|ed|ing|ures?)?|fatal|panic(?:ked)?|exceptions?|traceback"
    r"|assert(?:ion)?s?|undefined|cannot|can't|could not|couldn't|not found|no such|denied|refused|conflicts?|incompatible"
    r"|mismatch(?:ed)?|missing|deprecat(?:ed|ion|ions)|timed out|timeout|killed|segmentation fault|abort(?:ed)?|invalid"
    r"|illegal|unexpected(?:ly)?|expected|leak(?:s|ed)?|overflow|vulnerabilit(?:y|ies)|unable|corrupt(?:ed)?|violations?"
    r"|critical|severe|uninitiali[sz]ed|data race)(?![\w/\\]|[.\-]\w))"
    r"|\b[A-Za-z]\w*(?:Error|Exception|Warning|Failure)\b(?![./\\]\w)"
)
_LOCATION = re.compile(r"[\w)\]]\.[A-Za-z]\w{0,9}(?::\d+\b|\(\d+(?:[,:]\d+)?\)|\"?, line \d)")
_PROGRESS = re.compile(
    r"[ \t>#*-]*(?:\[ *\d+(?:%|/\d+)\] *)?(?:\[INFO\] +)?("
    r"Collecting|Download(?:ing|ed)|Using cached|Requirement already satisfied|Obtaining|Preparing metadata|Stored in directory"
    r"|Link requires a different Python|Creat(?:ing|ed) wheel|Building wheels?|Found existing installation|Attempting uninstall|Uninstalling"
    r"|Successfully uninstalled|Unpacking|Selecting previously|Preparing to unpack|Setting up|Get:\d+|Hit:\d+|Ign:\d+|Fetch(?:ing|ed)"
    r"|Resolving|Receiving objects|Compressing objects|Counting objects|Enumerating objects|remote:|Compiling|Checking|Fresh|Locking"
    r"|Adding|Copying|copying|creating|adding|writing|reading|byte-compiling|changing mode|running|Running command|Generating|Linking"
    r"|Precompiling|Building|Scanning|Installing|Extracting|Pulling|Waiting|Verifying|Pull complete|Already exists|Preparing"
    r"|Task|Loading|Loaded|Registering|Processing|Transforming|Evaluating|CC|CXX|LD|AR|AS|HOSTCC|GEN"
    r")(?=[ :.\t]|$)"
)
_TRACE = re.compile(r"(\++) (.*)")
_TRACE_NOISE = re.compile(
    r"(?:local|case|'?\[+'?|test|export|unset|eval|hash|\.|source|:|set|shift|return|declare|typeset|__\w+|\w+=)(?:\s|$|.*=)|\w+="
)
_FRAMEWORK = re.compile(
    r"\s+\d+: (?:<?core::|<?std::|<?alloc::|__rustc|rust_begin_unwind|test::)|\s+at /rustc/"
    r"|\s+(?:async )?[\w.<>]{1,100} \((?:node:|internal/)"
    r"|\s+at (?:java\.|javax\.|jdk\.|sun\.|com\.sun\.|org\.junit|org\.testng|junit\.|org\.apache\.maven|org\.gradle"
    r"|org\.springframework|worker\.org\.gradle|android\.|kotlin\.|scala\.|System\.|Microsoft\.|Xunit\.|NUnit\."
    r"|(?:async )?[\w.<> \[\]]{0,200}\(?(?:node:|internal/|[^()\n]{0,300}[/\\]node_modules[/\\]))"
)
_SECTION = re.compile(r"=+ ([A-Za-z].*?) =+$")
_CASE = re.compile(r"_+ (\S.*?) _+$")
_CAPTURE = re.compile(r"-+ Captured .* -+$")
_MAX_TRACE_VALUE_LINES = 200
_MAX_TAP_LINES = 20
_KEPT_SOURCE_LINES = 4


def kinds(lines: Sequence[str]) -> list[str]:
    """Return one of the names above for every line. Time is linear in the text."""
    found = _alone(lines)
    _mark_tap_details(lines, found)
    _mark_traces(lines, found)
    _mark_pytest_sections(lines, found)
    _mark_around(lines, found)
    return found


def frames(lines: Sequence[str]) -> list[str]:
    """Return FRAME for stack frames of test runners and libraries, DETAIL for every other line."""
    return [FRAME if _FRAMEWORK.match(line) else DETAIL for line in lines]


def progress_verb(line: str) -> str:
    """Return the word a progress line begins with, "" for other lines."""
    found = _PROGRESS.match(line)
    return found[1] if found else ""


def _alone(lines: Sequence[str]) -> list[str]:
    distinct = list(dict.fromkeys(lines))
    suspects = _suspects(distinct)
    kind_of = {line: _kind(line, at in suspects) for at, line in enumerate(distinct)}
    return [kind_of[line] for line in lines]


def _suspects(lines: Sequence[str]) -> set[int]:
    """Return the lines with a word of trouble anywhere in them: a search of the whole text per word is the fast way."""
    lowered = [line.lower() for line in lines]
    ends = list(itertools.accumulate(len(line) + 1 for line in lowered))
    text = "\n".join(lowered)
    found: set[int] = set()
    for word in _TROUBLE_WORDS:
        at = text.find(word)
        while at >= 0:
            line = bisect.bisect_right(ends, at)
            found.add(line)
            at = text.find(word, ends[line])
    return found


def _kind(line: str, is_suspect: bool) -> str:
    if not line or line.isspace():
        return OTHER
    if len(line) < 600 and (_PASSED.match(line) or (_tells_end(line) and _PASSED_AT_END.match(line))):
        return PASSED
    if _SUMMARY.match(line) or (("exit" in line or "Error" in line) and _EXIT.search(line)):
        return KEEP
    if line[0].isspace() and _FRAMEWORK.match(line):
        return FRAME
    if is_suspect and _TROUBLE.search(line):
        return KEEP
    if _PROGRESS.match(line):
        return PROGRESS
    if "." in line and _LOCATION.search(line):
        return KEEP
    return OTHER


def _tells_end(line: str) -> bool:
    return "PASSED" in line or "... ok" in line


def _mark_tap_details(lines: Sequence[str], found: list[str]) -> None:
    """Mark the YAML block below a passing TAP line."""
    at = 1
    while at < len(lines):
        end = at
        if found[at - 1] == PASSED and lines[at].strip() == "---":
            while end < len(lines) and lines[end].strip() != "..." and end < at + _MAX_TAP_LINES:
                end += 1
            if end < len(lines) and lines[end].strip() == "...":
                found[at : end + 1] = [PASSED] * (end + 1 - at)
        at = max(end, at) + 1


def _mark_traces(lines: Sequence[str], found: list[str]) -> None:
    """Mark what `set -x` printed: assignments, tests and everything below the script's own commands."""
    if sum(1 for line in lines if line.startswith("++ ")) < 3:
        return
    at = 0
    while at < len(lines):
        trace = _TRACE.match(lines[at])
        if not trace:
            at += 1
            continue
        end = _end_of_value(lines, at)
        if len(trace[1]) > 1 or _TRACE_NOISE.match(trace[2]):
            found[at:end] = [TRACE] * (end - at)
        else:
            found[at] = KEEP
        at = end


def _end_of_value(lines: Sequence[str], at: int) -> int:
    """Return the index after a traced command, whose quoted values may go over several lines."""
    if lines[at].count("'") % 2 == 0:
        return at + 1
    for end in range(at + 1, min(at + _MAX_TRACE_VALUE_LINES, len(lines))):
        if lines[end].count("'") % 2:
            return end + 1
    return at + 1


def _mark_pytest_sections(lines: Sequence[str], found: list[str]) -> None:
    """Mark captured output of passing tests, and source code far from the failing line."""
    section = ""
    is_captured = False
    source: list[int] = []
    for at, line in enumerate(lines):
        if line.startswith("=") and (heading := _SECTION.match(line)):
            # pytest run inside a captured test prints headings too; only the outermost ones end a section.
            section = (
                heading[1] if heading[1] in ("FAILURES", "ERRORS", "PASSES") or "summary" in heading[1] else section
            )
            source = []
        elif line.startswith("_") and _CASE.match(line):
            is_captured = False
            source = []
            found[at] = KEEP if section != "PASSES" else CAPTURED
        elif section == "PASSES":
            found[at] = CAPTURED if found[at] in (OTHER, PROGRESS, PASSED) else found[at]
        elif section in ("FAILURES", "ERRORS"):
            is_captured = is_captured or bool(line.startswith("-") and _CAPTURE.match(line))
            if not is_captured:
                found[at] = DETAIL if found[at] in (OTHER, PROGRESS) else found[at]
                source = _source(line, at, found, source)


def _source(line: str, at: int, found: list[str], source: list[int]) -> list[int]:
    """Collect source lines until the failing one; all but those next to it and the `def` become foldable."""
    if line.startswith(("    ", "\t")) or (source and not line):
        source.append(at)
        return source
    if line.startswith(">"):
        for index in source[1:-_KEPT_SOURCE_LINES]:
            found[index] = SOURCE
    return []


def _mark_around(lines: Sequence[str], found: list[str]) -> None:
    """Keep what belongs to a kept line: the snippet below a diagnostic and the line that introduces it."""
    for at, kind in enumerate(found):
        if kind != KEEP:
            continue
        if at and found[at - 1] == OTHER and lines[at - 1].endswith((":", ",")):
            found[at - 1] = KEEP
        indent = len(lines[at]) - len(lines[at].lstrip())
        for below in range(at + 1, min(at + 4, len(lines))):
            line = lines[below]
            if found[below] not in (OTHER, PROGRESS) or not line or len(line) - len(line.lstrip()) <= indent:
                break
            found[below] = "snippet"
    for at, kind in enumerate(found):
        if kind == "snippet":
            found[at] = KEEP
