"""Results that a conversation already has: said by reference to the earlier copy, as long as that stays in full."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from headroom import duplicates, pipeline, tokens
from headroom.duplicates import Visible
from headroom.values import Policy, Shrunk
from headroom.walk import Text

MIN_CHARS = 1_000
"""Shorter results cost about what referring to them does."""
MAX_VISIBLE = 40
"""So many earlier results are compared with, the latest ones."""
_SUBJECTS = ("command", "file_path", "path", "filePath", "url", "pattern", "query")
_MAX_SUBJECT_CHARS = 120


def referred(texts: Sequence[Text], outcomes: Sequence[Shrunk], policy: Policy) -> list[Shrunk]:
    """Return the outcomes, with a reference in place of each result that mostly stands above, unshortened.

    Only results that go out word for word are referred to, of those with one name the latest.
    """
    found: list[Shrunk] = []
    visible: dict[str, str] = {}
    for text, outcome in zip(texts, outcomes, strict=True):
        shorter = _repeat(text, outcome, visible, policy) if text.is_result and len(text.text) >= MIN_CHARS else None
        found.append(shorter or outcome)
        if text.is_result and found[-1].text == text.text and len(text.text) >= MIN_CHARS:
            label = _label(text)
            visible.pop(label, None)
            visible[label] = text.text
    return found


def _repeat(text: Text, outcome: Shrunk, visible: dict[str, str], policy: Policy) -> Shrunk | None:
    if outcome.reason in ("excluded", "retrieved", "already_shrunk") or not visible:
        return None
    earlier = [Visible(f"in {label}", copy) for label, copy in list(visible.items())[-MAX_VISIBLE:]]
    repeat = duplicates.refer(text.text, earlier)
    if repeat is None or (text.call.name, repeat.form.name, outcome.level) in policy.unwanted_forms:
        return None
    digest = pipeline.original_hash(text.text)
    said = f"{repeat.form.text.rstrip()}\n{pipeline.marker(repeat.form.left_out, policy, digest)}"
    cost = tokens.count(said)
    if cost > outcome.tokens_after * (1 - pipeline.LOSSY_SHARE):
        return None
    return replace(
        outcome,
        text=said,
        tokens_after=cost,
        kind="duplicate",
        form=repeat.form.name,
        left_out=repeat.form.left_out,
        original_hash=digest,
        reason="",
    )


def _label(text: Text) -> str:
    """Name a result in a sentence, by what the model itself wrote when it called the tool."""
    subject = _subject(text.call.arguments)
    if text.call.name in ("Bash", "shell", "") and subject:
        return f"the output of `{subject}`"
    return (
        f"the {text.call.name or 'tool'} result for {subject}" if subject else f"the {text.call.name or 'tool'} result"
    )


def _subject(arguments: str) -> str:
    try:
        values = json.loads(arguments)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(values, dict):
        return ""
    said = next((values[name] for name in _SUBJECTS if isinstance(values.get(name), str)), "")
    return " ".join(said.split())[:_MAX_SUBJECT_CHARS]
