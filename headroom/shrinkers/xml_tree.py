"""XML as a tree of positions: enough to leave parts out and keep the rest letter by letter."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_NAME = re.compile(r"</?([A-Za-z_][\w:.\-]*)")
_ATTRIBUTE = re.compile(r"([\w:.\-]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_OTHER_MARKUP = (("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>"))
_MAX_DEPTH = 200


@dataclass(slots=True)
class Element:
    """One element: `start` and `end` enclose it, `head` is where its first tag ends."""

    tag: str
    start: int
    head: int
    end: int = -1
    children: list[Element] = field(default_factory=list)


def parse(text: str) -> Element | None:
    """Return a root without a name over the top elements; None when tags do not nest. Linear, without recursion."""
    root = Element("", 0, 0, len(text))
    open_elements = [root]
    at = text.find("<")
    while at >= 0:
        end = _after_markup(text, at)
        if end < 0:
            return None
        name = _NAME.match(text, at)
        if name and text[at + 1] == "/":
            if len(open_elements) == 1 or open_elements[-1].tag != name[1]:
                return None
            open_elements.pop().end = end
        elif name:
            element = Element(name[1], at, end)
            open_elements[-1].children.append(element)
            if text[end - 2] == "/":
                element.end = end
            elif len(open_elements) < _MAX_DEPTH:
                open_elements.append(element)
            else:
                return None
        at = text.find("<", end)
    return root if len(open_elements) == 1 and root.children else None


def attributes(text: str, element: Element) -> dict[str, str]:
    """Return the attributes as they are written, entities included."""
    # Each name is tried once per position and values end at the next quote, so a long tag stays linear.
    return {found[1]: found[2] if found[2] is not None else found[3] for found in _found(text, element)}


def inner(text: str, element: Element) -> str:
    """Return what is between the tags of an element without children, blanks around it removed."""
    if element.end == element.head:
        return ""
    return text[element.head : text.rfind("</", element.head, element.end)].strip()


def _found(text: str, element: Element) -> list[re.Match[str]]:
    return list(_ATTRIBUTE.finditer(text, element.start + 1 + len(element.tag), element.head))


def _after_markup(text: str, at: int) -> int:
    for opening, closing in _OTHER_MARKUP if text[at + 1 : at + 2] in ("!", "?") else ():
        if text.startswith(opening, at):
            end = text.find(closing, at)
            return end + len(closing) if end >= 0 else -1
    end = text.find(">", at)
    return end + 1 if end >= 0 else -1
