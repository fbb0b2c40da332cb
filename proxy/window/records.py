"""What was taken out of conversations, in the database: found again by how a conversation begins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

import orjson
from django.db import transaction

from proxy import decisions
from proxy.decisions import Kept
from proxy.learning import uses
from proxy.learning.uses import Sent
from proxy.models import Original, WindowRecord
from proxy.providers import bodies
from proxy.retrieval import files, words
from proxy.values import Call
from proxy.window import units

ROOT_MESSAGES = 3
MAX_RECORDS = 20
TOUCH_AFTER = timedelta(hours=1)
MARKED_LEVELS = 3
"""Cache marks stand on the blocks of a message, on those of a tool's result, and on those of a page in it. No deeper: clients
nest what they like."""


@dataclass(frozen=True, slots=True)
class Record:
    """Cuts as (start, end, marker), and results in a deeper form by key, for what begins with `length` known messages."""

    chain: str
    length: int
    cuts: tuple[tuple[int, int, str], ...] = ()
    deepened: frozenset[str] = frozenset()


def digest(messages: Sequence[Any]) -> str:
    """The identity of messages, wherever the client's cache marks stand at the moment."""
    hashed = blake2b(digest_size=16)
    for message in messages:
        try:
            spelled = orjson.dumps(_unmarked(message))
        except (TypeError, ValueError):
            spelled = bodies.dumped(_unmarked(message)).encode("utf-8", "surrogatepass")
        hashed.update(b"%d:" % len(spelled))
        hashed.update(spelled)
    return hashed.hexdigest()


def _unmarked(message: Any) -> Any:
    return (
        {**message, "content": _plain(message["content"])}
        if isinstance(message, dict) and "content" in message
        else message
    )


def _plain(content: Any, levels: int = MARKED_LEVELS) -> Any:
    """Content without cache marks, and as a string where it is nothing but one text: to mark a text, clients make a block
    of it, and a string again when the mark has moved on."""
    if not levels or not isinstance(content, list):
        return content
    blocks = [_bare(block, levels - 1) if isinstance(block, dict) else block for block in content]
    if len(blocks) == 1 and isinstance(blocks[0], dict) and blocks[0].keys() == {"type", "text"}:
        return blocks[0]["text"]
    return blocks


def _bare(block: dict[str, Any], levels: int) -> dict[str, Any]:
    bare = {key: value for key, value in block.items() if key != "cache_control"}
    return {**bare, "content": _plain(bare["content"], levels)} if "content" in bare else bare


def root(call: Call) -> str:
    """What records of a conversation are found by."""
    key, history = units.where(call), call.history
    if history is not None and history.key == key:
        return history.told_of_first(ROOT_MESSAGES, digest)
    return digest(bodies.items((call.document or {}).get(key))[:ROOT_MESSAGES])


def load(owner: str, root: str, now: datetime) -> list[Record]:
    """The records of conversations that begin like this, newest first. They live on."""
    mine = WindowRecord.objects.filter(owner=owner, root=root)
    rows = list(mine.order_by("-id")[:MAX_RECORDS])
    if any(row.used_at < now - TOUCH_AFTER for row in rows):
        mine.update(used_at=now)
        named = [hash for row in rows for _, _, marker in row.cuts for hash in words.hashes(marker)]
        Original.objects.filter(owner=owner, hash__in=named, expires_at__gt=now).update(
            expires_at=now + decisions.lifetime()
        )
    return [
        Record(
            row.chain, row.length, tuple((a, b, marker) for a, b, marker in row.cuts), frozenset(row.deepened.split())
        )
        for row in rows
    ]


def store(
    owner: str, root: str, record: Record, originals: Iterable[Kept], figures: tuple[str, int, int], now: datetime
) -> Record:
    """Store a record with the originals of what is cut, and return it as it holds: with the route in a marker whose file
    cannot be written. `figures` are what triggered it, and the tokens before and after."""
    trigger, before, after = figures
    kept = list(originals)
    cuts = record.cuts
    for original in kept:
        by_file, by_route = words.by_file(owner, original.hash), words.by_route(original.hash)
        if not any(by_file in marker for _, _, marker in cuts):
            continue
        try:
            files.write(owner, original.hash, original.text)
        except OSError:
            cuts = tuple((a, b, marker.replace(by_file, by_route)) for a, b, marker in cuts)
    held = Record(record.chain, record.length, cuts, record.deepened)
    with transaction.atomic():
        decisions.keep_originals(owner, kept, now, decisions.lifetime())
        uses.note_sent(owner, (one for original in kept for one in _dropped(owner, original)), now)
        WindowRecord.objects.create(
            owner=owner,
            root=root,
            chain=held.chain,
            length=held.length,
            cuts=[list(cut) for cut in held.cuts],
            deepened=" ".join(sorted(held.deepened)),
            trigger=trigger,
            tokens_before=before,
            tokens_after=after,
            created_at=now,
            used_at=now,
        )
    return held


def _dropped(owner: str, original: Kept) -> list[Sent]:
    """What went, for each tool whose results were in it."""
    return [
        Sent(
            key=uses.key_of(owner, original.hash, tool),
            hash=original.hash,
            tool=tool,
            form=uses.DROPPED,
            level=uses.DROPPED,
            is_file=False,
            tokens_before=original.tokens,
            tokens_after=original.tokens_sent,
        )
        for tool in original.tool.split()
    ]


def prune(now: datetime, lifetime: timedelta) -> int:
    """Delete records that nobody used for a lifetime. Returns how many went."""
    return WindowRecord.objects.filter(used_at__lt=now - lifetime).delete()[0]
