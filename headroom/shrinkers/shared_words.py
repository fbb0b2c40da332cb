"""Lines of a log that have words in common at the same places: the words are said once, above what differs. Lines that
report trouble stay whole, as readers look for these literally."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice

from headroom import reading
from headroom.shrinkers import git_blame, trouble
from headroom.values import Form, Source

MAX_CHARS = 200_000
MAX_WORDS = 10
"""Of a line. What stands further back is the message, which stays as it is."""
MIN_LINES = 6
MIN_SHARE = 0.8
"""Of the lines that have such words; the others are written as they are."""
MIN_FIXED_CHARS = 6
JSON = ("{", "[{", "[[", '["', "[\n")
HEAD = "[Lines like “"
OTHER = "| "
STAR = "*"
STAMPED_CHARS = 60
_STAMP = re.compile(r"\d\d?[-/:.T]\d\d")
"""Part of a date or a time: what logs begin with."""
_AMID_DIGITS = re.compile(r"\d[^\w]$")
"""What follows is part of a time, an address or a version, which stay in one piece."""
_CLOSED = re.compile(r"[\])>]")
"""A number at the end of brackets tells threads and processes apart; one in a path or an assignment is a name."""
_PLAIN = re.compile(r"[^\W\d_]*[a-z]")
_WORD = re.compile(r"[^ ]+")
_BLANKS = re.compile(r" +")
_DIGITS = re.compile(r"\d+")
_LETTERS = re.compile(r"[^\W\d_]+")


def forms(source: Source) -> Iterable[Form]:
    """Yield what differs in each line, below the words that all of them share. Files that were read stay as they are."""
    text = source.text
    if len(text) > MAX_CHARS or text.startswith(JSON) or reading.is_file(source.call):
        return
    lines = text.split("\n")
    if git_blame.LINE.match(lines[0]) or HEAD in text:  # what follows the names and dates of a blame is code
        return
    filled = sum(1 for line in lines if line)
    allowed = filled - max(MIN_LINES, MIN_SHARE * filled)
    strangers = (line for line in lines if line and not _STAMP.search(line, 0, STAMPED_CHARS))
    if allowed < 0 or next(islice(strangers, int(allowed), None), ""):
        return
    rows = [_BLANKS.split(line, MAX_WORDS) if "  " in line else line.split(" ", MAX_WORDS) for line in lines]
    alike = _alike(rows)
    reported = trouble.positions(lines) if alike else frozenset()
    alike = [n for n in alike if n not in reported]
    pattern = _pattern([rows[n] for n in alike])
    if _fixed_chars(pattern) < MIN_FIXED_CHARS or any(line.startswith(OTHER) for line in lines):
        return
    out = [line and OTHER + line for line in lines]
    for n in alike:
        out[n] = " ".join([*_at_stars(rows[n], pattern), _behind(lines[n], len(pattern))])
        if out[n].startswith(OTHER):
            return
    others = "" if len(alike) == filled else f" Whole lines begin with “{OTHER.strip()}”."
    shown = " ".join([*pattern, STAR])
    yield Form("\n".join([f"{HEAD}{shown}”; below is only what stands at the stars.{others}]", *out]), "shared_words")


def _alike(rows: Sequence[Sequence[str]]) -> list[int]:
    """The places of the lines that begin alike, when most lines do; without the shortest of them where that leaves more to
    say once."""
    filled = [n for n, row in enumerate(rows) if any(row)]
    enough = max(MIN_LINES, MIN_SHARE * len(filled))
    several = [n for n in filled if len(rows[n]) > 1 and rows[n][-1]]
    if len(several) < enough:
        return []
    shapes = dict(zip(filled, _shapes([rows[n][0] for n in filled]), strict=True))
    shape = max(Counter(shapes.values()).items(), key=lambda pair: (pair[1], pair[0]), default=("", 0))[0]
    alike = [n for n in several if shape and shapes[n] == shape]
    lengths = sorted(len(rows[n]) for n in alike)
    longer = [n for n in alike if len(rows[n]) >= lengths[len(lengths) // 10]]
    fitting = [some for some in (alike, longer) if len(some) >= enough]
    return max(fitting, key=lambda some: len(some) * _fixed_chars(_pattern([rows[n] for n in some])), default=[])


def _shapes(words: Sequence[str]) -> list[str]:
    return _LETTERS.sub("a", _DIGITS.sub("0", "\n".join(words))).split("\n")


def _pattern(rows: Sequence[Sequence[str]]) -> list[str]:
    """The words up to the last one that all rows share: itself, a star, or brackets with a star for their number."""
    if not rows:
        return []
    width = min(MAX_WORDS, *map(len, rows)) - 1
    found = _before_message([_shared([row[column] for row in rows]) for column in range(width)])
    while found and found[-1] == STAR:
        found.pop()
    return found


def _before_message(words: list[str]) -> list[str]:
    """The words up to a sentence with a star in it: what is said about something stays in one piece."""
    for n, word in enumerate([*words[1:], STAR]):  # what follows the last one is a star, too
        if word == STAR and _PLAIN.fullmatch(words[n]):
            start = n
            while start and _PLAIN.fullmatch(words[start - 1]):
                start -= 1
            return words[:start]
    return words


def _fixed_chars(pattern: Sequence[str]) -> int:
    return sum(len(word.replace(STAR, "")) for word in pattern)


def _shared(words: Sequence[str]) -> str:
    if STAR in words[0] or "”" in words[0]:
        return STAR
    if len(set(words)) == 1:
        return words[0]
    before = os.path.commonprefix([min(words), max(words)]).rstrip("0123456789")
    after = os.path.commonprefix([min(ends := [word[::-1] for word in words]), max(ends)])[::-1].lstrip("0123456789")
    is_number = all(_is_number(word[len(before) : len(word) - len(after)]) for word in words)
    return f"{before}{STAR}{after}" if is_number and _CLOSED.match(after) and not _AMID_DIGITS.search(before) else STAR


def _is_number(part: str) -> bool:
    return part.isascii() and part.isdigit()


def _behind(line: str, count: int) -> str:
    """What stands behind so many words and one blank."""
    return line[next(islice(_WORD.finditer(line), count - 1, None)).end() + 1 :]


def _at_stars(words: Sequence[str], pattern: Sequence[str]) -> Iterable[str]:
    for word, shared in zip(words, pattern, strict=False):
        before, star, after = shared.partition(STAR)
        if star:
            yield word[len(before) : len(word) - len(after)]
