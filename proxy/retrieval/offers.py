"""Which conversations are offered the tool: from their first request on, or never.

A tool that appears half-way would make the provider write its whole prompt into its cache anew.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, ParamSpec, Protocol, TypeVar

from django.conf import settings
from django.db import DatabaseError

from proxy import database
from proxy.providers import bodies
from proxy.retrieval import tool, turns, words
from proxy.retrieval.turns import Turn
from proxy.values import Call, Plan

P = ParamSpec("P")
T = TypeVar("T")

MIN_TOKENS = 15_000
"""Of tools and system prompt together: where there are more, one tool more is one percent."""
CHARS_PER_TOKEN = 4
MIN_BODY_BYTES = MIN_TOKENS * CHARS_PER_TOKEN // 2
"""Smaller requests are none of such a conversation, and are not looked for in the database."""
FRESH_S = 60.0
MAX_KNOWN = 20_000
_PLAIN_CHOICES = (None, "auto", "none")


@dataclass(slots=True)
class Offered:
    """What is known of one conversation: whether it was offered the tool, and the turns in which its model used it."""

    is_offered: bool
    turns: dict[str, Turn] = field(default_factory=dict)
    read_at: float = field(default_factory=time.monotonic)
    newest: str = ""
    """The newest answer of the model when this was read: nothing can have been added while it is the newest."""

    def added_to(self, plan: Plan) -> Plan:
        """The plan with the tool's own tokens in its account."""
        return replace(
            plan,
            tokens_after=plan.tokens_after + tool.TOKENS,
            added_tokens=tool.TOKENS,
            transforms=(*plan.transforms, "tool:headroom_retrieve"),
        )


class Run(Protocol):
    """Runs a job that uses the ORM, as `proxy.database.run` does."""

    async def __call__(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T: ...


class Offers:
    """The conversations of one worker that were offered the tool."""

    def __init__(self, run: Run = database.run) -> None:
        self._run = run
        self._known: OrderedDict[tuple[str, str], Offered] = OrderedDict()

    async def find(self, call: Call, route: str, owner: str) -> Offered | None:
        """What is known of this request's conversation when it is offered the tool, else `None`."""
        if not _may_be_offered(call, route):
            return None
        root, newest = turns.root(call, route), turns.newest(call, route)
        known = self._known.get((owner, root))
        is_fresh = known is not None and (
            known.newest == newest or (not known.is_offered and time.monotonic() - known.read_at < FRESH_S)
        )
        if known is None or not is_fresh:
            try:
                known = await self._run(_load, owner, root, newest, is_new=_is_first(call, route))
            except (DatabaseError, TimeoutError):
                return known if known is not None and known.is_offered else None
            self._remember((owner, root), known)
        return known if known.is_offered else None

    def _remember(self, name: tuple[str, str], known: Offered) -> None:
        self._known[name] = known
        self._known.move_to_end(name)
        while len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)


def _load(owner: str, root: str, newest: str, *, is_new: bool) -> Offered:
    """Read what is stored about a conversation; a new one is offered the tool from now on. Runs queries."""
    is_offered = turns.offer(owner, root, datetime.now(UTC), is_new=is_new)
    return Offered(is_offered, turns.load(owner, root) if is_offered else {}, newest=newest)


def _may_be_offered(call: Call, route: str) -> bool:
    """Whether this request could carry the tool, whatever its conversation's first one was."""
    document = call.document
    if document is None or route not in tool.DECLARATIONS or settings.RETRIEVE_TOOL == "off":
        return False
    if settings.NO_CCR or settings.LOSSLESS or (settings.RETRIEVE_TOOL == "auto" and words.are_files_offered()):
        return False
    if settings.RETRIEVE_TOOL == "auto" and len(call.body) < MIN_BODY_BYTES:
        return False
    if (bodies.count(document.get("n")) or 1) > 1:  # several answers at once cannot be woven
        return False
    declared = tool.names(document.get("tools"))
    if not declared or any(name.endswith(words.TOOL_NAME) for name in declared):
        return False
    return route != "/v1/responses" or _is_stateless(document)


def _is_stateless(document: dict[str, Any]) -> bool:
    """Whether the client keeps the conversation: what the provider keeps would hold rounds that the client never saw."""
    kept = ("previous_response_id", "conversation", "background")
    return document.get("store") is False and not any(document.get(name) for name in kept)


def _is_first(call: Call, route: str) -> bool:
    """Whether a conversation begins with this request, and may be offered the tool."""
    document = call.document or {}
    if call.turns:
        return False
    choice = document.get("tool_choice")
    kind = choice.get("type") if isinstance(choice, dict) else choice
    if kind not in _PLAIN_CHOICES:
        return False
    return settings.RETRIEVE_TOOL == "on" or _fixed_chars(document, route) >= MIN_TOKENS * CHARS_PER_TOKEN


def _fixed_chars(document: dict[str, Any], route: str) -> int:
    """The size of tools and system prompt."""
    parts = [document.get("tools"), document.get("system"), document.get("instructions")]
    for message in bodies.items(document.get("input" if route == "/v1/responses" else "messages")):
        if isinstance(message, dict) and message.get("role") in ("system", "developer"):
            parts.append(message.get("content"))
    return sum(bodies.size(part) for part in parts if part is not None)
