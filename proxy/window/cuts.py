"""Take messages out of a body without touching another byte of it, and put markers where they were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from proxy import splice
from proxy.values import Cut


def message(cut: Cut, key: str) -> dict[str, Any]:
    """What stands for a cut: one message that nobody takes for the model's own words."""
    if key == "input":
        return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": cut.marker}]}
    if cut.kept:
        return {"role": "user", "content": [{"type": "text", "text": cut.marker}, *cut.kept]}
    return {"role": "user", "content": cut.marker}


def apply(body: bytes, key: str, cuts: Sequence[Cut]) -> bytes:
    """The body with these cuts made in the list at `key`. Raises splice.Unspliceable."""
    try:
        document = splice.loads(body)
        items = document[key]
    except (ValueError, KeyError, TypeError) as exc:
        raise splice.Unspliceable("there is no list to cut") from exc
    spans = splice.item_spans(body, key)
    if len(spans) != len(items):
        raise splice.Unspliceable("the messages cannot be told apart from the rest of the body")
    pieces: list[bytes] = []
    left, cursor, done = [], 0, 0
    for cut in sorted(cuts, key=lambda one: one.start):
        stand_in = message(cut, key)
        left += [*items[done : cut.start], stand_in]
        pieces += (body[cursor : spans[cut.start][0]], _spelled(stand_in))
        cursor, done = spans[cut.end - 1][1], cut.end
    left += items[done:]
    edited = b"".join((*pieces, body[cursor:]))
    try:
        is_meant = splice.loads(edited) == {**document, key: left}
    except ValueError:
        is_meant = False
    if not is_meant:
        raise splice.Unspliceable("cutting would change more than was meant")
    return edited


def _spelled(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except (TypeError, ValueError) as exc:  # a lone surrogate has no UTF-8
        raise splice.Unspliceable("what is kept cannot be spelled") from exc
