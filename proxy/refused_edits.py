"""Conversations whose provider refused what we had made of a request and took the client's own: they are left alone.

Once may be a coincidence; the second time in a row it is our edits that it minds. The provider has the client's bytes in its
cache from then on, so later requests are quickest and cheapest as they come; and whatever it minded would be refused once
more at each turn.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, ParamSpec

from django.db import DatabaseError, transaction
from django.db.models import Count, Max

from proxy import database, exchange
from proxy.models import RefusedEdit
from proxy.providers import bodies
from proxy.upstream import Answer
from proxy.values import Call
from proxy.window import records, units

P = ParamSpec("P")

logger = logging.getLogger(__name__)

INTERVAL_S = 2.0
MAX_KNOWN = 20_000
MAX_REFUSED = 20
"""Of all that goes by one name; each is looked for in every request of it."""
LEFT_ALONE_FROM = 2
"""So many refusals in a row are no coincidence."""

MAX_START_BYTES = 4096
_ID = re.compile(rb'"id"\s*:\s*"(resp[\w-]{1,200})"')
"""How Responses name their answers, streamed or not: nearly the first that they say."""

Name = tuple[str, str]
"""Whose conversation, and how it is called."""
Beginning = tuple[int, str]
"""The number of messages that a refused request had, and their digest."""
ALL: Beginning = (0, "")
"""Whatever goes on from what the provider keeps."""


class RefusedEdits:
    """The requests of which an edit was refused, by any worker: in memory, as they were two seconds ago at most."""

    def __init__(self) -> None:
        self._known: dict[Name, dict[Beginning, int]] = {}
        self._revision = (0, 0)

    def refresh(self) -> None:
        """Look at what was noted, if that has changed. Runs queries; for a thread in which nobody waits."""
        revision = _revision()
        if revision != self._revision:
            self._known, self._revision = _load(), revision

    def has(self, call: Call, owner: str) -> bool:
        """Whether a request goes on from one that was refused when it was edited, for the second time in a row. No I/O.

        That very request, sent again, begins anew: many conversations may open with the same words."""
        return any(
            in_a_row >= LEFT_ALONE_FROM and (beginning == ALL or beginning[0] < len(_messages(call)))
            for beginning, in_a_row in self._found(call, owner).items()
        )

    async def note(self, call: Call, owner: str, answer: Answer) -> None:
        """Remember that the provider took a request as the client sent it, after it had refused it edited: what goes on from
        it, or from its answer, names either."""
        in_a_row = max(self._found(call, owner).values(), default=0) + 1
        messages = _messages(call)
        if call.conversation and messages and not call.is_continued:
            refused = (len(messages), records.digest(messages))
            await self._note((owner, call.conversation), refused, in_a_row)
        if name := _kept_name(call, await _id(answer) if "input" in (call.document or {}) else ""):
            await self._note((owner, name), ALL, in_a_row)

    async def forget(self, call: Call, owner: str) -> None:
        """Take note that the provider took an edited request: what it had refused before that was a coincidence."""
        for beginning in list(self._found(call, owner)):
            name = owner, _kept_name(call) if beginning == ALL else call.conversation
            self._known.get(name, {}).pop(beginning, None)
            await _stored(_delete, name, beginning)

    async def _note(self, name: Name, refused: Beginning, in_a_row: int) -> None:
        in_a_row = min(in_a_row, LEFT_ALONE_FROM)
        await _stored(_store, name, refused, in_a_row, datetime.now(UTC))
        known = self._known.setdefault(name, {})
        known[refused] = in_a_row
        if len(known) > MAX_REFUSED:
            del known[min(known)]
        if len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]

    def _found(self, call: Call, owner: str) -> dict[Beginning, int]:
        """What is known of what a request goes on from, or of itself: how often in a row it was refused."""
        if call.is_continued:
            return self._known.get((owner, _kept_name(call)), {})
        known = self._known.get((owner, call.conversation))
        if not known:
            return {}
        messages = _messages(call)
        return {
            one: in_a_row
            for one, in_a_row in known.items()
            if one[0] <= len(messages) and records.digest(messages[: one[0]]) == one[1]
        }


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


def _messages(call: Call) -> list[Any]:
    return bodies.items((call.document or {}).get(units.where(call)))


# In the database.


async def _stored(job: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    """Write down what is known, if the database is there."""
    try:
        await database.run(job, *args, **kwargs)
    except (DatabaseError, TimeoutError):
        logger.warning("what a provider makes of edits could not be stored; only this worker knows")


def _revision() -> tuple[int, int]:
    """What is another one whenever a row came or went."""
    found = RefusedEdit.objects.aggregate(newest=Max("id"), count=Count("id"))
    return found["newest"] or 0, found["count"]


def _load() -> dict[Name, dict[Beginning, int]]:
    known: dict[Name, dict[Beginning, int]] = {}
    newest = RefusedEdit.objects.order_by("-id").values_list("owner", "conversation", "length", "chain", "in_a_row")
    for owner, conversation, length, chain, in_a_row in newest[:MAX_KNOWN]:
        of_name = known.setdefault((owner, conversation), {})
        if len(of_name) < MAX_REFUSED:
            of_name[length, chain] = in_a_row
    return known


def _store(name: Name, refused: Beginning, in_a_row: int, now: datetime) -> None:
    """Write a refusal down anew: other workers look at new rows."""
    (owner, conversation), (length, chain) = name, refused
    row = RefusedEdit(
        owner=owner, conversation=conversation, chain=chain, length=length, in_a_row=in_a_row, created_at=now
    )
    with transaction.atomic():
        _delete(name, refused)
        RefusedEdit.objects.bulk_create([row], ignore_conflicts=True)


def _delete(name: Name, refused: Beginning) -> None:
    owner, conversation = name
    RefusedEdit.objects.filter(owner=owner, conversation=conversation, chain=refused[1]).delete()


def prune(now: datetime, lifetime: timedelta) -> int:
    """Forget what was refused a lifetime ago: the provider may mind no more. Returns how many rows went."""
    return RefusedEdit.objects.filter(created_at__lt=now - lifetime).delete()[0]
