"""Tables whose cells are kept apart by bars: markdown, `psql`, `mysql` and box drawings."""

from __future__ import annotations

import re

from headroom.shrinkers.grid import MAX_COLUMNS, Item, Row, Sheet, Sheets, unique

_RULE = re.compile(r"^[\s|+:\-=│┃┼├┤┌┐└┘┬┴─━╪╞╡═╔╗╚╝╠╣╦╩╬║]+$")
_JOINT = re.compile(r"[|+┃│┼├┤┬┴╪╞╡╬╠╣╦╩║]+")
_BARS = str.maketrans("│┃║", "|||")


def is_rule(line: str) -> bool:
    """Return whether a line only draws the border between the names and the rows of a barred table.

    >>> is_rule("|---|:-:|"), is_rule(" ----+-----"), is_rule("-------")
    (True, True, False)
    """
    return (
        len(line) < 4000
        and bool(_RULE.match(line))
        and any(bar in line for bar in "|+┼╪┬╬╦")
        and ("-" in line or "─" in line or "═" in line or "━" in line)
    )


def read(lines: list[str], sheets: Sheets) -> list[Item]:
    """Return the lines of one paragraph, those below a header with a rule as rows of its sheet."""
    items: list[Item] = []
    sheet: Sheet | None = None
    for index, line in enumerate(lines):
        if is_rule(line):
            names = _cells(lines[index - 1]) if index and not is_rule(lines[index - 1]) else ()
            if sheet is None and 2 <= len(names) <= MAX_COLUMNS and len(names) == _parts(line):
                sheet = sheets.setdefault(names, Sheet(unique(names), lines[index - 1]))
            elif sheet is None:
                items.append(line)
            continue
        cells = _cells(line)
        if sheet is None or len(cells) < 2:
            sheet = None
            items.append(line)
        else:
            items += sheet.take([Row(cells if len(cells) == len(sheet.names) else (), line)])
    return items


def _parts(rule: str) -> int:
    """Return how many cells a rule draws the border of."""
    return len([part for part in _JOINT.split(rule.strip()) if part.strip()])


def _cells(line: str) -> tuple[str, ...]:
    text = line.translate(_BARS).strip()
    if "|" not in text or len(text) > 20_000:
        return ()
    text = text.removeprefix("|").removesuffix("|")
    return tuple(" ".join(cell.split()) for cell in text.replace("\\|", "\0").split("|"))
