"""Builders: a test names only what matters to it."""

from __future__ import annotations

from typing import Any

from proxy.decisions import Decided
from proxy.values import Exchange, ToolResult


def make_exchange(path: str = "/v1/messages", peer: str = "127.0.0.1", method: str = "POST", **lines: str) -> Exchange:
    """A client's request; `user_agent="x"` is the line `user-agent: x`."""
    headers = [(key.replace("_", "-").encode(), value.encode()) for key, value in lines.items()]
    return Exchange(method, path, path.encode(), headers, peer, 0.0)


def make_result(text: str = "output", **fields: Any) -> ToolResult:
    defaults: dict[str, Any] = {
        "path": ("messages", 0, "content"),
        "call_id": "c",
        "tool": "Bash",
        "arguments": "{}",
        "age_turns": 0,
    }
    return ToolResult(text=text, **defaults | fields)


def make_decided(form: str | None = "short", **fields: Any) -> Decided:
    defaults: dict[str, Any] = {
        "label": "log",
        "reason": "",
        "tokens_before": 100,
        "tokens_after": 10,
        "original_hash": "",
    }
    return Decided(form, **defaults | fields)
