"""What programs say beside their answer: curl's progress meter, the commands that git status recommends."""

from __future__ import annotations

import re
from collections.abc import Iterable

from headroom.values import Form, Source

_METER_HEAD = "% Total    % Received % Xferd  Average Speed"
_TIME = r"(?:--:--:--|\d+:\d\d:\d\d|\d+d \d\dh)"
_AMOUNT = r"[\d.]+[kMGTP]?"
_METER = re.compile(
    r"^ *% Total    % Received % Xferd  Average Speed[^\n]*\n *Dload  Upload[^\n]*\n\n?"
    rf"(?:[ \r]*\d+ +{_AMOUNT} +\d+ +(?P<received>{_AMOUNT})(?: +{_AMOUNT}){{4}}(?: +{_TIME}){{3}} +{_AMOUNT} *[\r\n]+)+",
    re.MULTILINE,
)
_ADVICE = re.compile(
    r'^[ \t]+\(use "git [^"\n]{1,80}"[^()\n]{1,100}\)\n|(?<=commit) \(use "git add"[^()\n]{1,60}\)$', re.MULTILINE
)


def forms(source: Source) -> Iterable[Form]:
    """Yield the text without chatter; of a transfer, the amount received stays."""
    text = source.text
    if _METER_HEAD in text:
        text = _METER.sub(r"[curl received \g<received> bytes]\n", text)
    if '(use "git ' in text:
        text = _ADVICE.sub("", text)
    if text != source.text:
        yield Form(text, "chatter")
