"""Output of test runners: failures whole, passing tests counted, noise around them folded."""

from __future__ import annotations

from collections.abc import Iterable

from headroom.shrinkers import diff, diff_parts, line_fold, line_kinds, named, terminal
from headroom.values import Form, Level, Source


def forms(source: Source) -> Iterable[Form]:
    """Yield the output as a terminal would show it, then without what passed, repeats or is routine."""
    # Reports in JSON and XML have shrinkers of their own; folding lines would break their structure.
    if source.text[:200].lstrip("\ufeff \t\r\n").startswith(("<", "{", "[\n", "[{", "[ {")):
        return
    text = terminal.clean(source.text)
    if text != source.text:
        yield Form(text, "terminal")
    if source.policy.level == "lossless":
        return
    total = text.count("\n") + 1
    lines, found, trimmed = _lines(text, source.policy.level)
    for row in named.rows(lines, source.policy.keep_words):
        found[row] = line_kinds.KEEP
    kept, hidden = line_fold.folded(lines, found)
    if hidden + trimmed:
        yield Form("\n".join(kept), "test_output", f"{hidden + trimmed:,} of {total:,} lines")


def _lines(text: str, level: Level) -> tuple[list[str], list[str], int]:
    """Return the lines, what each is, and how many lines of diffs among them went already."""
    if "diff --git " not in text:
        lines = text.split("\n")
        return lines, line_kinds.kinds(lines), 0
    lines = []
    is_diff: list[bool] = []
    trimmed = 0
    for part in diff_parts.parse(text):
        told = [part] if isinstance(part, str) else diff.lines(part, level=level)
        trimmed += 0 if isinstance(part, str) else part.line_count - len(told)
        lines.extend(told)
        is_diff.extend([not isinstance(part, str)] * len(told))
    # What a diff adds is text of files, not news of this run, and "+ " there is no shell trace.
    blind = ["" if inside else line for line, inside in zip(lines, is_diff, strict=True)]
    found = line_kinds.kinds(blind)
    return lines, [line_kinds.KEEP if inside else kind for kind, inside in zip(found, is_diff, strict=True)], trimmed
