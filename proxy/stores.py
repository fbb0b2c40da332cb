"""Where decisions and epochs outlive the process: the database, or nowhere."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from django.conf import settings
from django.db import DatabaseError

from proxy import database, decisions
from proxy.aging import standings
from proxy.aging.values import Beginning, EpochStore, Held, Standing
from proxy.decisions import Batch, Decided
from proxy.learning import uses
from proxy.retrieval import files, lookup

logger = logging.getLogger(__name__)


class Store(EpochStore, Protocol):
    """Decisions and epochs. Every method may raise DatabaseError or TimeoutError."""

    async def save(self, batch: Batch) -> dict[str, Decided]:
        """Store decisions with their originals and return those that hold now: of each the first writer's."""

    async def save_new(self, batch: Batch, reread: Sequence[str] = ()) -> dict[str, Decided]:
        """Store decisions about what is new, which were made of one another, with their originals and return them. If some
        were made before, store nothing and return only those: the rest has to be decided with them in view. `reread` are
        the keys of earlier forms whose files the new results show once more."""

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

    async def save_new(self, batch: Batch, reread: Sequence[str] = ()) -> dict[str, Decided]:
        return await database.run(_save_new, batch, reread)

    async def load_standing(self, owner: str, chains: list[str], turns: int) -> Standing | None:
        return await database.run(standings.load, owner, chains, turns)

    async def save_epoch(self, owner: str, beginning: Beginning) -> Held:
        return await database.run(standings.store, owner, beginning, datetime.now(UTC), decisions.lifetime())


class SoleStore(DatabaseStore):
    """The store of the only worker there is, whom nobody can be ahead of.

    Decisions that leave nothing out are stored while the provider is at work. If the process is killed in that moment, the
    client asks again, and the same is decided again.
    """

    def __init__(self) -> None:
        self._saving: set[asyncio.Task[None]] = set()

    async def save_new(self, batch: Batch, reread: Sequence[str] = ()) -> dict[str, Decided]:
        if any(decided.original_hash for decided in batch.made.values()):
            return await super().save_new(batch, reread)
        task = asyncio.get_running_loop().create_task(self._save_behind(batch, reread))
        self._saving.add(task)
        task.add_done_callback(self._saving.discard)
        return batch.made

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


def _save_new(batch: Batch, reread: Sequence[str]) -> dict[str, Decided]:
    now, batch = datetime.now(UTC), _with_files(batch)
    if earlier := decisions.store_all(batch, now, decisions.lifetime()):
        return earlier
    uses.note_reread(reread)
    lookup.note_reads(batch.owner, batch.results.values(), now)
    return batch.made


def _with_files(batch: Batch) -> Batch:
    """The batch once its originals are written to the workspace, where they are to be: without what could not be."""
    return replace(batch, made=files.written(batch.owner, batch.made, batch.results))


class ObservedStore(DatabaseStore):
    """Shared too, for plans that are made and not carried out: sizes alone, under a name that no real plan looks under.

    When plans are carried out one day, nothing of this is known: what was seen so far stays as it is. Whoever made a form
    has its text back, for as long as its memory lasts: what is output again is compared with it.
    """

    async def save_new(self, batch: Batch, reread: Sequence[str] = ()) -> dict[str, Decided]:
        # Whether something was left out is kept: only what is whole can be referred to by what is nearly the same.
        sizes = {
            key: replace(_without_text(decided), original_hash=decided.original_hash)
            for key, decided in batch.made.items()
        }
        now, lifetime = datetime.now(UTC), decisions.lifetime()
        sized = replace(batch, made=sizes)
        earlier = await database.run(decisions.store_all, sized, now, lifetime, has_originals=False)
        return _with_text(earlier, sizes, batch.made) if earlier else batch.made

    async def save_epoch(self, owner: str, beginning: Beginning) -> Held:
        deep = tuple((key, result, _without_text(decided)) for key, result, decided in beginning.deep)
        held = await super().save_epoch(owner, replace(beginning, deep=deep))
        sizes = {key: decided for key, _, decided in deep}
        return replace(held, forms=_with_text(held.forms, sizes, {key: decided for key, _, decided in beginning.deep}))


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

    async def settled(self) -> None:
        pass

    async def load(self, keys: list[str]) -> dict[str, Decided]:
        return {}

    async def save(self, batch: Batch) -> dict[str, Decided]:
        return batch.made

    async def save_new(self, batch: Batch, reread: Sequence[str] = ()) -> dict[str, Decided]:
        return batch.made

    async def load_standing(self, owner: str, chains: list[str], turns: int) -> Standing | None:
        return None

    async def save_epoch(self, owner: str, beginning: Beginning) -> Held:
        forms = {key: made for key, _, made in beginning.deep}
        after = beginning.standing
        return Held(after.deepened, after.buried, after.mark_key, forms)
