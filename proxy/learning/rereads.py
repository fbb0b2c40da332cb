"""Which files an agent reads again though nothing it did has changed them: perhaps it missed something."""

from __future__ import annotations

from collections.abc import Sequence

from proxy import files
from proxy.values import ToolResult


def find(results: Sequence[ToolResult]) -> list[ToolResult]:
    """The earlier results, whole files each, that the newest results of a conversation bring once more."""
    wanted = set()
    for result in results:
        touch = files.touched(result.tool, result.arguments) if result.is_newest else None
        if touch is not None and touch.act == "read":
            wanted.add(touch.path)
    found = []
    for result in reversed(results):
        if not wanted:
            break
        touch = files.touched(result.tool, result.arguments) if not result.is_newest else None
        if touch is None or touch.path not in wanted:
            continue
        wanted.discard(touch.path)
        if touch.act == "read" and touch.is_whole:
            found.append(result)
    return found
