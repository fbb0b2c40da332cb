"""A request as budgets and limits see it: what it asks for, and what may make it dearer than it looks."""

from __future__ import annotations

import re
from typing import Any

from budgets.estimates import Demand
from proxy.providers import bodies
from proxy.values import Call, Plan

# Where each route's limit on its answer stands; a route that is not here generates nothing.
_OUTPUT_FIELDS = {
    "/v1/messages": ("max_tokens",),
    "/v1/chat/completions": ("max_tokens", "max_completion_tokens"),
    "/v1/responses": ("max_output_tokens",),
}
# Blocks and references whose size in tokens has nothing to do with their size in bytes.
_OPAQUE = re.compile(
    rb'"(?:image|image_url|input_image|document|file|input_file|input_audio|file_id|file_url|search_result'
    rb'|previous_response_id|conversation|prompt|container)"'
)
# Tools and options that let the provider work on, at its own pace and price.
_OPEN_ENDED = (
    "web_search",
    "web_fetch",
    "code_execution",
    "code_interpreter",
    "file_search",
    "image_generation",
    "mcp",
    "advisor",
    "tool_search",
)
_OPEN_ENDED_FIELDS = ("mcp_servers", "web_search_options", "audio")
# Paths that no provider bills, though they are POSTs.
_FREE = re.compile(
    r"/v1/(?:messages/count_tokens|files(?:/.*)?|uploads(?:/.*)?|moderations|(?:.*/)?cancel|conversations(?:/.*)?"
    r"|responses/input_tokens)/?"
)
# Paths that are billed, and in ways that an answer's usage does not tell.
_BILLED = re.compile(
    r"/v1/(?:messages/batches|batches|complete|completions|images|audio|videos|fine[_-]tuning|responses|realtime|threads"
    r"|assistants|vector_stores|evals|containers|chat|skills|agents|sessions)(?:/.*)?"
)


def demand(call: Call, plan: Plan, *, provider: str, upstream: str, route: str, path: str) -> Demand:
    """What one upstream call asks for. `route` is "*" for paths that are passed on unread."""
    is_unread = route == "*"
    if not call.is_billable:
        return Demand(provider, upstream, path, call.model, is_free=True)
    if call.document is None:
        return Demand(provider, upstream, path, call.model, is_known_route=not (is_unread and _BILLED.fullmatch(path)))
    document = call.document
    return Demand(
        provider=provider,
        upstream=upstream,
        route=route,
        model=call.model,
        input_tokens=plan.tokens_after,
        body_bytes=len(call.body),
        max_output_tokens=_max_output(document, _OUTPUT_FIELDS[route]) if route in _OUTPUT_FIELDS else 0,
        answers=max(1, bodies.count(document.get("n")) or 1),
        has_opaque_input=_OPAQUE.search(call.body) is not None,
        has_open_end=has_open_end(document),
        tier=tier(document),
    )


def is_free(path: str) -> bool:
    """Whether no provider bills what is posted there."""
    return _FREE.fullmatch(path) is not None


def tier(document: dict[str, Any] | None) -> str:
    """The service tier that a request asks for, "" for the usual one."""
    if document is None:
        return ""
    return bodies.tier(document.get("speed"), document.get("service_tier"))


def _max_output(document: dict[str, Any], names: tuple[str, ...]) -> int | None:
    given = [count for name in names if (count := bodies.count(document.get(name))) is not None]
    return max(given, default=None)


def has_open_end(document: dict[str, Any]) -> bool:
    """Whether the provider may do more than answer: search, run code, call tools of others."""
    if any(document.get(name) for name in _OPEN_ENDED_FIELDS) or document.get("background") is True:
        return True
    return any(
        isinstance(tool, dict) and bodies.text(tool.get("type")).startswith(_OPEN_ENDED)
        for tool in bodies.items(document.get("tools"))
    )
