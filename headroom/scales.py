"""What many forms of one text cost, without counting their tokens anew: most lines of a form stand in the text, too."""

from __future__ import annotations

from collections import Counter
from itertools import chain, repeat, starmap

from headroom import tokens


class Scale:
    """Weighs forms of a text that costs `cost` tokens: near enough to choose between them, not to report."""

    def __init__(self, text: str, cost: int) -> None:
        self._text, self._cost = text, cost
        self._lines: Counter[str] | None = None

    def weigh(self, form: str) -> int:
        """Return about how many tokens a form costs, by the lines that it has more and fewer than the text where these
        are few, else by a sample of it."""
        if len(form) <= tokens.QUICK_CHUNKS * tokens.QUICK_CHARS or len(form) * 2 < len(self._text):
            return tokens.quick(form)
        if self._lines is None:
            self._lines = Counter(self._text.split("\n"))
        missing = dict(self._lines)
        new: list[str] = []
        for line in form.split("\n"):
            left = missing.get(line)
            if left:
                missing[line] = left - 1
            else:
                new.append(line)
        added = "\n".join(new)
        gone = "\n".join(chain.from_iterable(starmap(repeat, missing.items())))
        if len(added) + len(gone) >= len(form):
            return tokens.quick(form)
        return self._cost + tokens.quick(added) - tokens.quick(gone)
