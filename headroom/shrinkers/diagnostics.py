"""Findings of compilers and linters, one per line: each file and each message written once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from headroom.shrinkers import terminal
from headroom.values import Form, Source

_FINDING = re.compile(
    r"(\[(?:WARNING|ERROR|INFO)\] )?\[?((?:[A-Za-z]:)?[^\s:()\[\]][^:()\[\]]{0,300}\.\w{1,12}|(?:[A-Za-z]:)?[^\s:()\[\]]+[/\\][^\s:()\[\]]+)"
    r"(?::(\d+(?::\d+)?|\[\d+(?:,\d+)?\])(?::|\])? ?|\((\d+(?:[,:]\d+)?)\) ?:? ?)(?=\S|  )(.*)"
)
_MIN_FINDINGS = 5
_MIN_SHARE = 0.4
_FIRST_PLACES = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding: `place` is the line, or line and column as the tool wrote them."""

    path: str
    place: str
    message: str


def forms(source: Source) -> Iterable[Form]:
    """Yield the findings grouped by file and by message; nothing when the text is no list of findings."""
    rows = parse(terminal.clean(source.text))
    if rows is None:
        return
    yield Form(_by_file(rows), "findings_by_file")
    yield Form(_by_message(rows), "findings_by_message")
    if source.policy.level == "deep":
        findings = sum(isinstance(row, Finding) for row in rows)
        short = _by_message(rows, _FIRST_PLACES)
        if short != _by_message(rows):
            yield Form(short, "findings_first", f"further places of findings that come often, of {findings:,}")


def parse(text: str) -> list[Finding | str] | None:
    """Return findings and other lines in order; None when findings are not the bulk of the text."""
    rows: list[tuple[str, str, list[str]] | str] = []
    message: list[str] = []
    filled = findings = 0
    for line in text.split("\n"):
        found = _FINDING.match(line) if len(line) < 4000 else None
        # `In file included from a.h:65,` says where findings come from, and is none.
        if found and any(map(str.isalnum, found[5])):
            message = [(found[1] or "") + found[5].strip()]
            rows.append((found[2], found[3] or found[4], message))
            findings += 1
            filled += 1
        elif message and line[:1] in (" ", "\t"):
            # What is indented below a finding belongs to it: a snippet, a link.
            message.append(line)
        else:
            message = []
            rows.append(line)
            filled += bool(line.strip())
    if findings < max(_MIN_FINDINGS, _MIN_SHARE * filled):
        return None
    return [row if isinstance(row, str) else Finding(row[0], row[1], "\n".join(row[2])) for row in rows]


def _by_file(rows: list[Finding | str]) -> str:
    """Return a heading per file, below it each message with all its places; other lines stay where they were."""
    out: list[str] = []
    path = ""
    messages: dict[str, int] = {}
    for row in rows:
        if isinstance(row, str):
            out.append(row)
            path = ""
            continue
        if row.path != path:
            path, messages = row.path, {}
            out.append(path)
        at = messages.get(row.message)
        if at is None:
            messages[row.message] = len(out)
            out.append(f" {row.place} {row.message}")
        else:
            places, message = out[at].lstrip().split(" ", 1)
            out[at] = f" {places},{row.place} {message}"
    return "\n".join(out)


def _by_message(rows: list[Finding | str], most: int | None = None) -> str:
    """Return each run of findings with a heading per message, below it the files by folder, `most` of them if said."""
    out: list[str] = []
    run: list[Finding] = []
    for row in [*rows, ""]:
        if isinstance(row, Finding):
            run.append(row)
            continue
        out.extend(_messages(run, most))
        run = []
        out.append(row)
    return "\n".join(out[:-1])


def _messages(run: list[Finding], most: int | None) -> list[str]:
    by_message: dict[str, dict[str, dict[str, list[str]]]] = {}
    for row in run:
        cut = max(row.path.rfind("/"), row.path.rfind("\\")) + 1
        folders = by_message.setdefault(row.message, {})
        folders.setdefault(row.path[:cut], {}).setdefault(row.path[cut:], []).append(row.place)
    out: list[str] = []
    for message, folders in by_message.items():
        count = sum(len(places) for files in folders.values() for places in files.values())
        out.append(f"{count:,} time{'s' * (count > 1)}: {message}")
        for folder, files in list(folders.items())[:most]:
            names = " ".join(f"{name}:{','.join(places[:most])}" for name, places in list(files.items())[:most])
            count -= sum(len(places[:most]) for places in list(files.values())[:most])
            out.append(f" {folder}{names}")
        if count:
            out.append(f" and {count:,} more places")
    return out
