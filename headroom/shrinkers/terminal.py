"""What a terminal would show: escape codes, overwritten progress and spinners removed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from headroom.values import Form, Source

# Every alternative is a run of one character class up to a fixed end, so a match costs no more than its length.
_ESCAPE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # colours, cursor movement
    r"|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?"  # window titles, hyperlinks
    r"|[()*+][A-Za-z0-9]"  # character sets
    r"|[@-Z\\-_a-z=>78])"
)
_DIFF_START = re.compile(r"(?:commit [0-9a-f]{7,40}\b|diff --git |--- \S|Index: \S)")
_SPINNER = re.compile(r"\s*[\u2800-\u28ff\u25d0-\u25d3\u25f4-\u25f7]")
_WORD = re.compile(r"[^\W\d_]+")
_BLANKS = dict.fromkeys(map(ord, " \t\n\r"))
_CONTROL = bytes([*range(8), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F])


def forms(source: Source) -> Iterable[Form]:
    """Yield the text as a terminal would show it, when that differs; nothing where the codes are what a diff is about."""
    if _DIFF_START.match(source.text):
        return
    shown = clean(source.text)
    if not shown.strip() and "\x1b" not in source.text:
        shown = unseen(source.text)
    if shown != source.text and shown:
        yield Form(shown, "terminal")


def clean(text: str) -> str:
    r"""Return what stays on the screen: no escape codes, no overwritten progress, no blanks at line ends.

    >>> clean("\x1b[32mok\x1b[0m  \nGet  5%\rGet 80%\rGet 100%, done\n")
    'ok\nGet 100%, done\n'
    """
    text = strip_escapes(text).replace("\r\n", "\n")
    if "\r" in text or "\b" in text:
        text = "\n".join([_settled(line) if "\r" in line or "\b" in line else line for line in text.split("\n")])
    # The quick test keeps the common, already clean text free of a copy.
    if " \n" in text or "\t\n" in text or text[-1:] in (" ", "\t"):
        text = "\n".join([line.rstrip(" \t") for line in text.split("\n")])
    return text


def unseen(text: str) -> str:
    r"""Return what stands for a text of which nothing is left: the control characters in it, counted.

    >>> unseen(4096 * "\0" + "\n")
    '[4,096 × \\x00]'
    """
    counts = Counter(text.translate(_BLANKS))
    said = ", ".join(f"{times:,} × \\x{ord(char):02x}" for char, times in counts.most_common())
    return f"[{said}]" if said else ""


def strip_escapes(text: str) -> str:
    """Return the text without ANSI escape codes and without invisible control characters; line ends stay."""
    if "\x1b" in text:
        text = _ESCAPE.sub("", text)
    return text.encode("utf-8", "surrogatepass").translate(None, _CONTROL).decode("utf-8", "surrogatepass")


def _settled(line: str) -> str:
    """Return one line after its carriage returns and backspaces took effect."""
    if "\b" in line:
        line = _without_backspaces(line)
    if "\r" not in line:
        return line
    kept: list[str] = []
    for part in line.split("\r"):
        if not part.strip():
            continue
        # A redraw starts with the word it replaces. Anything else was a line of its own (old line ends): both stay.
        if kept and _is_redraw(kept[-1], part):
            kept[-1] = part
        else:
            kept.append(part)
    return "\n".join(kept)


def _is_redraw(before: str, after: str) -> bool:
    if "%" in before or _SPINNER.match(before):
        return True
    first, second = _WORD.search(before), _WORD.search(after)
    return first is None or (second is not None and first.group() == second.group())


def _without_backspaces(line: str) -> str:
    shown: list[str] = []
    for char in line:
        if char != "\b":
            shown.append(char)
        elif shown:
            shown.pop()
    return "".join(shown)
