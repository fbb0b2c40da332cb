"""Which rows of a source file are bodies, and which of those must stay: signatures, first lines of docstrings."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from headroom.shrinkers import grammars, indentation
from headroom.shrinkers.indentation import Definition

_LITERAL_ROWS = 12
_LITERAL_KEPT_ROWS = 3
# A shorter body is no dearer than the line that would stand for it.
_SHORT_BODY_ROWS = 6
# Inside bodies: what callers see go wrong, what points elsewhere, and types.
_TELLING = re.compile(
    r"\b(?:raise|throw|panic!?|abort|bail!|errors?\.\w+|\w*(?:Error|Exception)\(|TODO|FIXME|HACK|XXX)\b|https?://|[\"'][\w.-]*(?:/[\w.-]+)+[\"']"
    r"|^\s*(?:pub(?:\(\w+\))? )?(?:class|struct|enum|trait|impl|interface|type)\b.*[:{;]$"
)
_DOCUMENTED = re.compile(r"\s*[rRuUbB]{0,2}(?:\"\"\"|''')\s*$")


def droppable(lines: Sequence[str], name: grammars.Name, wanted: Collection[str]) -> set[int]:
    """Return the rows of bodies and long literals, without what names things or was asked for by name."""
    definitions, dropped = _found(lines, name)
    for definition in definitions:
        rows = range(definition.body_start, definition.body_end)
        if len(rows) > _SHORT_BODY_ROWS:
            dropped.update(rows)
            dropped.difference_update(_telling(lines, rows))
    for definition in definitions:
        dropped.difference_update(_signature(lines, definition))
        if name == "python":
            dropped.difference_update(_docstring(lines, definition))
    for definition in definitions:
        if not definition.names.isdisjoint(wanted):
            dropped.difference_update(range(definition.start, definition.end))
    return dropped


def _found(lines: Sequence[str], name: grammars.Name) -> tuple[list[Definition], set[int]]:
    """Return all functions, and the inner rows of long literals; by indentation from where the text is no program."""
    definitions: list[Definition] = []
    literals: set[int] = set()
    is_program = True
    for rows in _parts(lines):
        text = "\n".join(lines[rows.start : rows.stop])
        syntax = grammars.parse(text, name) if is_program else None
        if syntax is None:
            is_program = is_program and len(text) > grammars.MAX_PARSED_BYTES
            definitions.extend(indentation.definitions(lines, rows))
            continue
        for part in syntax.parts:
            if "body" in part:
                definitions.append(_definition(lines, rows.start, part))
            else:
                literals.update(_inside(rows.start, part["literal"]))
    return definitions, literals


def parses(lines: Sequence[str], name: grammars.Name) -> bool:
    """Return whether the rows are a program in that language, as far as one parse reaches."""
    rows = next(iter(_parts(lines)), range(0))
    syntax = grammars.parse("\n".join(lines[rows.start : rows.stop]), name)
    return syntax is not None and syntax.is_clean


def _parts(lines: Sequence[str]) -> Iterator[range]:
    """Cut a long program before rows at the margin that follow a blank one, into parts that are cheap to parse."""
    start = cut = size = size_at_cut = 0
    for row, line in enumerate(lines):
        if row and line and not line[0].isspace() and line[0] not in "})]" and not lines[row - 1].strip():
            if size > grammars.MAX_PARSED_BYTES and cut > start:
                yield range(start, cut)
                start, size = cut, size - size_at_cut
            cut, size_at_cut = row, size
        size += len(line.encode("utf-8", "replace")) + 1
    if size > grammars.MAX_PARSED_BYTES and cut > start:
        yield range(start, cut)
        start = cut
    yield range(start, len(lines))


def _telling(lines: Sequence[str], rows: range) -> Iterator[int]:
    for row in rows:
        if _TELLING.search(lines[row]):
            yield row
            if lines[row].endswith(("(", "{", "[")):
                yield row + 1


def _definition(lines: Sequence[str], base: int, part: dict[str, grammars.Span]) -> Definition:
    whole, body = part["def"], part["body"]
    words = re.findall(r"\w+", part["name"].name if "name" in part else "")
    start, end = base + body.start, base + body.end + 1
    if lines[start][: body.start_column].strip() or lines[start].lstrip()[:1] == "{":
        start += 1
    if lines[end - 1].lstrip()[:1] in ("}", ")"):
        end -= 1
    return Definition(frozenset(words[:4]), base + whole.start, base + whole.end + 1, start, max(start, end))


def _inside(base: int, literal: grammars.Span) -> range:
    start, end = base + literal.start, base + literal.end
    return range(start + 1 + _LITERAL_KEPT_ROWS, end) if end - start > _LITERAL_ROWS else range(0)


def _signature(lines: Sequence[str], definition: Definition) -> Iterator[int]:
    yield from range(definition.start, definition.body_start)
    above = definition.start - 1
    while above >= 0 and lines[above].lstrip().startswith(("@", "#[")):
        yield above
        above -= 1


def _docstring(lines: Sequence[str], definition: Definition) -> Iterator[int]:
    row = definition.body_start
    if row < definition.body_end and lines[row].lstrip().lstrip("rRuUbB")[:3] in ('"""', "'''"):
        yield row
        if _DOCUMENTED.fullmatch(lines[row]):
            yield row + 1
