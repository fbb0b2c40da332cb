"""`headroom_retrieve` as each dialect declares a tool, and the calls that models make of it.

The words are part of prompts that providers have cached: conversations that were offered them would pay for every change.
"""

from __future__ import annotations

import math
from typing import Any

from proxy import own_routes
from proxy.providers import bodies
from proxy.retrieval.lookup import Wanted
from proxy.retrieval.words import TOOL_NAME

MAX_QUERY_CHARS = 1_000

DESCRIPTION = (
    "Get back text that was left out of an earlier tool result or message. A line that begins with "
    "`[headroom left out` names the hash of the whole text. Give a query or lines to get only the part you need."
)
PARAMETERS = {
    "type": "object",
    "properties": {
        "hash": {"type": "string", "description": "24 hex digits, from the line that says what was left out"},
        "query": {"type": "string", "description": "words or a regular expression to search the whole text for"},
        "start_line": {"type": "integer"},
        "end_line": {"type": "integer"},
    },
    "required": ["hash"],
}
DECLARATIONS: dict[str, dict[str, Any]] = {
    "/v1/messages": {"name": TOOL_NAME, "description": DESCRIPTION, "input_schema": PARAMETERS},
    "/v1/chat/completions": {
        "type": "function",
        "function": {"name": TOOL_NAME, "description": DESCRIPTION, "parameters": PARAMETERS},
    },
    "/v1/responses": {
        "type": "function",
        "name": TOOL_NAME,
        "description": DESCRIPTION,
        "parameters": PARAMETERS,
        "strict": False,
    },
}
"""By route. Only these routes' conversations are offered the tool."""

TOKENS = 160
"""About what a declaration is to the model."""


def names(tools: Any) -> list[str]:
    """The names of the tools that a request declares, in any dialect."""
    found: list[str] = []
    for declared in bodies.items(tools):
        if isinstance(declared, dict):
            function = declared.get("function")
            found.append(bodies.text((function if isinstance(function, dict) else declared).get("name")))
    return found


def wanted(arguments: Any) -> Wanted | None:
    """What a call asks for, `None` where that cannot be told. `arguments` are an object, or JSON text."""
    if isinstance(arguments, str):
        arguments = own_routes.loads_object(arguments)
    if not isinstance(arguments, dict):
        return None
    hash = bodies.text(arguments.get("hash")).strip().lower().removeprefix("hash=")
    if not hash:
        return None
    query = bodies.text(arguments.get("query"))[:MAX_QUERY_CHARS]
    return Wanted(hash, query, _line(arguments.get("start_line")), _line(arguments.get("end_line")))


def _line(value: Any) -> int | None:
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 12:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return max(1, int(value))
