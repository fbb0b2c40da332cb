"""Golden files: real output (`*.in`) and the shortest form of it (`*.out`), to be read by eye when a rule changes.

`python -m tests.headroom.shrinkers.golden` writes the `.out` files anew; review them as you would review code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from headroom import tokens
from headroom.shrinkers import blob, command, config, html, table
from headroom.values import Form, Source, ToolCall

ROOT = Path(__file__).parent.parent / "golden"
KINDS: dict[str, Callable[[Source], Iterable[Form]]] = {
    "blob": blob.forms,
    "command": command.forms,
    "config": config.forms,
    "html": html.forms,
    "table": table.forms,
}


def names(kind: str) -> list[str]:
    return sorted(path.stem for path in (ROOT / kind).glob("*.in"))


def source(kind: str, name: str) -> Source:
    return Source((ROOT / kind / f"{name}.in").read_text(), ToolCall("Bash", '{"command": "show"}'))


def expected(kind: str, name: str) -> str:
    return (ROOT / kind / f"{name}.out").read_text()


def shortest(kind: str, name: str) -> Form:
    return min(KINDS[kind](source(kind, name)), key=lambda form: tokens.count(form.text))


def written(kind: str, name: str) -> str:
    """Return the shortest form the way golden files hold it: what it is, what it left out, then the text."""
    form = shortest(kind, name)
    return f"form: {form.name}\nleft out: {form.left_out or 'nothing'}\n\n{form.text}"


def main() -> None:
    for kind in KINDS:
        for name in names(kind):
            (ROOT / kind / f"{name}.out").write_text(written(kind, name))


if __name__ == "__main__":
    main()
