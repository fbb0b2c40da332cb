"""JSON: the same values without the layout."""

from __future__ import annotations

import json
from collections.abc import Iterable

from headroom.values import Form, Source


def forms(source: Source) -> Iterable[Form]:
    """Yield the value without the blanks between its parts."""
    try:
        value = json.loads(source.text)
    except (ValueError, RecursionError):
        return
    yield Form(json.dumps(value, ensure_ascii=False, separators=(",", ":")), "json_compact")
