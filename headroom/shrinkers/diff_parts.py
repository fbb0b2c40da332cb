"""A unified diff as values: files, hunks, and every line that is neither."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(.*)", re.S)
_GIT = re.compile(r"diff --git a/(.*) b/(.*)")
_INDEX = re.compile(r"index [0-9a-f]{7,64}\.\.[0-9a-f]{7,64}(?: \d{6})?")
_HEADING = re.compile(
    r"index |old mode |new mode |new file mode |deleted file mode |similarity index |dissimilarity index "
    r"|rename from |rename to |copy from |copy to |--- |\+\+\+ |Binary files "
)
_COLOURED = re.compile(r"\x1b\[[0-9;]*m(?=diff --git |@@ -|--- |\+\+\+ |[-+])")
_COLOUR = re.compile(r"\x1b\[[0-9;]*[mK]")

# Files that a tool writes: what changed in them follows from another change, so versions and counts are enough.
_GENERATED = re.compile(
    r"(?:^|/)(?:package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|[^/]*\.lock|go\.sum"
    r"|[^/]*\.min\.(?:js|css)|[^/]*\.(?:js|css)\.map)$"
)
_VERSION = re.compile(r"[-+ ]\s*\"?(?:name|version)\"?\s*[:= ]\s*\S{1,100}$")


@dataclass(frozen=True, slots=True)
class Hunk:
    """One hunk. `lines` carry their "+", "-" or " "; `is_whole` says that they match the counts in `head`."""

    head: str
    lines: list[str]
    is_whole: bool


@dataclass(slots=True)
class File:
    """One file's part of a diff: its heading lines as they stood, then its hunks."""

    head: list[str]
    hunks: list[Hunk] = field(default_factory=list)

    @property
    def line_count(self) -> int:
        """Lines it had in the text."""
        return len(self.head) + sum(1 + len(hunk.lines) for hunk in self.hunks)

    def heading(self) -> list[str]:
        """Return the heading with each path once; blob hashes go, modes, renames and odd lines stay."""
        git = _GIT.fullmatch(self.head[0])
        if git is None or git[1] != git[2]:
            return [line for line in self.head if not _INDEX.fullmatch(line)]
        path = git[1]
        implied = {f"--- a/{path}", f"+++ b/{path}", "--- /dev/null", "+++ /dev/null"}
        rest = [line for line in self.head[1:] if not _INDEX.fullmatch(line) and line.rstrip("\t") not in implied]
        return [f"diff {path}", *rest]

    def is_generated(self) -> bool:
        """Tell whether a tool writes this file."""
        git = _GIT.fullmatch(self.head[0])
        return git is not None and _GENERATED.search(git[2]) is not None


def is_version(line: str) -> bool:
    """Tell whether a line of a lock file names a package or its version."""
    return _VERSION.match(line) is not None


def parse(text: str) -> list[str | File]:
    """Return files and other lines in order. Nothing is lost: heads, hunk lines and strings are the whole text."""
    lines = _uncoloured(text).split("\n")
    if _has_crlf_heads(lines):
        lines = [line.removesuffix("\r") for line in lines]
    parts: list[str | File] = []
    file: File | None = None
    at = 0
    while at < len(lines):
        line = lines[at]
        if _starts_file(lines, at):
            file = File([line])
            parts.append(file)
            at += 1
            while at < len(lines) and _HEADING.match(lines[at]) and not _starts_file_again(lines, at, file):
                file.head.append(lines[at])
                at += 1
        elif file is not None and _HUNK.fullmatch(line):
            hunk = _hunk(lines, at)
            file.hunks.append(hunk)
            at += 1 + len(hunk.lines)
        else:
            file = None
            parts.append(line)
            at += 1
    return parts


def split(hunk: Hunk, keep: list[bool]) -> list[Hunk]:
    """Return the kept lines as hunks of their own, their headers saying where they stand, as `diff -U` would."""
    found = _HUNK.fullmatch(hunk.head)
    assert found is not None
    old, new, section = int(found[1]), int(found[3]), found[5]
    # A side without lines is numbered by the line before it.
    old += found[2] == "0"
    new += found[4] == "0"
    out: list[Hunk] = []
    run: list[str] = []
    for line, is_kept in zip([*hunk.lines, ""], [*keep, False], strict=True):
        if is_kept:
            run.append(line)
            continue
        if run:
            olds = sum(1 for kept in run if kept[:1] not in ("+", "\\"))
            news = sum(1 for kept in run if kept[:1] not in ("-", "\\"))
            head = f"@@ -{_range(old, olds)} +{_range(new, news)} @@{'' if out else section}"
            out.append(Hunk(head, run, True))
            old, new, run = old + olds, new + news, []
        old, new = old + 1, new + 1
    return out


def _range(start: int, count: int) -> str:
    if count == 1:
        return str(start)
    return f"{start - (count == 0)},{count}"


def _uncoloured(text: str) -> str:
    """Return the text without colours if the diff itself is coloured; codes inside changed lines are content."""
    return _COLOUR.sub("", text) if "\x1b" in text and _COLOURED.match(text[:4000].lstrip("\n")) else text


def _has_crlf_heads(lines: list[str]) -> bool:
    return any(line.endswith("\r") for line in lines if line.startswith(("diff --git ", "@@ -", "+++ ")))


def _starts_file(lines: list[str], at: int) -> bool:
    line = lines[at]
    if line.startswith("diff --git "):
        return True
    return line.startswith("--- ") and at + 1 < len(lines) and lines[at + 1].startswith("+++ ")


def _starts_file_again(lines: list[str], at: int, file: File) -> bool:
    """Tell whether `--- ` opens the next file of a diff without git's heading."""
    return lines[at].startswith("--- ") and any(line.startswith("+++ ") for line in file.head)


def _hunk(lines: list[str], at: int) -> Hunk:
    found = _HUNK.fullmatch(lines[at])
    assert found is not None
    olds, news = int(found[2] or 1), int(found[4] or 1)
    end = at + 1
    while end < len(lines) and (olds > 0 or news > 0 or lines[end].startswith("\\")):
        mark = lines[end][:1]
        if mark not in ("+", "-", " ", "", "\\") or (mark == "" and end == len(lines) - 1):
            break
        olds -= mark in ("-", " ", "")
        news -= mark in ("+", " ", "")
        end += 1
    return Hunk(lines[at], lines[at + 1 : end], olds == 0 and news == 0)
