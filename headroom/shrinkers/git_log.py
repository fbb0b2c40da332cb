"""`git log`: one heading line per commit, file statistics without padding, long ones summarised."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from headroom.shrinkers import named, terminal
from headroom.values import Form, Source

_COMMIT = re.compile(r"commit [0-9a-f]{7,40}(?: \(.*\))?")
_FIELD = re.compile(r"(Author|AuthorDate|Commit|CommitDate|Date|Merge): +(.*)")
_STAT = re.compile(r" (\S.*?) +\| +(Bin .*|\d+ ?[+-]*)")
_SUMMARY = re.compile(r" (\d+) files? changed(?:, (\d+) insertions?\(\+\))?(?:, (\d+) deletions?\(-\))?")

_MIN_COMMITS = 3
# Commits that touch more files than this list the most changed ones and count the rest by folder.
_MAX_FILES = 12
_NAMED_FILES = 6


def forms(source: Source) -> Iterable[Form]:
    """Yield a shorter spelling of a log with several commits, then one with long file lists summarised."""
    text = terminal.clean(source.text)
    lines = text.split("\n")
    if "\ndiff --git " in text or _commits(lines) < _MIN_COMMITS:
        return
    full, _ = _retold(lines, max_files=len(lines))
    yield Form(full, "git_log")
    if source.policy.level != "lossless":
        short, dropped = _retold(lines, max_files=_MAX_FILES)
        if dropped:
            yield Form(short, "git_log_short", f"{dropped:,} file statistics of large commits, their totals kept")
    if source.policy.level == "deep":
        subjects = _subjects(lines, named.rows(lines, source.policy.keep_words))
        yield Form("\n".join(subjects), "git_log_subjects", "the files and all but the first line of messages")


def _subjects(lines: list[str], spoken_of: frozenset[int]) -> list[str]:
    """Return a line for every commit: its name, who, when, what; and its totals."""
    out: list[str] = []
    is_told = False
    for row, line in enumerate(lines):
        commit, field, summary = _COMMIT.fullmatch(line), _FIELD.fullmatch(line), _SUMMARY.fullmatch(line)
        if commit:
            out.append(line)
            is_told = False
        elif field and out and not is_told:
            out[-1] += f", {field[2]}"
        elif out and not is_told and line.startswith("    ") and line.strip():
            out[-1] += f": {line.strip()}"
            is_told = True
        elif summary:
            _add(out, line)
        elif row in spoken_of:
            out.append(line)
    return out


def _commits(lines: list[str]) -> int:
    pairs = zip(lines, lines[1:], strict=False)
    return sum(1 for line, after in pairs if _COMMIT.fullmatch(line) and _FIELD.fullmatch(after))


def _retold(lines: list[str], *, max_files: int) -> tuple[str, int]:
    out: list[str] = []
    stats: list[tuple[str, str]] = []
    dropped = 0
    for line in [*lines, ""]:
        stat = _STAT.fullmatch(line)
        if stat:
            stats.append((stat[1], stat[2]))
            continue
        if stats:
            shown = _files(stats, max_files)
            dropped += len(stats) - len(shown) + 1 if len(stats) > max_files else 0
            out.extend(shown)
            stats = []
        _add(out, line)
    return "\n".join(out), dropped


def _add(out: list[str], line: str) -> None:
    commit, field, summary = _COMMIT.fullmatch(line), _FIELD.fullmatch(line), _SUMMARY.fullmatch(line)
    if commit:
        out.append(line)
    elif field and out and out[-1].startswith("commit "):
        label = "" if field[1] in ("Author", "Date") else f"{field[1]} "
        out[-1] += f", {label}{field[2]}"
    elif summary:
        files, added, removed = summary.groups()
        out.append(
            f" {files} file{'s' * (files != '1')}"
            + (f" +{added}" if added else "")
            + (f" -{removed}" if removed else "")
        )
    elif line.strip():
        out.append(line[3:] if line.startswith("    ") else line)


def _files(stats: list[tuple[str, str]], max_files: int) -> list[str]:
    if len(stats) <= max_files:
        return [f" {path} {change}" for path, change in stats]
    ranked = sorted(range(len(stats)), key=lambda at: (-_changes(stats[at][1]), at))
    named = sorted(ranked[:_NAMED_FILES])
    rest = Counter(_top(stats[at][0]) for at in sorted(ranked[_NAMED_FILES:]))
    counts = ", ".join(f"{folder} {count}" for folder, count in rest.most_common(4))
    others = len(rest) - 4
    more = f" and {others} more folders" if others > 0 else ""
    return [f" {stats[at][0]} {stats[at][1]}" for at in named] + [
        f" [{len(stats) - len(named)} more files: {counts}{more}]"
    ]


def _changes(change: str) -> int:
    number = change.split(" ", 1)[0]
    return int(number) if number.isdecimal() else 1 << 30


def _top(path: str) -> str:
    parts = path.split("/")
    return "/".join(parts[: min(3, len(parts) - 1)]) or "./"
