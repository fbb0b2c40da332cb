"""Reports in XML: test results without the passing ones, findings as rows under one heading."""

from __future__ import annotations

from collections.abc import Iterable

from headroom import reading
from headroom.shrinkers import json_values, line_fold, line_kinds, xml_tree
from headroom.shrinkers.xml_tree import Element
from headroom.values import Form, Source

_TROUBLE_TAGS = frozenset(
    [
        "failure",
        "error",
        "skipped",
        "rerunFailure",
        "flakyFailure",
        "flakyError",
        "ErrorInfo",
        "stack-trace",
        "system-err",
        "StdErr",
    ]
)
_OUTCOMES = ("outcome", "result", "status", "success")
_SET = tuple(f"{name}=" for name in _OUTCOMES)
_FINE = frozenset(
    ["passed", "pass", "success", "successful", "ok", "run", "completed", "executed", "true", "inconclusive"]
)
_SUITE_TAGS = frozenset(
    [
        "testsuites",
        "testsuite",
        "test-run",
        "test-suite",
        "TestRun",
        "assemblies",
        "assembly",
        "collection",
        "testng-results",
        "test-results",
    ]
)
_MIN_RUN = 3
_MIN_ROWS = 3
# Attributes that an element of a table may lack; they are shown as empty.
_MAX_ABSENT = 4


def forms(source: Source) -> Iterable[Form]:
    """Yield a report with alike elements as rows, and for test reports one without what passed.

    A short file that was read and is no test report may be quoted by the next edit: at first sight it stays as it is.
    """
    text = source.text.replace("\r\n", "\n")
    root = xml_tree.parse(text) if "<" in text[:4096] else None
    if root is None:
        return
    is_of_tests = any(child.tag in _SUITE_TAGS for child in root.children)
    if not is_of_tests and len(text) <= json_values.FILE_CHARS and reading.is_quotable(source):
        return
    rows: list[tuple[int, int, str]] = []
    _rows_below(text, root, rows)
    if rows:
        yield Form(_replaced(text, rows), "xml_rows")
    if source.policy.level == "lossless":
        return
    edits: list[tuple[int, int, str]] = []
    hidden = _fold_quiet(text, root, edits) if is_of_tests else 0
    edits = edits if is_of_tests else rows
    lines = _replaced(text, edits).split("\n")
    kept, frames = line_fold.folded(lines, line_kinds.frames(lines))
    said = [f"{hidden:,} elements of tests that did not fail"] if hidden else []
    said += [f"{frames:,} lines of stack frames outside the project and of repeats"] if frames else []
    if said:
        yield Form("\n".join(kept), "test_report", " and ".join(said))


def _fold_quiet(text: str, root: Element, edits: list[tuple[int, int, str]]) -> int:
    """Collect replacements for runs of alike elements without trouble; return how many elements they hide."""
    quiet = _quiet(text, root)
    hidden = 0
    todo = [root]
    while todo:
        parent = todo.pop()
        for run in _runs(parent.children):
            # A run is cut where something failed; what failed is looked into, the rest is counted.
            if sum(1 for child in run if id(child) in quiet) < _MIN_RUN:
                todo.extend(run)
                continue
            todo.extend(child for child in run if id(child) not in quiet)
            hidden += _fold_calm(text, run, quiet, edits)
    return hidden


def _fold_calm(text: str, run: list[Element], quiet: set[int], edits: list[tuple[int, int, str]]) -> int:
    hidden = 0
    at = 0
    while at < len(run):
        end = at
        while end < len(run) and id(run[end]) in quiet:
            end += 1
        calm = run[at:end]
        at = max(end, at + 1)
        if len(calm) < _MIN_RUN and not any(child.children for child in calm):
            continue
        hidden += sum(_size(child) for child in calm)
        if all(child.tag in _SUITE_TAGS for child in calm):
            edits.extend((child.head, child.end, " nothing failed") for child in calm if child.children)
            hidden -= len(calm)
        elif calm:
            edits.append((calm[0].start, calm[-1].end, f"[{len(calm):,} {calm[0].tag} elements, none failed]"))
    return hidden


def _size(element: Element) -> int:
    count = 0
    todo = [element]
    while todo:
        one = todo.pop()
        count += 1
        todo.extend(one.children)
    return count


def _quiet(text: str, root: Element) -> set[int]:
    """Return the ids of elements in which nothing failed, was skipped or wrote to the error stream."""
    order: list[Element] = [root]
    for element in order:
        order.extend(element.children)
    quiet: set[int] = set()
    for element in reversed(order):
        if _is_fine(text, element) and all(id(child) in quiet for child in element.children):
            quiet.add(id(element))
    return quiet


def _is_fine(text: str, element: Element) -> bool:
    if element.tag in _TROUBLE_TAGS:
        # An empty error stream is no trouble, an empty <failure/> or <skipped/> is.
        return element.tag in ("system-err", "StdErr") and not xml_tree.inner(text, element)
    head = text[element.start : element.head]
    if not any(word in head for word in _SET):
        return True
    known = xml_tree.attributes(text, element)
    return all(known[name].lower() in _FINE for name in _OUTCOMES if name in known)


def _rows_below(text: str, root: Element, edits: list[tuple[int, int, str]]) -> None:
    todo = [root]
    while todo:
        parent = todo.pop()
        for run in _runs(parent.children):
            told = _rows(text, run) if len(run) >= _MIN_ROWS else None
            if told is None:
                todo.extend(run)
            else:
                edits.append((run[0].start, run[-1].end, told))


def _rows(text: str, run: list[Element]) -> str | None:
    """Return alike elements without children as one heading and a row each; None when they are not alike."""
    if any(child.children for child in run):
        return None
    tables = [xml_tree.attributes(text, child) for child in run]
    names = list(dict.fromkeys(name for table in tables for name in table))
    if not names or any(len(table) < len(names) - _MAX_ABSENT for table in tables):
        return None
    texts = [xml_tree.inner(text, child) for child in run]
    if any("\n" in value or " | " in value for table in tables for value in table.values()):
        return None
    fixed = [name for name in names if len({table.get(name) for table in tables}) == 1]
    shown = [name for name in names if name not in fixed]
    same = "".join(f' {name}="{tables[0][name]}"' for name in fixed)
    heading = f"{len(run):,} {run[0].tag} elements{', each with' + same if same else ''}; rows: {' | '.join(shown)}"
    heading += ": text" if any(texts) else ""
    rows = [
        " | ".join(table.get(name, "") for name in shown) + (f": {' '.join(body.split())}" if body else "")
        for table, body in zip(tables, texts, strict=True)
    ]
    return "\n".join([heading, *rows])


def _runs(children: list[Element]) -> list[list[Element]]:
    runs: list[list[Element]] = []
    for child in children:
        if runs and runs[-1][0].tag == child.tag:
            runs[-1].append(child)
        else:
            runs.append([child])
    return runs


def _replaced(text: str, edits: list[tuple[int, int, str]]) -> str:
    out: list[str] = []
    done = 0
    for start, end, told in sorted(edits):
        out.append(text[done:start])
        out.append(told)
        done = end
    out.append(text[done:])
    lines = (line.rstrip() for line in "".join(out).split("\n"))
    return "\n".join(line for line in lines if line)
