"""Source files: what an edit may quote stays at first sight; later only definitions, imports and constants do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from headroom import reading
from headroom.shrinkers import code_parts, comments, fold, grammars, named, numbered
from headroom.values import Form, Source

_MIN_ROWS = 12
# At first sight a comment keeps its first line where it is long, beside code where it is longer.
_LONG_COMMENT_ROWS = 5
_COMMENT_KEPT_ROWS = 1
_DOCUMENTATION_ROWS = 5
_MOSTLY = 0.7
_HASH_LANGUAGES = ("bash", "python", "ruby")
_WORD = re.compile(r"[A-Za-z_]\w{3,}")
# In comments: two words in one, constants, options; words of prose are none.
_TELLING_NAME = re.compile(
    r"(?<![\w/.@-])(?:--[a-z][\w-]+|[A-Za-z]\w*_\w+|[A-Za-z]*[a-z][A-Z]\w+|[A-Z][A-Z\d]{3,})(?![\w/@-])"
)
_PATH = re.compile(r"[\w@.~+-]*/[\w@./~+-]*|\b[\w-]+\.[A-Za-z]{1,4}\b")


def forms(source: Source) -> Iterable[Form]:
    """Yield a source file without long comments at first sight, and without bodies when it is old."""
    if source.policy.level == "lossless":
        return
    lines = source.text.split("\n")
    run = numbered.find(lines)
    shown = numbered.bare(lines, run) if run else lines
    name = reading.language(source.call) or _by_text(shown)
    if name is None or len(shown) < _MIN_ROWS:
        return
    dropped = _comment_rows(shown, name, is_deep=source.policy.level == "deep")
    what = "long comments"
    if source.policy.level == "deep" and source.policy.code_aware:
        wanted = _wanted(source.call.arguments).union(source.policy.keep_words)
        bodies = code_parts.droppable(shown, name, wanted)
        what = "bodies and comments" if bodies else what
        dropped |= bodies
    dropped -= named.rows(shown, source.policy.keep_words)
    names = _unseen(shown, dropped) if source.policy.level == "balanced" else None
    text, count = fold.folded(lines, shown, dropped, run, names)
    if count:
        yield Form(text, "code_outline", f"{count:,} of {len(shown):,} lines of code ({what})")


def _by_text(lines: Sequence[str]) -> grammars.Name | None:
    """Return the language of a text of unknown origin, which must then parse: a traceback quotes code and is none."""
    name = grammars.by_text("\n".join(lines))
    return name if name and code_parts.parses(lines, name) else None


def _unseen(lines: Sequence[str], dropped: set[int]) -> dict[int, list[str]]:
    """Return names that only dropped rows have, each with the first of these: what a reader could not know to ask for."""
    shown = "\n".join(line for row, line in enumerate(lines) if row not in dropped)
    found: dict[int, list[str]] = {}
    told: set[str] = set()
    for row in sorted(dropped):
        names = [name for name in dict.fromkeys(_TELLING_NAME.findall(lines[row])) if name not in told]
        found[row] = [name for name in names if name not in shown]
        told.update(names)
    return found


def _wanted(arguments: str) -> set[str]:
    """Return the words of a call that may name a definition: not those of the file's path."""
    return set(_WORD.findall(_PATH.sub(" ", arguments)))


def _comment_rows(lines: Sequence[str], name: grammars.Name, *, is_deep: bool) -> set[int]:
    """Return the rows of long comments; where a file is documentation for the most part, that is what it was read for."""
    licences: set[int] = set()
    dropped: set[int] = set()
    mark = "#" if name in _HASH_LANGUAGES else "//"
    for comment in comments.find(lines, line_mark=mark, has_docstrings=name == "python"):
        rows = comment.end - comment.start
        if comment.is_licence:
            licences.update(comment.rest(1))
        elif is_deep or (comment.is_documentation and rows >= _DOCUMENTATION_ROWS):
            dropped.update(comment.rest(1))
        elif rows >= _LONG_COMMENT_ROWS:
            dropped.update(comment.rest(_COMMENT_KEPT_ROWS))
    if not is_deep and sum(len(lines[row]) for row in dropped) > _MOSTLY * sum(map(len, lines)):
        return licences
    return licences | dropped
