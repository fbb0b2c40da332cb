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
_HASH_LANGUAGES = ("bash", "python", "ruby")
_WORD = re.compile(r"[A-Za-z_]\w{3,}")
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
    text, count = fold.folded(lines, shown, dropped, run)
    if count:
        yield Form(text, "code_outline", f"{count:,} of {len(shown):,} lines of code ({what})")


def _by_text(lines: Sequence[str]) -> grammars.Name | None:
    """Return the language of a text of unknown origin, which must then parse: a traceback quotes code and is none."""
    name = grammars.by_text("\n".join(lines))
    return name if name and code_parts.parses(lines, name) else None


def _wanted(arguments: str) -> set[str]:
    """Return the words of a call that may name a definition: not those of the file's path."""
    return set(_WORD.findall(_PATH.sub(" ", arguments)))


def _comment_rows(lines: Sequence[str], name: grammars.Name, *, is_deep: bool) -> set[int]:
    dropped: set[int] = set()
    mark = "#" if name in _HASH_LANGUAGES else "//"
    for comment in comments.find(lines, line_mark=mark, has_docstrings=name == "python"):
        rows = comment.end - comment.start
        if is_deep or comment.is_licence or (comment.is_documentation and rows >= _DOCUMENTATION_ROWS):
            dropped.update(comment.rest(1))
        elif rows >= _LONG_COMMENT_ROWS:
            dropped.update(comment.rest(_COMMENT_KEPT_ROWS))
    return dropped
