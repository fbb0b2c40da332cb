"""Web pages as readable text: headings, paragraphs, lists, tables, links and forms stay; markup, scripts and styles go."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from selectolax.lexbor import LexborHTMLParser, LexborNode

from headroom import reading
from headroom.shrinkers import document
from headroom.values import Form, Source

MAX_CHARS = 5_000_000
NAVIGATION_SHOWN = 60
MENU_CHARS = 200
"""So many characters may stand beside the links of a menu."""
MAX_MENUS = 50
"""Of a page. They may lie in each other, and each is read for itself."""
ABOUT = ("description", "author", "og:description", "article:published_time", "article:modified_time")
"""What pages say of themselves in their head, for search engines."""
_SKIPPED = frozenset(
    {
        "script",
        "style",
        "noscript",
        "template",
        "svg",
        "iframe",
        "canvas",
        "object",
        "link",
        "base",
        "source",
        "track",
        "-comment",
    }
)
_BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "caption",
        "dd",
        "details",
        "dialog",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "html",
        "li",
        "main",
        "nav",
        "ol",
        "option",
        "p",
        "pre",
        "section",
        "summary",
        "table",
        "tbody",
        "tfoot",
        "thead",
        "title",
        "tr",
        "ul",
        "legend",
        "select",
    ]
)
_HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}
_MARKUP = re.compile(
    r"<(?:html|head|body|div|p|table|ul|span|a|script|meta|section|article)\b[^<>]{0,2000}>", re.IGNORECASE
)
_YEAR = re.compile(r"\d{4}")
_BLANK = re.compile(r"[ \t\r\n\f\u00a0]+")


def is_page(text: str) -> bool:
    """Return whether a text is mostly a page in HTML."""
    head = text[:4000]
    if re.match(r"\s*(?:<\?xml[^>]{0,200}>\s*)?<(?:!doctype html|html|head|body)\b", head, re.IGNORECASE):
        return True
    return head.lstrip().startswith("<") and len(_MARKUP.findall(head)) >= 5


def forms(source: Source) -> Iterable[Form]:
    """Yield the page as text."""
    text = source.text
    if source.policy.level == "lossless" or len(text) > MAX_CHARS or not is_page(text) or reading.is_quotable(source):
        return
    root = LexborHTMLParser(text).root
    if root is None:
        return
    writer = _Writer()
    writer.read(root)
    page = writer.text()
    if not page:
        return
    gone = f"the markup, scripts and styles of a page of {len(text):,} characters{writer.omitted()}"
    yield Form(page, "html_text", gone)
    if source.policy.level == "deep":
        for form in document.forms(replace(source, text=page)):
            yield Form(form.text, "html_outline", f"{gone}, and {form.left_out}")


class _Writer:
    """Walks a page once and keeps the lines written so far; owns the state of the line being written."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._line: list[str] = []
        self._prefix = ""
        self._preformatted = 0
        self._cells = 0
        self._is_in_row = False
        self._link_begin = (0, 0)
        self._hidden_links = 0
        self._menus = 0
        self._navigated: set[str] = set()
        self._about: dict[str, str] = {}

    def text(self) -> str:
        """Return the page; what it says of itself stands above, where that is not said in it."""
        self._break()
        page = re.sub(r"\n{3,}", "\n\n", "\n".join(self._lines)).strip()
        told = [f"[{name}: {words}]" for words, name in self._about.items() if words not in page]
        return "\n".join([*told, page])

    def omitted(self) -> str:
        return f", {self._hidden_links:,} navigation links" if self._hidden_links else ""

    def read(self, root: LexborNode) -> None:
        """Visit every node, in order, without recursion: pages may nest deeper than Python can."""
        stack: list[tuple[LexborNode, bool]] = [(root, False)]
        while stack:
            node, is_leaving = stack.pop()
            if is_leaving:
                self._leave(node)
                continue
            following = node.next
            if following is not None:
                stack.append((following, False))
            tag = node.tag or ""
            if tag in _SKIPPED:
                continue
            if tag == "-text":
                self._write(node.text_content or "")
            elif tag == "meta":
                self._meta(node)
            elif (tag == "nav" or node.attributes.get("role") == "navigation") and self._is_menu(node):
                self._navigation(node)
            else:
                self._enter(node, tag)
                stack.append((node, True))
                if node.child is not None:
                    stack.append((node.child, False))

    def _write(self, text: str) -> None:
        if self._preformatted:
            first, *rest = text.split("\n")
            self._line.append(first)
            for line in rest:
                self._lines.append("".join(self._line).rstrip())
                self._line = [line]
            return
        text = _BLANK.sub(" ", text)
        if text != " " or self._line:
            self._line.append(text)

    def _break(self) -> None:
        line = "".join(self._line)
        line = line.rstrip() if self._preformatted else _BLANK.sub(" ", line).strip()
        if line and not (self._is_in_row and not line.strip("| ")):
            self._lines.append(self._prefix + line)
            self._prefix = ""
        self._line = []
        self._is_in_row = False

    def _part(self, tag: str) -> None:
        """End the line at the edge of a block; inside a table cell the row goes on."""
        if self._cells and tag != "tr":
            self._line.append(" ")
        else:
            self._break()

    def _enter(self, node: LexborNode, tag: str) -> None:
        if tag in _BLOCKS:
            self._part(tag)
        if tag in ("td", "th"):
            self._cell(node)
            return
        if tag in _HEADINGS and not self._cells:
            self._lines.append("")
            self._prefix = _HEADINGS[tag]
        elif tag == "li" and not self._cells:
            self._prefix = "- "
        elif tag == "br":
            self._part(tag)
        elif tag == "pre":
            self._preformatted += 1
        elif tag in ("input", "textarea", "select", "button", "form"):
            self._control(node, tag)
        else:
            self._inline(node, tag)

    def _inline(self, node: LexborNode, tag: str) -> None:
        if tag == "a":
            self._link_begin = self._written()
        elif tag == "img" and (node.attributes.get("alt") or "").strip():
            self._line.append(f"[image: {node.attributes['alt']}]")
        elif tag == "option" and "selected" in node.attributes:
            self._line.append("(selected) ")

    def _written(self) -> tuple[int, int]:
        """Return where the page is written so far: its lines and the parts of the last one."""
        return len(self._lines), len(self._line)

    def _cell(self, node: LexborNode) -> None:
        if self._line or self._is_in_row:
            self._line.append(" | ")
        is_plain = _is_plain(node)
        self._is_in_row = is_plain
        self._cells += is_plain

    def _leave_cell(self, node: LexborNode) -> None:
        if _is_plain(node):
            self._cells -= 1
            self._line.append(_span(node))

    def _leave(self, node: LexborNode) -> None:
        tag = node.tag or ""
        if tag == "a":
            if self._link_begin == self._written():
                self._line.append(_label(node))
            address = _address(node)
            if address and address not in "".join(self._line[-2:]):
                self._line.append(f" ({address})")
        elif node.attributes.get("datetime") and not _YEAR.search(node.text(deep=False)):
            self._line.append(f" [{node.attributes['datetime']}]")
        elif tag in ("td", "th"):
            self._leave_cell(node)
        elif tag in _BLOCKS:
            self._part(tag)
            if tag == "li" or tag in _HEADINGS:
                self._prefix = ""
            if not self._cells and tag in ("p", "table", "ul", "ol", "pre", "section", "article"):
                self._lines.append("")
        if tag == "pre":
            self._preformatted -= 1

    def _control(self, node: LexborNode, tag: str) -> None:
        attributes = node.attributes
        told = [
            f"{key}={attributes[key]}"
            for key in ("type", "name", "value", "placeholder", "action", "method")
            if attributes.get(key)
        ]
        flags = [key for key in ("checked", "disabled", "required") if key in attributes]
        if told or flags:
            self._line.append(f"[{' '.join([tag, *told, *flags])}] ")

    def _meta(self, node: LexborNode) -> None:
        name = node.attributes.get("name") or node.attributes.get("property") or ""
        words = _BLANK.sub(" ", node.attributes.get("content") or "").strip()
        if words and name in ABOUT:
            self._about.setdefault(words, name.split(":")[-1])

    def _is_menu(self, node: LexborNode) -> bool:
        """Return whether a navigation is mostly links: some pages put their foot, or all that they say, into one."""
        self._menus += 1
        if self._menus > MAX_MENUS:
            return False
        words = len(_BLANK.sub(" ", node.text(deep=True)))
        return words <= MENU_CHARS + 2 * sum(len(_BLANK.sub(" ", link.text(deep=True))) for link in node.css("a"))

    def _navigation(self, node: LexborNode) -> None:
        """Write the links of a page's navigation on one line, without those of earlier ones: menus come twice or more."""
        self._break()
        links = list(dict.fromkeys(_link(one) for one in node.css("a")))
        new = [link for link in links if link and link not in self._navigated]
        self._navigated.update(new)
        if new:
            shown = new[:NAVIGATION_SHOWN]
            self._hidden_links += len(new) - len(shown)
            more = f" and {len(new) - len(shown):,} more" if len(new) > len(shown) else ""
            self._lines.append(f"Navigation: {', '.join(shown)}{more}")


def _link(node: LexborNode) -> str:
    name = _BLANK.sub(" ", node.text(deep=True)).strip() or _label(node)
    address = _address(node)
    return f"{name} ({address})" if name and address else name


def _label(node: LexborNode) -> str:
    """Return what a link without words is called."""
    return node.attributes.get("aria-label") or node.attributes.get("title") or ""


def _address(node: LexborNode) -> str:
    """Return where a link goes to, "" for a place on the same page or a script."""
    address = (node.attributes.get("href") or "").strip()
    return "" if address.startswith(("#", "javascript:", "data:")) else address


def _is_plain(cell: LexborNode) -> bool:
    """Return whether a table cell holds a value, not a part of the page: old pages are laid out with tables."""
    return cell.css_first("table, h1, h2, h3, ul, ol, pre, form") is None


def _span(cell: LexborNode) -> str:
    """Return what a cell takes of the table beside its own place: those below and beside it would be taken for others."""
    spans = ((cell.attributes.get(name), unit) for name, unit in (("rowspan", "rows"), ("colspan", "columns")))
    told = [f"{count} {unit}" for count, unit in spans if count and count.isdecimal() and count not in ("0", "1")]
    return f" [{', '.join(told)}]" if told else ""
