"""What stands in the place of messages that go."""

from __future__ import annotations

from typing import Any

from proxy.splice import Edit
from proxy.values import Cut


def edit(cut: Cut, key: str) -> Edit:
    """The cut as an edit of the list of messages at `key`."""
    return Edit(cut.start, cut.end, (message(cut, key),))


def message(cut: Cut, key: str) -> dict[str, Any]:
    """What stands for a cut: one message that nobody takes for the model's own words."""
    if key == "input":
        return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": cut.marker}]}
    if cut.kept:
        return {"role": "user", "content": [{"type": "text", "text": cut.marker}, *cut.kept]}
    return {"role": "user", "content": cut.marker}
