"""Server-sent events, cut from a stream of bytes that may break anywhere."""

from __future__ import annotations

import re
from typing import Any

import orjson

MAX_LINE_BYTES = 8 * 1024 * 1024
"""A single event larger than this is not kept for reading; it is relayed all the same."""

END_OF_EVENT = re.compile(rb"\r?\n\r?\n")
DONE_EVENT = b"data: [DONE]\n\n"
DONE: dict[str, Any] = {"type": "[DONE]"}
"""Stands for OpenAI's closing `data: [DONE]`, which is not JSON."""


class JsonEvents:
    """Collects the JSON objects in complete `data:` lines from pieces of a stream."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[dict[str, Any]]:
        """Return the objects whose lines this piece completed; what is not a JSON object is passed over."""
        lines = (self._rest + chunk).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > MAX_LINE_BYTES:
            self._rest = b""
        return [event for line in lines if line.startswith(b"data:") and (event := _parsed(line[5:])) is not None]


def _parsed(payload: bytes) -> dict[str, Any] | None:
    try:
        event = orjson.loads(payload)
    except ValueError:
        return DONE if payload.strip() == b"[DONE]" else None
    return event if isinstance(event, dict) else None
