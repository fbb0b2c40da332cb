"""Rows left out of a file that was read: each stretch becomes one line that says which rows they were."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from headroom.shrinkers import numbered

MOST_NAMES = 8
"""Told for each stretch that is left out."""


def folded(
    lines: Sequence[str],
    shown: Sequence[str],
    dropped: Collection[int],
    run: numbered.Numbering | None,
    names: Mapping[int, Sequence[str]] | None = None,
) -> tuple[str, int]:
    """Return the text without stretches of two and more dropped rows, and how many rows those had.

    `shown` are the rows of the file, `dropped` counts in them; `lines` are the rows as they came, which differ when
    the tool numbered them: then `run` says how, and marks name the numbers of the file. `names` are what rows speak of;
    those of dropped ones are told, a few for each stretch.
    """
    out: list[str] = []
    count = row = 0
    base = run.start if run else 0
    while row < len(shown):
        end = row
        while end in dropped and end < len(shown):
            end += 1
        if end - row > 1:
            first, last = (run.number(base + row), run.number(base + end - 1)) if run else (row + 1, end)
            said = [name for at in range(row, end) for name in (names or {}).get(at, ())][:MOST_NAMES]
            out.append(f"{_indent(shown[row:end])}... lines {first}-{last}" + (f": {', '.join(said)}" if said else ""))
            count += end - row
            row = end
        else:
            out.append((numbered.label(run, base + row) if run else "") + shown[row])
            row += 1
    if run:
        out = [*lines[: run.start], numbered.NOTE, *out, *lines[run.end :]]
    return "\n".join(out), count


def _indent(lines: Sequence[str]) -> str:
    first = next((line for line in lines if line.strip()), "")
    return first[: len(first) - len(first.lstrip())]
