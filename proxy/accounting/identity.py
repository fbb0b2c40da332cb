"""Which conversation a request belongs to, told by how it opens: the same for every turn, and for every worker."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

from proxy.accounting.sizing import ANSWERS
from proxy.attribution import Attribution
from proxy.providers import bodies
from proxy.values import Call

OPENING_CHARS = 2000
"""Of each text of the opening, so many count: enough to tell conversations apart, and cheap when a book was pasted."""


def of(call: Call, owner: str, labels: Attribution) -> str:
    """The name of a conversation, "" for what is none.

    It is made of whose it is, the session that the client names, and what the user said first, so that sub-agents of one
    session, and sessions that begin alike, are told apart where the client lets us.
    """
    document = call.document
    if document is None or not call.is_billable or not ("messages" in document or "input" in document):
        return ""
    digest = blake2b(digest_size=16)
    for part in (owner, labels.session, labels.agent, *_opening(document)):
        spelled = part.encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(spelled) + spelled)
    return digest.hexdigest()


def _opening(document: dict[str, Any]) -> Iterator[str]:
    """What the user said before the first answer. System prompts hold the date and the like, and are left out."""
    asked = document.get("messages", document.get("input"))
    if isinstance(asked, str):
        yield asked[:OPENING_CHARS]
        return
    for message in bodies.items(asked):
        if not isinstance(message, dict):
            continue
        if message.get("role") == "assistant" or bodies.text(message.get("type")) in ANSWERS:
            return
        if message.get("role") not in ("system", "developer"):
            yield from _texts(message.get("content"))


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content[:OPENING_CHARS]
    for part in bodies.items(content):
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            yield part["text"][:OPENING_CHARS]
