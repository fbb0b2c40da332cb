"""Where decisions and epochs outlive the process: the database, or nowhere."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from django.conf import settings
from django.db import DatabaseError

from proxy import database, decisions
from proxy.aging import standings
from proxy.aging.pasts import EpochStore, Past
from proxy.aging.values import Beginning, Begun, Held
from proxy.decisions import Batch, Decided
from proxy.learning import uses
from proxy.retrieval import files, lookup

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Saved:
    """The decisions that hold now: those of the batch if `are_ours`, else only those that were made before; and the epochs
    that others began, as far as they were not known."""

    held: dict[str, Decided]
    are_ours: bool = True
    news: tuple[Begun, ...] = ()


class Store(EpochStore, Protocol):
    """Decisions and epochs. Every method may raise DatabaseError or TimeoutError."""

    async def save(self, batch: Batch) -> dict[str, Decided]:
        """Store decisions with their originals and return those that hold now: of each the first writer's."""

    async def save_new(self, batch: Batch, reread: Sequence[str] = (), past: Past | None = None) -> Saved:
        """Store decisions about what is new, which were made of one another, with their originals. If some were made
        before, store nothing: the rest has to be decided with them in view. `reread` are the keys of earlier forms whose
        files the new results show once more; the decisions go by what is in force in `past`, and by what began since."""

    def save_late(self, batch: Batch) -> dict[str, Decided]:
        """The same as `save`, for a thread in which nobody waits."""

    async def settled(self) -> None:
        """Wait for what is still being stored."""


class DatabaseStore:
    """The store that all workers share."""

    async def load(self, keys: list[str]) -> dict[str, Decided]:
        return await database.run(decisions.load, keys)

    async def settled(self) -> None:
        pass

    async def save(self, batch: Batch) -> dict[str, Decided]:
        return await database.run(_save, batch)

    def save_late(self, batch: Batch) -> dict[str, Decided]:
        return _save(batch)

    async def save_new(self, batch: Batch, reread: Sequence[str] = (), past: Past | None = None) -> Saved:
        return await database.run(_save_new, batch, reread, past)

    async def load_epochs(self, past: Past) -> list[Begun]:
        return await database.run(standings.load, past)

    async def news(self, past: Past) -> list[Begun]:
        return await database.run(standings.news, past)

    async def save_epoch(self, owner: str, beginning: Beginning) -> Held:
        return await database.run(standings.store, owner, beginning, datetime.now(UTC), decisions.lifetime())


class SoleStore(DatabaseStore):
    """The store of the only worker there is, whom nobody can be ahead of.

    Decisions that leave nothing out are stored while the provider is at work. If the process is killed in that moment, the
    client asks again, and the same is decided again.
    """

    def __init__(self) -> None:
        self._saving: set[asyncio.Task[None]] = set()

    async def news(self, past: Past) -> list[Begun]:
        return []

    async def save_new(self, batch: Batch, reread: Sequence[str] = (), past: Past | None = None) -> Saved:
        if any(decided.original_hash for decided in batch.made.values()):
            return await super().save_new(batch, reread, past)
        batch = under(batch, past)
        task = asyncio.get_running_loop().create_task(self._save_behind(batch, reread))
        self._saving.add(task)
        task.add_done_callback(self._saving.discard)
        return Saved(batch.made)

    async def settled(self) -> None:
        # Whatever failed, the server that stops has more to close.
        await asyncio.gather(*self._saving, return_exceptions=True)

    async def _save_behind(self, batch: Batch, reread: Sequence[str]) -> None:
        try:
            await super().save_new(batch, reread)
        except (DatabaseError, TimeoutError):
            logger.warning("the decision store is down; what it should have kept is only remembered")


def _save(batch: Batch) -> dict[str, Decided]:
    return decisions.store(_with_files(batch), datetime.now(UTC), decisions.lifetime())


def _save_new(batch: Batch, reread: Sequence[str], past: Past | None) -> Saved:
    now = datetime.now(UTC)
    news = _news(past)
    batch = under(_with_files(batch), past, news)
    if earlier := decisions.store_all(batch, now, decisions.lifetime()):
        return Saved(earlier, are_ours=False, news=news)
    uses.note_reread(reread)
    lookup.note_reads(batch.owner, batch.results.values(), now)
    return Saved(batch.made, news=news)


