"""Conversations whose provider refused what we had made of a request and took the client's own: they are left alone.

The provider has the client's bytes in its cache from then on, so later requests are quickest and cheapest as they come;
and whatever it minded would be refused once more at each turn.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.db import DatabaseError

from proxy import database
from proxy.models import RefusedEdit
from proxy.providers import bodies
from proxy.values import Call
from proxy.window import records, units

logger = logging.getLogger(__name__)

MAX_KNOWN = 20_000
MAX_REFUSED = 20
"""Of all that goes by one name; each is looked for in every request of it."""

Beginning = tuple[int, str]
"""The number of messages that a refused request had, and their digest."""


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

    async def note(self, call: Call, owner: str) -> None:
        """Remember that the provider took a request as the client sent it, after it had refused it edited."""
        messages = bodies.items((call.document or {}).get(units.where(call)))
        if not call.conversation or not messages:
            return
        refused = len(messages), records.digest(messages)
        known = self._known.get((owner, call.conversation), _Known(call.turns))
        known.refused.add(refused)
        if len(known.refused) > MAX_REFUSED:
            known.refused.remove(min(known.refused))
        self._remember((owner, call.conversation), known)
        try:
            await database.run(_store, owner, call.conversation, refused, datetime.now(UTC))
        except (DatabaseError, TimeoutError):
            logger.warning("that an edit was refused could not be stored; only this worker knows")

    def _remember(self, name: tuple[str, str], known: _Known) -> None:
        self._known[name] = known
        self._known.move_to_end(name)
        while len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)


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
