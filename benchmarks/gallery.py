"""`python -m benchmarks.gallery`: write docs/gallery.md, ten outputs before and after, to be checked by eye."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from headroom import Policy, Shrunk, ToolCall, explanations, shrink
from headroom.values import Level
from headroom_site.cli import comparison

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "headroom" / "golden"
PAGE = ROOT / "docs" / "gallery.md"
FENCE = "~~~~"
BEFORE_HEAD, BEFORE_TAIL = 24, 6
AFTER_HEAD, AFTER_TAIL = 60, 6
MAX_LINE_CHARS = 200


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One output: a golden file and the call that printed it."""

    title: str
    file: str
    call: ToolCall
    level: Level = "balanced"


def _bash(command: str) -> ToolCall:
    return ToolCall("Bash", json.dumps({"command": command}))


def _read(path: str) -> ToolCall:
    return ToolCall("Read", json.dumps({"file_path": path}))


EXHIBITS = (
    Exhibit("A test run with failures", "test_output/unittest", _bash("python -m unittest -v")),
    Exhibit("A test report in XML", "xml_report/junit", _bash("cat report.xml")),
    Exhibit("A log without trouble", "logs/dpkg", _bash("cat /var/log/dpkg.log")),
    Exhibit("Records in JSON", "json/pg_settings", _bash("psql -Atc 'select json_agg(s) from pg_settings s'")),
    Exhibit("What a cluster says of its pods", "config/pods", _bash("kubectl get pods -o yaml")),
    Exhibit("A table with a column for everything", "command/psql", _bash("psql -c 'select * from pg_settings'")),
    Exhibit("Hits of a search", "search/grep_r", _bash("grep -rn 'import re' headroom")),
    Exhibit("A list of paths", "path_list/find", _bash("find . -name '*.py'")),
    Exhibit("A web page", "html/user_list", ToolCall("WebFetch", '{"url": "http://127.0.0.1:8000/admin/"}')),
    Exhibit("A source file, once it is old", "code/contents.py", _read("/repo/headroom/contents.py"), "deep"),
)


def main() -> None:
    """Write the page."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    PAGE.write_text(page())
    print(f"{PAGE.relative_to(ROOT)}: {len(EXHIBITS)} outputs")


def page() -> str:
    """The gallery as Markdown."""
    lines = [
        "# Ten outputs, before and after",
        "",
        "Real output of real commands, and what a model reads instead. Written by `python -m benchmarks.gallery`; a test keeps",
        "it up to date. The whole inputs are in [tests/headroom/golden](../tests/headroom/golden), and",
        "`headroom explain FILE --tool CALL` shows the same for any output of yours.",
        "",
        "| | tokens before | after | saved | |",
        "|---|--:|--:|--:|---|",
    ]
    looked = [(exhibit, *_looked(exhibit)) for exhibit in EXHIBITS]
    for number, (exhibit, _, outcome) in enumerate(looked, 1):
        saved = 1 - outcome.tokens_after / outcome.tokens_before
        what = outcome.left_out or "nothing"
        lines.append(
            f"| {number}. {exhibit.title} | {outcome.tokens_before:,} | {outcome.tokens_after:,} | {saved:.0%} | left out: {what} |"
        )
    for number, (exhibit, text, outcome) in enumerate(looked, 1):
        lines += ["", *_section(number, exhibit, text, outcome)]
    return "\n".join(lines) + "\n"


def _looked(exhibit: Exhibit) -> tuple[str, Shrunk]:
    text = (GOLDEN / f"{exhibit.file}.in").read_text()
    return text, shrink(text, call=exhibit.call, policy=Policy(level=exhibit.level))


def _section(number: int, exhibit: Exhibit, text: str, outcome: Shrunk) -> Iterator[str]:
    policy = Policy(level=exhibit.level)
    shown = json.loads(exhibit.call.arguments)
    yield f"## {number}. {exhibit.title}"
    yield ""
    yield f"{exhibit.call.name}: `{next(iter(shown.values()))}`, level {exhibit.level}. {explanations.why(outcome, policy)}"
    for name, content, head, tail in (
        ("Before", text, BEFORE_HEAD, BEFORE_TAIL),
        ("After", outcome.text, AFTER_HEAD, AFTER_TAIL),
    ):
        yield ""
        yield f"{name}, {content.rstrip().count(chr(10)) + 1:,} lines:"
        yield ""
        yield f"{FENCE}text"
        yield from _shown(content.rstrip("\n").split("\n"), head, tail)
        yield FENCE


def _shown(lines: list[str], head: int, tail: int) -> Iterator[str]:
    if len(lines) <= head + tail + 1:
        yield from map(_short, lines)
        return
    yield from map(_short, lines[:head])
    yield f"      … ({len(lines) - head - tail:,} more lines, not shown on this page) …"
    yield from map(_short, lines[-tail:])


def _short(line: str) -> str:
    shown = line.translate(comparison.PICTURES).rstrip()
    return shown if len(shown) <= MAX_LINE_CHARS else f"{shown[:MAX_LINE_CHARS]} … ({len(shown):,} characters)"


if __name__ == "__main__":
    main()
