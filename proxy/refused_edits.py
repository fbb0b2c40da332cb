"""Conversations whose provider refused what we had made of a request and took the client's own: they are left alone.

The provider has the client's bytes in its cache from then on, so later requests are quickest and cheapest as they come;
and whatever it minded would be refused once more at each turn.
"""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

from django.db import DatabaseError

from proxy import database, exchange
from proxy.models import RefusedEdit
from proxy.providers import bodies
from proxy.upstream import Answer
from proxy.values import Call
from proxy.window import records, units

logger = logging.getLogger(__name__)

MAX_KNOWN = 20_000
MAX_REFUSED = 20
"""Of all that goes by one name; each is looked for in every request of it."""

MAX_START_BYTES = 4096
_ID = re.compile(rb'"id"\s*:\s*"(resp[\w-]{1,200})"')
"""How Responses name their answers, streamed or not: nearly the first that they say."""

Beginning = tuple[int, str]
"""The number of messages that a refused request had, and their digest."""
ALL: Beginning = (0, "")
"""Whatever goes on from what the provider keeps."""


@dataclass(slots=True)
class _Known:
    """What this worker knows of a conversation, and how many answers that had when it was here last."""

    turns: int
    refused: set[Beginning] = field(default_factory=set)


class RefusedEdits:
    """The conversations of one worker of which an edit was refused, by any worker."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], _Known] = OrderedDict()

    async def has(self, call: Call, owner: str) -> bool:
        """Whether a request goes on from one that was refused when it was edited. The database is asked only when somebody
        else may have sent what came before.

        That very request, sent again, begins anew: many conversations may open with the same words."""
        if call.is_continued:
            return await self._has_kept(call, owner)
        if not call.conversation:
            return False
        known = self._known.get((owner, call.conversation))
        if (known is None and call.turns) or (known is not None and known.turns < call.turns - 1):
            try:
                found = await database.run(_load, owner, call.conversation)
            except (DatabaseError, TimeoutError):
                return _goes_on(call, known.refused if known is not None else set())
            known = _Known(call.turns, found)
        known = known or _Known(call.turns)
        known.turns = max(known.turns, call.turns)
        self._remember((owner, call.conversation), known)
        return _goes_on(call, known.refused)

    async def _has_kept(self, call: Call, owner: str) -> bool:
        """The same where the provider keeps what came before. Nobody asks for requests that have nothing to edit."""
        name = _kept_name(call)
        known = self._known.get((owner, name))
        if known is None:
            if not call.results:
                return False
            try:
                known = _Known(0, await database.run(_load, owner, name))
            except (DatabaseError, TimeoutError):
                return False
        self._remember((owner, name), known)
        return bool(known.refused)

    async def note(self, call: Call, owner: str, answer: Answer) -> None:
        """Remember that the provider took a request as the client sent it, after it had refused it edited: what goes on from
        it, or from its answer, names either."""
        messages = bodies.items((call.document or {}).get(units.where(call)))
        if call.conversation and messages and not call.is_continued:
            await self._note(owner, call.conversation, (len(messages), records.digest(messages)), call.turns)
        if name := _kept_name(call, await _id(answer) if "input" in (call.document or {}) else ""):
            await self._note(owner, name, ALL, 0)

    async def _note(self, owner: str, name: str, refused: Beginning, turns: int) -> None:
        known = self._known.get((owner, name), _Known(turns))
        if refused in known.refused:
            return
        known.refused.add(refused)
        if len(known.refused) > MAX_REFUSED:
            known.refused.remove(min(known.refused))
        self._remember((owner, name), known)
        try:
            await database.run(_store, owner, name, refused, datetime.now(UTC))
        except (DatabaseError, TimeoutError):
            logger.warning("that an edit was refused could not be stored; only this worker knows")

    def _remember(self, name: tuple[str, str], known: _Known) -> None:
        self._known[name] = known
        self._known.move_to_end(name)
        while len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)


async def _id(answer: Answer) -> str:
    """The name that a provider keeps an answer under, "" where it does not begin with that."""
    encoding = answer.header(b"content-encoding")
    start = await answer.peek(MAX_START_BYTES, lambda start: bool(_id_in(start, encoding)))
    return _id_in(start, encoding)


def _id_in(start: bytes, encoding: str) -> str:
    decode = exchange.decoder_for(encoding)
    try:
        found = _ID.search(decode(start)) if decode is not None else None
    except Exception:  # noqa: BLE001 - each codec has errors of its own
        return ""
    return found[1].decode() if found is not None else ""


def _kept_name(call: Call, answer_id: str = "") -> str:
    """The name of what the provider keeps: of the conversation that a request belongs to, or else of what it goes on from,
    or of its own answer. "" where it keeps nothing."""
    document = call.document or {}
    conversation = document.get("conversation")
    named = conversation.get("id") if isinstance(conversation, dict) else conversation
    name = bodies.text(named) or answer_id or bodies.text(document.get("previous_response_id"))
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest() if name else ""


def _goes_on(call: Call, refused: set[Beginning]) -> bool:
    if not refused:
        return False
    messages = bodies.items((call.document or {}).get(units.where(call)))
    found = {one for one in refused if one[0] <= len(messages) and records.digest(messages[: one[0]]) == one[1]}
    again = {one for one in found if one[0] == len(messages)}
    refused -= again
    return bool(found - again)


# In the database.


def _load(owner: str, conversation: str) -> set[Beginning]:
    rows = RefusedEdit.objects.filter(owner=owner, conversation=conversation)
    return {(row.length, row.chain) for row in rows.order_by("-id")[:MAX_REFUSED]}


def _store(owner: str, conversation: str, refused: Beginning, now: datetime) -> None:
    length, chain = refused
    row = RefusedEdit(owner=owner, conversation=conversation, chain=chain, length=length, created_at=now)
    RefusedEdit.objects.bulk_create([row], ignore_conflicts=True)


def prune(now: datetime, lifetime: timedelta) -> int:
    """Forget what was refused a lifetime ago: the provider may mind no more. Returns how many rows went."""
    return RefusedEdit.objects.filter(created_at__lt=now - lifetime).delete()[0]
