"""The only writer of `FormUse`: what was sent, in the transaction that stores the decision, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Protocol

from django.conf import settings
from django.db.models import F

from headroom.values import ToolCall
from proxy import attribution, files, rows
from proxy.learning.models import FormUse
from proxy.learning.parts import Part
from proxy.retrieval import words
from proxy.values import ToolResult

KEPT_FOR = timedelta(days=14)
"""Sums of a day are final when its rows go; hardly anybody comes back for something that old."""
DROPPED = "dropped"
BATCH = 500


class Made(Protocol):
    """A decision, as far as it matters here."""

    @property
    def level(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def original_hash(self) -> str: ...
    @property
    def tokens_before(self) -> int: ...
    @property
    def tokens_after(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Sent:
    """One form that goes out, as `FormUse` has it."""

    key: str
    hash: str
    tool: str
    form: str
    level: str
    is_file: bool
    tokens_before: int
    tokens_after: int


def of_decisions(made: Mapping[str, Made], results: Mapping[str, ToolResult]) -> list[Sent]:
    """Those decisions that are watched: where something is left out, and files that are shown as a whole."""
    found = []
    for key, one in made.items():
        result = results[key]
        is_file = _is_file(result)
        if result.tool and (is_file or one.original_hash):
            level = DROPPED if one.label == DROPPED else one.level
            found.append(
                Sent(
                    key,
                    one.original_hash,
                    result.tool,
                    one.label,
                    level,
                    is_file,
                    one.tokens_before,
                    one.tokens_after,
                )
            )
    return found


def _is_file(result: ToolResult) -> bool:
    """Whether a file was read as a whole. A kept original is none: nobody edits it, or looks at it again to see what is new."""
    touch = files.touched(result.tool, result.arguments)
    is_whole = touch is not None and touch.act == "read" and touch.is_whole
    return is_whole and not words.is_retrieval(ToolCall(result.tool, result.arguments))


def key_of(owner: str, hash: str, tool: str) -> str:
    """The key of a form that no decision stands behind."""
    return blake2b(f"{tool}:{hash}:{owner}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def note_sent(owner: str, sent: Iterable[Sent], now: datetime) -> None:
    """Note forms that are about to go out; one that is noted already stays. Nothing that was merely observed went out."""
    if settings.OBSERVE:
        return
    noted = [
        FormUse(
            key=one.key,
            owner=owner,
            hash=one.hash,
            tool=attribution.clean(one.tool),
            form=one.form[:80],
            level=one.level,
            is_file=one.is_file,
            tokens_before=one.tokens_before,
            tokens_after=one.tokens_after,
            created_at=now,
        )
        for one in sorted(sent, key=lambda one: one.key)
    ]
    rows.insert(noted, unless="DO NOTHING")


def note_asked(owner: str, hash: str, part: Part) -> None:
    """Note that a part of an original was fetched: the form that went out for it last was not enough."""
    mine = FormUse.objects.filter(owner=owner, hash=hash)
    newest = mine.order_by("-created_at").values_list("created_at", flat=True).first()
    if newest is not None:
        mine.filter(created_at=newest).update(asked=F("asked").bitor(int(part)))


def note_reread(keys: Sequence[str]) -> None:
    """Note that files were read again that went out in these forms."""
    if keys:
        FormUse.objects.filter(key__in=list(keys)).update(was_reread=True)


def prune(now: datetime) -> int:
    """Delete notes that are summed up for good, in short transactions. Returns how many went."""
    until = (now - KEPT_FOR).replace(hour=0, minute=0, second=0, microsecond=0)
    deleted = 0
    while keys := list(FormUse.objects.filter(created_at__lt=until).values_list("key", flat=True)[:BATCH]):
        deleted += FormUse.objects.filter(key__in=keys).delete()[0]
    return deleted
