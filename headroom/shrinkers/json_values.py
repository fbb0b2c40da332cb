"""JSON: alike objects as rows, what repeats said once, long lists by what stands out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from headroom import reading
from headroom.shrinkers import json_pick, json_text
from headroom.shrinkers.json_text import Document
from headroom.shrinkers.json_write import FOLD_CHARS, Writer, references
from headroom.values import Form, Level, Source

FILE_CHARS = 12_000
"""Files of settings are below it, and the next edit may quote them; longer ones are data."""
DATA_ROWS = 20
"""So many alike flat objects are data as well, however short."""

WHOLE_CHARS = 400_000
FAR_SHARE = 0.2
"""Of longer texts, and of those that the lossy form brings below this share, no form without loss is tried: it would
not come near."""


def forms(source: Source) -> Iterable[Form]:
    """Yield the value with every row, then with the rows that matter most."""
    may_be_edited = len(source.text) <= FILE_CHARS and reading.is_quotable(source)
    if may_be_edited and not source.text.lstrip().startswith("["):
        return
    document = json_text.read(source.text)
    if document is None or (may_be_edited and not _is_data(document.value)):
        return
    level: Level = "lossless" if may_be_edited else source.policy.level
    lossy, left_out = _written(document, source, level)
    if not left_out:
        yield Form(lossy, "json")
        return
    yield Form(lossy, f"json_{level}", left_out)
    has_target = source.policy.target_ratio is not None
    if has_target or (
        len(source.text) <= WHOLE_CHARS and len(lossy) > FAR_SHARE * len(json_text.compact(document.value))
    ):
        yield Form(_written(document, source, "lossless")[0], "json")


def _is_data(value: Any) -> bool:
    """Whether a value is a list of many alike objects with nothing nested: nobody edits those by hand."""
    if not isinstance(value, list) or len(value) < DATA_ROWS or not all(isinstance(row, dict) for row in value):
        return False
    names = max((row.keys() for row in value), key=len)
    return all(row.keys() <= names and not any(isinstance(cell, dict | list) for cell in row.values()) for row in value)


def _written(document: Document, source: Source, level: Level) -> tuple[str, str]:
    folds = len(source.text) <= FOLD_CHARS and "<same as" not in source.text and "…" not in source.text
    words = json_pick.asked(source.call.arguments, source.policy.keep_words)
    writer = Writer(level, words, references(document.value), folds, '": "' in source.text)
    text = json_text.finished(writer.write(document.value))
    others = "".join(f"\nbetween them, before number {place + 1}: {line}" for place, line in document.others)
    end = "\n[the text is cut off here, its end:] " if document.is_cut else ""
    return f"{document.before}{text}{others}{end}{document.after}", writer.tally.words()
