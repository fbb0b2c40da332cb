"""What programs say beside their answer: how far they got, such as curl's meter, bars that grow and pytest's percentages, and
the commands that git status recommends."""

from __future__ import annotations

import re
from collections.abc import Iterable

from headroom import reading
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
_STAGING = re.compile(r'commit \(use "git add"[^()\n]{1,60}\)$', re.MULTILINE)
_BAR_WORDS = "%|"
_SIZE = r"[\d.,]{1,15}[kMGTP]?i?B?"
_BAR = re.compile(
    rf"(?P<what>[^\n|%]{{0,120}}?) *\d{{1,3}}%\|[^|\n]{{0,300}}\| *{_SIZE}/(?P<total>{_SIZE}) \[[^\]\n]{{0,80}}\][^\n]{{0,80}}"
)
"""As tqdm draws them (its documentation, `bar_format`)."""
_PERCENT = re.compile(
    r"^(\S.{0,400}? (?:PASSED|FAILED|ERROR|XFAIL|XPASS|SKIPPED)(?: \([^()\n]{0,200}\))?|\S{1,400} [.FEsxX]{1,200}) +\[ {0,2}\d{1,3}%\]$",
    re.MULTILINE,
)


def forms(source: Source) -> Iterable[Form]:
    """Yield the text without chatter; of a transfer, the amount received stays, of a bar how far it got."""
    text = source.text
    if reading.is_quotable(source):
        return
    if _ADVICE_WORDS in text:  # first: it may stand in the midst of a meter
        *lines, last = text.split("\n")
        lines = [line for line in lines if _ADVICE_WORDS not in line or not _ADVICE.fullmatch(line)]
        text = _STAGING.sub("commit", "\n".join([*lines, last]))
    # One character is found much faster than two.
    behind_percent = {part[:1] for part in text.split("%")[1:]}
    if " " in behind_percent and _METER_HEAD in text:
        text = _without_meters(text)
    if "|" in behind_percent:
        text = "\n".join(_without_old_bars(text.split("\n")))
    if "]" in behind_percent:
        text = _PERCENT.sub(r"\1", text)
    if text != source.text:
        yield Form(text, "chatter")


def _without_old_bars(lines: list[str]) -> list[str]:
    """The lines without bars that are drawn once more right after, and without the blank lines between them."""
    kept: list[str] = []
    bar, bar_at = None, 0
    for line in lines:
        found = _BAR.fullmatch(line.rstrip()) if _BAR_WORDS in line else None
        drawn = (found["what"], found["total"]) if found else None
        if drawn is not None:
            if drawn == bar:
                del kept[bar_at:]
            bar, bar_at = drawn, len(kept)
        elif line.strip():
            bar = None
        kept.append(line)
    return kept


def _without_meters(text: str) -> str:
    parts: list[str] = []
    at = 0
    for found in _METER.finditer(text):
        start = text.rfind("\n", 0, found.start()) + 1
        if not text[start : found.start()].strip(" "):
            parts += [text[at:start], f"[curl received {found['received']} bytes]\n"]
            at = found.end()
    return "".join([*parts, text[at:]])
