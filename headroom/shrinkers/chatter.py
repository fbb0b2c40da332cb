"""What programs say beside their answer: curl's progress meter, the commands that git status recommends."""

from __future__ import annotations

import re
from collections.abc import Iterable

from headroom.values import Form, Source

_METER_HEAD = "% Total    % Received % Xferd  Average Speed"
_TIME = r"(?:--:--:--|\d+:\d\d:\d\d|\d+d \d\dh)"
_AMOUNT = r"[\d.]+[kMGTP]?"
_METER = re.compile(
    rf"{_METER_HEAD}[^\n]*\n *Dload  Upload[^\n]*\n\n?"
    rf"(?:[ \r]*\d+ +{_AMOUNT} +\d+ +(?P<received>{_AMOUNT})(?: +{_AMOUNT}){{4}}(?: +{_TIME}){{3}} +{_AMOUNT} *[\r\n]+)+"
)
_ADVICE_WORDS = '(use "git '
_ADVICE = re.compile(r'[ \t]+\(use "git [^"\n]{1,80}"[^()\n]{1,100}\)')
_STAGING_WORDS = 'commit (use "git add"'
_STAGING = re.compile(r'(?<=commit) \(use "git add"[^()\n]{1,60}\)$', re.MULTILINE)


def forms(source: Source) -> Iterable[Form]:
    """Yield the text without chatter; of a transfer, the amount received stays."""
    text = source.text
    if _METER_HEAD in text:
        text = _without_meters(text)
    if _ADVICE_WORDS in text:
        *lines, last = text.split("\n")
        lines = [line for line in lines if _ADVICE_WORDS not in line or not _ADVICE.fullmatch(line)]
        text = "\n".join([*lines, last])
    if _STAGING_WORDS in text:
        text = _STAGING.sub("", text)
    if text != source.text:
        yield Form(text, "chatter")


def _without_meters(text: str) -> str:
    parts: list[str] = []
    at = 0
    for found in _METER.finditer(text):
        start = text.rfind("\n", 0, found.start()) + 1
        if not text[start : found.start()].strip(" "):
            parts += [text[at:start], f"[curl received {found['received']} bytes]\n"]
            at = found.end()
    return "".join([*parts, text[at:]])
