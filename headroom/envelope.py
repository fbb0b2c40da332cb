"""JSON that some agents wrap around what a command printed: the text inside is what there is to read, and to shrink."""

from __future__ import annotations

from typing import Any

from headroom.shrinkers import json_text

BELOW = "<below>"
"""Stands in the wrapping where the text was."""

MIN_SHARE = 0.5
_MIN_LINES = 4
_MAX_DEPTH = 4


def opened(text: str) -> tuple[str, str] | None:
    r"""Return the wrapping on one line and the text that was in it, None when a text is not wrapped.

    >>> opened('{"output": "collected 2 items\\ntest a: ok\\ntest b: ok\\nall fine\\nbye", "status": 0}')
    ('{"output":"<below>","status":0}', 'collected 2 items\ntest a: ok\ntest b: ok\nall fine\nbye')
    """
    if text.lstrip()[:1] not in ("{", "[") or text[-200:].rstrip()[-1:] not in ("}", "]") or "\\n" not in text:
        return None
    if text.count("\n") > text.count("\\n") or BELOW in text:
        return None
    document = json_text.read(text)
    if document is None or document.is_lines or document.is_cut or document.before or document.after:
        return None
    found = _longest(document.value, _MAX_DEPTH)
    if found is None:
        return None
    holder, key = found
    inner: str = holder[key]
    if len(inner) < MIN_SHARE * len(text) or inner.count("\n") < _MIN_LINES:
        return None
    holder[key] = BELOW
    return json_text.finished(json_text.compact(document.value)), inner


def _longest(value: Any, depth: int) -> tuple[Any, Any] | None:
    """Return the object or list that holds the longest text, and where in it."""
    best: tuple[Any, Any] | None = None
    places = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in places:
        found = (value, key) if isinstance(part, str) else None
        if isinstance(part, (dict, list)) and depth:
            found = _longest(part, depth - 1)
        if found is not None and (best is None or len(found[0][found[1]]) > len(best[0][best[1]])):
            best = found
    return best
