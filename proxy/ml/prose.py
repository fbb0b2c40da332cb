"""Prose without the words that a trained model finds dispensable: what is kept stands where and as it stood."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from headroom import reading
from headroom.pipeline import Shrinker
from headroom.shrinkers import prose, trouble
from headroom.values import Form, Source
from proxy.ml import model
from proxy.ml.model import Scored

MAX_CHARS = 24_000
"""About 6,000 tokens, some seconds of work: a limit on size and never on time, so that the bytes depend on neither."""
MIN_WORDS = 64
MIN_LINE_WORDS = 6
CHUNK_WORDS = 350
KEEP = 0.5

_WORD = re.compile(r"\S+")
# Headings, table rows, quoted code and lines with a marker before code are not sentences.
_NO_PROSE = re.compile(r"\s{4,}\S|\s*(?:#{1,6} |\||```|~~~|>>>|\$ |@@ )")
# What changes the meaning, or cannot be guessed: numbers, names, paths, options, negations, conditions, duties.
_MUST_KEEP = re.compile(
    r"""(?ix) .*\d | .*[/\\_@=<>{}()\[\]`"] | -{1,2}\w | (?-i:.*[A-Z].*[A-Z]) | (?-i:.*[a-z][A-Z]) | .*\w\.\w
    | \W*(?:no|not|nor|never|none|neither|without|cannot|except|unless|only|but|must|shall|should|may|might|can|could|would|will|if|and|or
    |before|after|until|always|all|any|every) \W* $ | .*n['’]t\b | .*:$"""
)

Scorer = Callable[[str], list[Scored] | None]


def extra(folder: str) -> Mapping[str, Shrinker]:
    """Return the shrinkers that a model's folder adds, by kind: none without a folder.

    The model is loaded when a text needs it; one that cannot be loaded costs its forms and no others.
    """
    return {"prose": lambda source: forms(source, lambda text: _loaded(folder).scores(text))} if folder else {}


@lru_cache(maxsize=1)
def _loaded(folder: str) -> model.Model:
    return model.load(Path(folder))


def forms(source: Source, scorer: Scorer) -> Iterable[Form]:
    """Yield prose without its dispensable words; files that an edit may quote only when they are old."""
    text, level = source.text, source.policy.level
    if level == "lossless" or len(text) > MAX_CHARS or not prose.is_prose(text):
        return
    if level == "balanced" and reading.is_read(source.call):
        return
    total = len(_WORD.findall(text))
    if total < MIN_WORDS:
        return
    shown = "\n".join(_shortened(text.split("\n"), scorer))
    kept = len(_WORD.findall(shown))
    if 0 < kept < total:
        yield Form(shown, "ml_words", f"{total - kept:,} of {total:,} words, as a trained model chose them")


def _shortened(lines: Sequence[str], scorer: Scorer) -> Iterator[str]:
    """Yield the lines with the words that are worth keeping, in as few looks of the model as there can be."""
    run: list[str] = []
    words = 0
    for line in lines:
        count = len(line.split())
        if _is_sentence(line) and words + count <= CHUNK_WORDS:
            run.append(line)
            words += count
            continue
        yield from _of_run(run, scorer)
        run, words = ([line], count) if _is_sentence(line) else ([], 0)
        if not run:
            yield line
    yield from _of_run(run, scorer)


def _is_sentence(line: str) -> bool:
    return len(line.split()) >= MIN_LINE_WORDS and not _NO_PROSE.match(line) and not trouble.reports(line)


def _of_run(run: Sequence[str], scorer: Scorer) -> Iterator[str]:
    if not run:
        return
    scored = scorer("\n".join(run))
    if scored is not None:
        yield from _kept("\n".join(run), scored).split("\n")
    elif len(run) > 1:
        half = len(run) // 2
        yield from _of_run(run[:half], scorer)
        yield from _of_run(run[half:], scorer)
    else:
        yield run[0]  # one line that is too long for the model


def _kept(text: str, scored: Sequence[Scored]) -> str:
    starts = [token.start for token in scored]
    lines: list[str] = []
    at = 0
    for line in text.split("\n"):
        words = [
            word[0]
            for word in _WORD.finditer(line)
            if _is_kept(word[0], _score(scored, starts, at + word.start(), at + word.end()))
        ]
        indent = line[: len(line) - len(line.lstrip())]
        if words:
            lines.append(indent + " ".join(words))
        at += len(line) + 1
    return "\n".join(lines)


def _is_kept(word: str, score: float) -> bool:
    return score > KEEP or bool(_MUST_KEEP.match(word))


def _score(scored: Sequence[Scored], starts: Sequence[int], start: int, end: int) -> float:
    """Return the best score of the tokens that a word is made of; a word that the tokenizer skipped is kept."""
    first = max(0, bisect_left(starts, start) - 1)
    last = bisect_left(starts, end)
    return max((token.score for token in scored[first:last] if token.end > start), default=1.0)
