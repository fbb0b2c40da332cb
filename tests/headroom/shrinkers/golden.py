"""Golden files: real output (`*.in`) and the shortest form of it (`*.out`), to be read by eye when a rule changes.

`python -m tests.headroom.shrinkers.golden` writes the `.out` files anew, and the gallery; review them as you would review
code.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks import gallery
from headroom import tokens
from headroom.shrinkers import (
    blob,
    build_output,
    code,
    command,
    config,
    diff,
    gist,
    git_log,
    html,
    json_values,
    logs,
    numbered,
    path_list,
    prose,
    search,
    table,
    terminal,
    test_output,
    xml_report,
)
from headroom.values import Form, Level, Policy, Source, ToolCall

ROOT = Path(__file__).parent.parent / "golden"
KINDS: dict[str, Callable[[Source], Iterable[Form]]] = {
    "blob": blob.forms,
    "build_output": build_output.forms,
    "command": command.forms,
    "config": config.forms,
    "diff": diff.forms,
    "gist": gist.forms,
    "git_log": git_log.forms,
    "html": html.forms,
    "json": json_values.forms,
    "logs": logs.forms,
    "path_list": path_list.forms,
    "search": search.forms,
    "table": table.forms,
    "terminal": terminal.forms,
    "test_output": test_output.forms,
    "xml_report": xml_report.forms,
}
FILES: dict[str, tuple[Callable[[Source], Iterable[Form]], ...]] = {
    "code": (code.forms, numbered.forms),
    "prose": (prose.forms,),
}
LEVELS: tuple[Level, ...] = ("balanced", "deep")


def names(kind: str) -> list[str]:
    return sorted(path.stem for path in (ROOT / kind).glob("*.in"))


def source(kind: str, name: str) -> Source:
    level: Level = "deep" if kind == "gist" else "balanced"
    return Source(
        (ROOT / kind / f"{name}.in").read_text(), ToolCall("Bash", '{"command": "show"}'), Policy(level=level)
    )


def expected(kind: str, name: str) -> str:
    return (ROOT / kind / f"{name}.out").read_text()


def shortest(kind: str, name: str) -> Form:
    return min(KINDS[kind](source(kind, name)), key=lambda form: tokens.count(form.text))


def written(kind: str, name: str) -> str:
    """Return the shortest form the way golden files hold it: what it is, what it left out, then the text."""
    form = shortest(kind, name)
    return f"form: {form.name}\nleft out: {form.left_out or 'nothing'}\n\n{form.text}"


def written_file(kind: str, name: str, level: Level) -> str:
    """Return what becomes of a file that was read: the name of its golden file is the name of the file."""
    call = ToolCall("Read", json.dumps({"file_path": f"/repo/{name}"}))
    text = (ROOT / kind / f"{name}.in").read_text()
    found = [form for forms in FILES[kind] for form in forms(Source(text, call, Policy(level=level)))]
    form = min(found, key=lambda form: tokens.count(form.text), default=Form(text, "unchanged"))
    return f"form: {form.name}\nleft out: {form.left_out or 'nothing'}\n\n{form.text}"


def expected_file(kind: str, name: str, level: Level) -> str:
    return (ROOT / kind / f"{name}.{level}.out").read_text()


def main() -> None:
    files = [(kind, name, level) for kind in FILES for name in names(kind) for level in LEVELS]
    for kind, name, level in files:
        (ROOT / kind / f"{name}.{level}.out").write_text(written_file(kind, name, level))
    for kind in KINDS:
        for name in names(kind):
            (ROOT / kind / f"{name}.out").write_text(written(kind, name))
    gallery.main()


if __name__ == "__main__":
    main()
