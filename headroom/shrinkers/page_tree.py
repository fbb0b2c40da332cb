r"""A page as what assistive technology sees of it: one element a line, as Playwright's tools for browsers show it.

What an agent clicks next is named by the `[ref=…]` of any element, so at first sight every one of them stays. Of a page that
was left long ago, what it said stays, and what could be clicked by its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import groupby

from headroom.shrinkers import named
from headroom.values import Form, Source

LINE = re.compile(r"(?m)^ *- [a-z]+\b[^\n]*\[ref=[\w-]+\]")
JOINED = " > "
MIN_NODES = 10
MIN_SHARE = 0.3
"""Of the lines of a text: addresses and plain texts have no reference, and what tools say beside the page has none."""
_NODE = re.compile(r'( *)- ((/?[a-z]+)(?: ("(?:[^"\\]|\\.)*"|/[^\n]*?/))?((?: \[[^\]\n]{1,60}\])*))(?:(:)(?: (.*))?)?')
_POINTER = " [cursor=pointer]"
_POINTED = ("link", "button")
_STATE = re.compile(r" \[(?:checked|disabled|expanded|pressed|selected|level)(?:=\w+)?\]")
_NAMED = frozenset(["button", "link", "option", "tab", "menuitem", "img"])
"""Elements that a name says enough of: several in a row stand on one line."""


@dataclass(frozen=True, slots=True)
class Node:
    """One element. `text` is what stands behind its colon, "" for nothing; `has_inner` says that only deeper lines do."""

    width: int
    shown: str
    role: str
    name: str
    attributes: str
    text: str
    has_inner: bool


def forms(source: Source) -> Iterable[Form]:
    """Yield the page with each only child on the line of its parent, and what an old one said."""
    lines = source.text.split("\n")
    nodes = [_node(line) for line in lines]
    if sum(node is not None for node in nodes) < MIN_NODES or any(f"- {JOINED.strip()}" in line for line in lines):
        return
    whole = "\n".join(_joined(lines, nodes))
    if whole != source.text:
        yield Form(whole, "page_tree")
    if source.policy.level == "deep":
        kept = named.rows(lines, source.policy.keep_words)
        count = sum(node is not None for node in nodes)
        yield Form(
            "\n".join(_said(lines, nodes, kept)), "page_text", f"references, addresses and layout of {count:,} elements"
        )


def _node(line: str) -> Node | None:
    found = _NODE.fullmatch(line.rstrip())
    if found is None:
        return None
    width, shown, role, name, attributes, colon, text = found.groups()
    return Node(len(width), shown, role, name or "", attributes, text or "", colon is not None and text is None)


def _joined(lines: Sequence[str], nodes: Sequence[Node | None]) -> Iterator[str]:
    """Yield the lines, an only child behind its parent."""
    is_pointed, ends = _all_pointed(nodes), _ends(lines)
    notes = [f"an element's only child stands behind it after “{JOINED.strip()}”"]
    notes += ["every link and button has [cursor=pointer]"] if is_pointed else []
    yield f"[{'; '.join(notes)}]"
    at = 0
    while at < len(lines):
        shown = _plain(lines[at], nodes[at], is_pointed=is_pointed)
        while _has_only_child(nodes, ends, at):
            at += 1
            shown = shown.rstrip(":") + JOINED + _plain(lines[at], nodes[at], is_pointed=is_pointed).lstrip(" ")[2:]
        yield shown
        at += 1


def _ends(lines: Sequence[str]) -> list[int]:
    """Return for each line where what stands deeper below it ends."""
    found = [len(lines)] * len(lines)
    open_lines: list[tuple[int, int]] = []
    for n, line in enumerate(lines):
        width = len(line) - len(line.lstrip(" "))
        while open_lines and open_lines[-1][1] >= width:
            found[open_lines.pop()[0]] = n
        open_lines.append((n, width))
    return found


def _all_pointed(nodes: Sequence[Node | None]) -> bool:
    found = [_POINTER in node.attributes for node in nodes if node is not None and node.role in _POINTED]
    return len(found) > 1 and all(found)


def _plain(line: str, node: Node | None, *, is_pointed: bool) -> str:
    if is_pointed and node is not None and node.role in _POINTED:
        at = line.find(_POINTER, node.width + 2 + len(node.role) + len(node.name))
        return line[:at] + line[at + len(_POINTER) :]
    return line


def _has_only_child(nodes: Sequence[Node | None], ends: Sequence[int], at: int) -> bool:
    """Return whether all that stands deeper than an element is the one after it and what is below that."""
    node = nodes[at]
    child = nodes[at + 1] if at + 1 < len(nodes) else None
    if node is None or child is None or not node.has_inner or child.width != node.width + 2:
        return False
    return ends[at] == ends[at + 1] and not any(JOINED in part for part in (node.shown, child.shown, child.text))


def _said(lines: Sequence[str], nodes: Sequence[Node | None], kept: Set[int]) -> Iterator[str]:
    """Yield what the page said, without references, addresses and what only holds other elements."""
    told = (_told(line, None if n in kept else node) for n, (line, node) in enumerate(zip(lines, nodes, strict=True)))
    for role, group in groupby((one for one in told if one is not None), key=lambda one: one[0]):
        texts = [text for _, text in group]
        yield from [f"{role} {', '.join(texts)}"] if role else texts


def _told(line: str, node: Node | None) -> tuple[str, str] | None:
    """Return the role of an element that a name says enough of, and that name; of others "" and a line of their own, and
    None for those that say nothing."""
    if node is None:
        return "", line
    if node.role.startswith("/") or not (node.name or node.text):
        return None
    states = "".join(_STATE.findall(node.attributes))
    if node.role in _NAMED and node.name and not node.text and not states:
        return node.role, node.name
    return "", " ".join(filter(None, [f"{node.role}{states}", node.name, node.text]))