def _news(past: Past | None) -> tuple[Begun, ...]:
    return tuple(standings.news(past)) if past is not None and not past.is_beginning else ()


def under(batch: Batch, past: Past | None, news: Sequence[Begun] = ()) -> Batch:
    """The batch with the number of the epoch that its decisions are made under."""
    begun = past.in_force(news) if past is not None else None
    if begun is None:
        return batch
    return replace(batch, made={key: replace(made, epoch=begun.number) for key, made in batch.made.items()})


def _with_files(batch: Batch) -> Batch:
    """The batch once its originals are written to the workspace, where they are to be: without what could not be."""
    return replace(batch, made=files.written(batch.owner, batch.made, batch.results))


class ObservedStore(DatabaseStore):
    """Shared too, for plans that are made and not carried out: sizes alone, under a name that no real plan looks under.

    When plans are carried out one day, nothing of this is known: what was seen so far stays as it is. Whoever made a form
    has its text back, for as long as its memory lasts: what is output again is compared with it.
    """

    async def save_new(self, batch: Batch, reread: Sequence[str] = (), past: Past | None = None) -> Saved:
        return await database.run(_save_sizes, batch, past)

    def save_late(self, batch: Batch) -> dict[str, Decided]:
        return {}

    async def save_epoch(self, owner: str, beginning: Beginning) -> Held:
        deep = tuple((key, result, _without_text(decided)) for key, result, decided in beginning.deep)
        held = await super().save_epoch(owner, replace(beginning, deep=deep))
        sizes = {key: decided for key, _, decided in deep}
        return replace(held, forms=_with_text(held.forms, sizes, {key: decided for key, _, decided in beginning.deep}))


def _save_sizes(batch: Batch, past: Past | None) -> Saved:
    news = _news(past)
    batch = under(batch, past, news)
    # Whether something was left out is kept: only what is whole can be referred to by what is nearly the same.
    sizes = {
        key: replace(_without_text(decided), original_hash=decided.original_hash) for key, decided in batch.made.items()
    }
    sized = replace(batch, made=sizes)
    earlier = decisions.store_all(sized, datetime.now(UTC), decisions.lifetime(), has_originals=False)
    if earlier:
        return Saved(_with_text(earlier, sizes, batch.made), are_ours=False, news=news)
    return Saved(batch.made, news=news)


def _with_text(held: dict[str, Decided], sizes: dict[str, Decided], made: dict[str, Decided]) -> dict[str, Decided]:
    """What holds now, with the texts of those that are ours."""
    return {key: made[key] if decided == sizes.get(key) else decided for key, decided in held.items()}


def _without_text(decided: Decided) -> Decided:
    if decided.form is None:
        return replace(decided, original_hash="")
    lines = [f"{decided.label}: {decided.tokens_after} tokens"]
    if decided.tells_way_back:  # later markers need not
        lines.append(decided.form.rstrip().rpartition("\n")[2])
    return replace(decided, form="\n".join(lines), original_hash="")


def usual_store() -> Store:
    """The store that the settings ask for."""
    if settings.OBSERVE:
        return ObservedStore()
    return SoleStore() if settings.IS_EMBEDDED else DatabaseStore()


class NoStore:
    """Remembers nothing beyond the process: for replays of recorded sessions."""

    _epochs = 0

    def save_late(self, batch: Batch) -> dict[str, Decided]:
        return {}

    async def settled(self) -> None:
        pass

    async def load(self, keys: list[str]) -> dict[str, Decided]:
        return {}

    async def save(self, batch: Batch) -> dict[str, Decided]:
        return batch.made

    async def save_new(self, batch: Batch, reread: Sequence[str] = (), past: Past | None = None) -> Saved:
        return Saved(under(batch, past).made)

    async def load_epochs(self, past: Past) -> list[Begun]:
        return []

    async def news(self, past: Past) -> list[Begun]:
        return []

    async def save_epoch(self, owner: str, beginning: Beginning) -> Held:
        self._epochs += 1
        forms = {key: made for key, _, made in beginning.deep}
        return Held(beginning.begun(self._epochs), forms)
