"""What a search for a word found in prose: each word it stands in, the lines that are no prose, and both ends."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby

from headroom import commands
from headroom.shrinkers import named, trouble
from headroom.values import Form, Source

MIN_LINES = 80
"""Fewer are read as they are."""
ENDS = 6
MAX_OTHERS = 1 / 3
"""Where more of the lines are no prose, it was not prose that was searched."""
_PROGRAMS = frozenset(["grep", "egrep", "fgrep", "rg", "ag", "ack"])
_MAX_WORDS = 12
_MATCHING = 0.9
_MIN_PROSE_WORDS = 3
_NUMBER = re.compile(r"\d+[:-]")
"""Of the line, as `grep -n` prints it; anywhere else a number is kept."""
_BEFORE, _BEHIND = "([\"'“‘*", ")]\"'”’*.,;:!?-"
_WITHIN = re.compile("[-'’,—]+")


def forms(source: Source) -> Iterable[Form]:
    """Yield a search's lines without most of those in which the word sought stands among ordinary words.

    A line with a digit, a path, a name of several parts or any sign that prose does without is never left out, nor is the
    first line of each word that the one sought is part of.
    """
    if source.policy.level == "lossless":
        return
    lines = source.text.split("\n")
    sought = _sought(source)
    if not sought or len(lines) < MIN_LINES:
        return
    matched = {row: found[0].lower() for row, line in enumerate(lines) if (found := sought.search(line))}
    prose = {row: word for row, word in matched.items() if _is_prose(lines[row])}
    if len(matched) < _MATCHING * len(lines) or len(lines) - len(prose) > MAX_OTHERS * len(lines):
        return
    first = {word: row for row, word in reversed(prose.items())}
    kept = {*first.values(), *range(ENDS), *list(prose)[-ENDS:]}
    kept |= named.rows(lines, source.policy.keep_words) | set(trouble.reporting(lines))
    hidden = [row for row in prose if row not in kept]
    if not hidden:
        return
    words = list(dict.fromkeys(prose[row] for row in hidden))
    said = ", ".join(words[:_MAX_WORDS]) + (", …" if len(words) > _MAX_WORDS else "")
    yield Form(
        "\n".join(_with_gaps(lines, frozenset(hidden))),
        "search_prose",
        f"{len(hidden):,} of {len(matched):,} matches: lines of ordinary words with {said}",
    )


def _sought(source: Source) -> re.Pattern[str] | None:
    """Return what finds the word that was searched for with all that is attached to it, None where it was no mere word."""
    for words in reversed(list(commands.simple(commands.words(commands.line(source.call))))):
        if words[0].rpartition("/")[2] in _PROGRAMS:
            word = next((word for word in words[1:] if not word.startswith("-")), "")
            return re.compile(rf"\w*{word}\w*", re.IGNORECASE) if word.isalpha() else None
    return None


def _is_prose(line: str) -> bool:
    words = _without_number(line).split()
    return len(words) >= _MIN_PROSE_WORDS and all(map(_is_ordinary, words))


def _without_number(line: str) -> str:
    found = _NUMBER.match(line)
    return line[found.end() :] if found else line


def _is_ordinary(word: str) -> bool:
    """Say whether a word is of letters alone, with capitals where sentences and headings have them."""
    bare = word.lstrip(_BEFORE).rstrip(_BEHIND)
    return all(
        part.isalpha() and (part.isupper() or part[1:].islower() or len(part) == 1)
        for part in (_WITHIN.split(bare) if bare else ())
    )


def _with_gaps(lines: list[str], hidden: frozenset[int]) -> Iterable[str]:
    for is_gap, rows in groupby(range(len(lines)), hidden.__contains__):
        run = [lines[row] for row in rows]
        yield from [f"[{len(run):,} more]"] if is_gap else run
