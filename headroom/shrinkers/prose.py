"""Text written for people: passages that are repeated, and documents down to their first sentences when old."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from headroom import reading
from headroom.shrinkers import document, passages, sentences
from headroom.values import Form, Source

# An open string runs to the end, so that no quote inside it is tried as a beginning again.
_LITERAL = re.compile(r'(?s)"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)')
# Six words and more in a row, with at most a mark between them.
_SENTENCE = re.compile(r"[^\w\n]{0,8}(?:[^\W\d_][\w'’-]*[,;:.!?)\"”]?[ (\"“]{1,2}){6}")
_LONG_LITERAL_CHARS = 120
_MIN_LONG_LITERALS = 4
_CHARS_PER_BLANK = 12
"""Of sentences, at most."""
# Share of a JSON text that its sentences make up before it is prose in an envelope.
_PROSE_SHARE = 0.65
_HEAD_CHARS = 32_768


def forms(source: Source) -> Iterable[Form]:
    """Yield the text without its repeated passages and, for an old document, without all but its outline."""
    text = source.text
    if len(text) > passages.MAX_CHARS:
        return
    if is_passages(text):
        yield from _of_passages(source)
    elif source.policy.level != "lossless" and is_prose(text):
        if source.policy.level == "balanced" and reading.is_read(source.call):
            return  # the next edit may quote any of it
        shown = passages.Memory(headings=True).shortened(text)
        if shown != text:
            yield Form(
                shown, "repeats", f"{len(text) - len(shown):,} of {len(text):,} characters that repeat what is shown"
            )
    if source.policy.level != "deep":
        return
    if reading.is_document(source.call) or document.is_one(text):
        yield from document.forms(source)
    elif is_prose(text):
        short, gone, count = sentences.extract(text, source.policy.keep_words)
        if gone:
            yield Form(short, "sentences", f"{gone:,} of {count:,} sentences, where it says {sentences.GAP}")


def is_passages(text: str) -> bool:
    """Return whether a text is JSON that only carries prose: search results, retrieved passages, pages."""
    head = text[:_HEAD_CHARS]
    if head.lstrip()[:1] not in ("{", "[") or head.count(" ") * _CHARS_PER_BLANK <= _PROSE_SHARE * len(head):
        return False
    long = [len(literal) for literal in _LITERAL.findall(head) if _is_prose(literal)]
    return len(long) >= _MIN_LONG_LITERALS and sum(long) > _PROSE_SHARE * len(head) and max(long) < 0.8 * len(head)


def is_prose(text: str) -> bool:
    """Return whether a text is written in sentences, for the most part."""
    head = text[:_HEAD_CHARS]
    sentences = sum(len(line) for line in head.split("\n") if _SENTENCE.match(line))
    return sentences * 2 > len(head)


def _is_prose(literal: str) -> bool:
    return (
        len(literal) >= _LONG_LITERAL_CHARS
        and literal.count(" ") * _CHARS_PER_BLANK >= len(literal)
        and "@@ -" not in literal
    )


def _of_passages(source: Source) -> Iterable[Form]:
    text = source.text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return
    plain, shown, telling = [], [], []
    gone = count = 0
    memory = passages.Memory()
    at = 0
    for found in _LITERAL.finditer(text):
        between, literal = "".join(text[at : found.start()].split()), found[0]
        plain += [between, literal]
        shown += [between, _shortened(literal, memory) if _is_prose(literal) else literal]
        telling += shown[-2:]
        if source.policy.level == "deep" and _is_prose(shown[-1]):
            short, left, among = sentences.extract(json.loads(shown[-1]), source.policy.keep_words)
            telling[-1] = json.dumps(short, ensure_ascii=literal.isascii())
            gone, count = gone + left, count + among
        at = found.end()
    end = text[at:].strip()
    whole = "".join([*plain, end])
    yield Form(whole, "json_compact")
    short = "".join([*shown, end])
    if source.policy.level != "lossless" and short != whole:
        yield Form(
            short, "repeats", f"{len(whole) - len(short):,} of {len(text):,} characters that repeat what is shown"
        )

    if gone:
        said = f"{gone:,} of {count:,} sentences, where it says {sentences.GAP}"
        yield Form("".join([*telling, end]), "sentences", said)


def _shortened(literal: str, memory: passages.Memory) -> str:
    value = json.loads(literal)
    short = memory.shortened(value)
    return literal if short == value else json.dumps(short, ensure_ascii=literal.isascii())
