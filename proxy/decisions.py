"""Decisions about tool results: made once, stored before they are sent, replayed for ever after.

A provider's prompt cache is keyed by bytes. A block that was once sent in some form must go out in that very form every
turn, on every worker, after every restart and deploy. So the stored form wins over whatever we would choose today.
"""

from __future__ import annotations

import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import blake2b, sha256
from typing import Any, Literal, cast

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from headroom import pipeline
from headroom.values import ENGINE_VERSION, Level, Policy, Shrunk
from proxy import attribution, rows
from proxy.learning import uses
from proxy.models import Decision, Original
from proxy.values import ToolResult

MAX_CACHED_BYTES = 32 * 1024 * 1024
ENTRY_OVERHEAD_BYTES = 400
MAX_KEYS = 8192
"""So many identities are remembered that follow from others; a long conversation asks for hundreds, turn after turn."""
NAME_LIFETIME = timedelta(days=30)
"""How long it is known of an expired original that there was one."""
ZLIB_LEVEL = 3
"""Agents wait for it: twice as fast as the usual level, for a tenth to a fifth more bytes."""


FormLevel = Level | Literal["whole"]
"""How far a form goes; `whole` is the text as it came."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What goes out for one tool result: `form`, or the text itself when that is `None`.

    A form that says "as above" holds only while the result or call with the key `refers_to` stands above it in full view.
    `level` says how far the form goes, `policy_version` which rules it was made by, and `epoch` which epoch of its
    conversation was in force then (0: none).
    """

    form: str | None
    label: str
    reason: str
    tokens_before: int
    tokens_after: int
    original_hash: str = ""
    refers_to: str = ""
    level: FormLevel = "lossless"
    policy_version: int = 1
    epoch: int = 0

    @property
    def tokens_saved(self) -> int:
        """How many tokens shorter a prompt is with it."""
        return self.tokens_before - self.tokens_after

    @property
    def tells_way_back(self) -> bool:
        """Whether its marker says how originals can be had."""
        return bool(self.original_hash) and pipeline.tells_way_back(self.form or "")

    @classmethod
    def from_shrunk(cls, shrunk: Shrunk, policy: Policy) -> Decided:
        """The decision that an outcome of the engine amounts to."""
        if not shrunk.is_changed:
            before = shrunk.tokens_before
            return cls(None, shrunk.form, shrunk.reason, before, before, level="whole", policy_version=policy.version)
        return cls(
            shrunk.text,
            shrunk.form,
            shrunk.reason,
            shrunk.tokens_before,
            shrunk.tokens_after,
            shrunk.original_hash,
            level=pipeline.form_level(shrunk),
            policy_version=policy.version,
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """Decisions that are made at once: whose, by their keys, the results that they are about, and in which conversation."""

    owner: str
    made: dict[str, Decided]
    results: dict[str, ToolResult]
    conversation: str = ""


def key_of(owner: str, result: ToolResult) -> str:
    """The identity of a tool result: whose it is, which call it answers with which arguments, and every byte of it."""
    beside = owner, result.tool, result.call_id, result.arguments
    key = result.known.get(beside)
    if key is None:
        digest = sha256()
        for part in (*beside, result.text):
            encoded = part.encode("utf-8", "surrogatepass")
            digest.update(b"%d:" % len(encoded))
            digest.update(encoded)
        key = result.known[beside] = digest.hexdigest()[:32]
    return key


@lru_cache(maxsize=MAX_KEYS)
def alone_key(key: str) -> str:
    """The identity of what the tool result with this key goes out as when the copy that it refers to is out of view."""
    return blake2b(b"alone" + key.encode("ascii"), digest_size=16).hexdigest()


def call_key(owner: str, result: ToolResult) -> str:
    """The identity of the call that a tool result answers, with all that it says."""
    beside = "call", owner, result.tool, result.call_id, result.arguments
    if beside not in result.known:
        result.known[beside] = blake2b("\0".join(beside).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return result.known[beside]


@lru_cache(maxsize=MAX_KEYS)
def deep_key(key: str) -> str:
    """The identity of the deep form of the tool result with this key."""
    return blake2b(b"deep" + key.encode("ascii"), digest_size=16).hexdigest()


@lru_cache(maxsize=MAX_KEYS)
def buried_key(key: str) -> str:
    """The identity of what is left of the tool result with this key when it is very old."""
    return blake2b(b"buried" + key.encode("ascii"), digest_size=16).hexdigest()


def window_key(key: str) -> str:
    """The identity of the form that the tool result with this key takes when the context window is full."""
    return blake2b(b"window" + key.encode("ascii"), digest_size=16).hexdigest()


class Memory:
    """The decisions of recent conversations in this process, bounded in bytes. `None` is "nobody decided"."""

    def __init__(self, max_bytes: int = MAX_CACHED_BYTES) -> None:
        self._entries: OrderedDict[str, Decided | None] = OrderedDict()
        self._max_bytes = max_bytes
        self._bytes = 0
        self._used: set[str] = set()
        self._lock = threading.Lock()

    def find(self, keys: Iterable[str]) -> dict[str, Decided | None]:
        """What is remembered under these keys, and a note that it was used."""
        found: dict[str, Decided | None] = {}
        with self._lock:
            for key in keys:
                if key in self._entries:
                    self._entries.move_to_end(key)
                    decided = found[key] = self._entries[key]
                    if decided is not None:
                        self._used.add(key)
        return found

    def put(self, key: str, decided: Decided | None) -> None:
        with self._lock:
            self._bytes += _size(decided) - (_size(self._entries[key]) if key in self._entries else 0)
            self._entries[key] = decided
            self._entries.move_to_end(key)
            while self._bytes > self._max_bytes:
                _, evicted = self._entries.popitem(last=False)
                self._bytes -= _size(evicted)

    @contextmanager
    def used(self) -> Iterator[list[str]]:
        """The keys that were replayed since the last time, in order. If they cannot be prolonged, they are told again."""
        with self._lock:
            used, self._used = self._used, set()
        try:
            yield sorted(used)
        except BaseException:
            with self._lock:
                self._used |= used
            raise

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self._used.clear()
            self._bytes = 0


def _size(decided: Decided | None) -> int:
    return ENTRY_OVERHEAD_BYTES + (4 * len(decided.form) if decided is not None and decided.form else 0)


def lifetime() -> timedelta:
    """How long decisions and originals outlive their last use."""
    return timedelta(seconds=settings.DECISION_LIFETIME_S)


def load(keys: Iterable[str]) -> dict[str, Decided]:
    """The stored decisions among these keys."""
    found = Decision.objects.filter(key__in=list(keys))
    return {
        row.key: Decided(
            unpack(row.form) if row.form is not None else None,
            row.label,
            row.reason,
            row.tokens_before,
            row.tokens_after,
            row.original_hash,
            row.refers_to,
            cast(FormLevel, row.level),
            row.policy_version,
            row.epoch,
        )
        for row in found
    }


def store(batch: Batch, now: datetime, lifetime: timedelta) -> dict[str, Decided]:
    """Store new decisions with the originals behind them, in one transaction; whoever was first is right.

    Returns the decisions that hold now: ours, or another worker's that was quicker.
    """
    with transaction.atomic():
        _keep(batch, now, lifetime)
        Decision.objects.bulk_create(_rows(batch, now), ignore_conflicts=True)
    return load(batch.made)


def store_all(batch: Batch, now: datetime, lifetime: timedelta, *, has_originals: bool = True) -> dict[str, Decided]:
    """Store decisions that were made of one another, as `store` does, if none of them was made before: all of them or none.

    Returns those that were made before: what else there is has to be decided with them in view.
    """
    try:
        with transaction.atomic():
            if alone := _alone_keys(batch.made):  # if there is one, the decision that it stood beside was pruned first
                rows.delete(Decision, alone)
            rows.insert(_rows(batch, now))
            _keep(batch, now, lifetime, has_originals=has_originals)
    except IntegrityError:
        if earlier := load(batch.made):
            return earlier
        raise
    return {}


def _keep(batch: Batch, now: datetime, lifetime: timedelta, *, has_originals: bool = True) -> None:
    """Keep what stands beside decisions: originals, and notes of what is sent."""
    if has_originals:
        kept = [_kept(batch.results[key], made) for key, made in batch.made.items() if made.original_hash]
        keep_originals(batch.owner, kept, now, lifetime)
    alone = _alone_keys(batch.made)
    sent = {key: made for key, made in batch.made.items() if key not in alone}
    uses.note_sent(batch.owner, uses.of_decisions(sent, batch.results), now)


def _alone_keys(decided: Mapping[str, Decided]) -> set[str]:
    """The identities among these that stand beside a decision, for when the copy that it refers to is out of view."""
    return {alone_key(key) for key, made in decided.items() if made.refers_to}


def _rows(batch: Batch, now: datetime) -> list[Decision]:
    return [
        Decision(
            key=key,
            form=pack(made.form) if made.form is not None else None,
            label=made.label[:80],
            reason=made.reason[:80],
            tokens_before=made.tokens_before,
            tokens_after=made.tokens_after,
            original_hash=made.original_hash,
            refers_to=made.refers_to,
            level=made.level,
            policy_version=made.policy_version,
            epoch=made.epoch,
            engine_version=ENGINE_VERSION,
            conversation=batch.conversation,
            created_at=now,
            used_at=now,
        )
        # In order: workers that decide on the same results at once would wait for each other otherwise.
        for key, made in sorted(batch.made.items())
    ]


def pack(text: str) -> bytes:
    """Text of any kind, NULs and lone surrogates included, as the database keeps it."""
    return zlib.compress(text.encode("utf-8", "surrogatepass"), ZLIB_LEVEL)


def unpack(stored: bytes | memoryview) -> str:
    """The text that `pack` was given."""
    return zlib.decompress(stored).decode("utf-8", "surrogatepass")


def _kept(result: ToolResult, made: Decided) -> Kept:
    lines = (made.form or "").count("\n") + 1
    return Kept(made.original_hash, result.text, result.tool, made.tokens_before, made.tokens_after, lines)


@dataclass(frozen=True, slots=True)
class Kept:
    """An original to keep, and how much of it was sent instead."""

    hash: str
    text: str
    tool: str
    tokens: int
    tokens_sent: int
    lines_sent: int


def keep_originals(owner: str, originals: Iterable[Kept], now: datetime, lifetime: timedelta) -> None:
    """Store originals for their owner; one that is there already lives on."""
    rows.insert(
        [
            Original(
                owner=owner,
                hash=kept.hash,
                content=pack(kept.text),
                tokens=kept.tokens,
                tokens_sent=kept.tokens_sent,
                lines_sent=kept.lines_sent,
                tool=attribution.clean(kept.tool),
                created_at=now,
                expires_at=now + lifetime,
            )
            for _, kept in sorted({kept.hash: kept for kept in originals}.items())
        ],
        unless="(owner, hash) DO UPDATE SET content = excluded.content, expires_at = excluded.expires_at",
    )


def touch(keys: list[str], now: datetime, lifetime: timedelta) -> None:
    """Prolong decisions that were replayed, and the originals that their markers name."""
    for start in range(0, len(keys), 500):
        batch = Decision.objects.filter(key__in=keys[start : start + 500])
        hashes = [h for h in batch.values_list("original_hash", flat=True) if h]
        batch.update(used_at=now)
        Original.objects.filter(hash__in=hashes).exclude(content=b"").update(expires_at=now + lifetime)


def prune(now: datetime, lifetime: timedelta) -> int:
    """Delete what nobody used for a lifetime, in short transactions. Returns how many texts went.

    Of an original its name stays a while, so that whoever comes too late learns when it expired.
    """
    expired = Original.objects.filter(expires_at__lt=now)
    deleted = 0
    while keys := _batch(Decision.objects.filter(used_at__lt=now - lifetime), "key"):
        deleted += Decision.objects.filter(key__in=keys).delete()[0]
    while texts := _batch(expired.exclude(content=b""), "id"):
        deleted += Original.objects.filter(id__in=texts).update(content=b"")
    while names := _batch(expired.filter(expires_at__lt=now - NAME_LIFETIME), "id"):
        Original.objects.filter(id__in=names).delete()
    return deleted


def _batch(rows: QuerySet[Any], key: str) -> list[Any]:
    return list(rows.values_list(key, flat=True)[:500])
