"""What a serving process opens and closes: wiring between the packages, and nothing else."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from typing import cast

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, DatabaseError, close_old_connections, connections, transaction

from budgets import alerts, snapshot
from budgets.balances import Holder
from budgets.rates import Buckets, LocalBuckets, Rate
from budgets.throttle import Throttle
from budgets.till import Till, Unpriced
from headroom import tokens
from headroom_site import workspace
from headroom_site.embedded import Embedded
from headroom_site.observers import Observers
from headroom_site.watch import Watch
from proxy import database, decisions, ids, late, lineage, refused_edits, worker
from proxy.aging import standings
from proxy.conversations import Conversations
from proxy.learning import in_force
from proxy.offload import Offload
from proxy.response_cache import Answers, LocalAnswers
from proxy.retrieval import files, turns
from proxy.window import records
from savings import tallies
from savings.flusher import Flusher
from savings.journal import Journal
from savings.mirror import Mirror
from savings.observability import prometheus
from savings.poller import Poller
from savings.pricing import PriceBook, PricedReceipt

logger = logging.getLogger("headroom.serving")

CHORES_EVERY_S = 600.0
PROGRESS_EVERY_S = 15.0
"""What came of epochs is on pages: as late as other figures there."""
VOCABULARY_AFTER_S = 0.3

_parts: _Parts | None = None


class _Parts:
    """The threads beside the loop."""

    def __init__(self) -> None:
        journals = settings.WORKSPACE_DIR / "journal"
        self.journal = Journal(journals / ids.uuid7(), max_bytes=settings.JOURNAL_MAX_BYTES)
        self.prices = PriceBook()
        holder = Holder(workspace.identity(settings.WORKSPACE_DIR), self.journal.directory.name)
        self.till = Till(
            holder,
            journals,
            self.prices,
            database.run,
            unpriced=cast(Unpriced, settings.UNPRICED),
            workers=settings.WORKERS,
        )
        self.throttle = Throttle(Rate(settings.REQUESTS_PER_MINUTE, settings.TOKENS_PER_MINUTE), _buckets())
        self.counter = tallies.Counter(self.journal.directory.name, _run(), prometheus.refused_here)
        self.flusher = Flusher(self.journal, prices=self.prices, post_balances=self._post, counter=self.counter)
        road = Conversations(offload=Offload(settings.ML_MODEL_DIR, starts_early=True))
        self.worker = worker.Worker(self.journal, self.prices, self.till, self.throttle, _answers(), conversations=road)
        self.observers = Observers()
        self.worker.bodies = self.observers.bodies
        self.unpriced = alerts.Unpriced(self.prices)
        self.watch = Watch(self.journal)
        self.refused = Poller(
            self.worker.refused_edits.refresh,
            name="refused edits",
            interval_s=refused_edits.INTERVAL_S,
            what="refused edits",
            log=logger,
        )
        self.late = Poller(
            road.late.save, name="late decisions", interval_s=late.INTERVAL_S, what="decisions", log=logger
        )
        self.embedded = Embedded() if settings.HAS_EMBEDDED_WORKER else None
        if self.embedded is not None:
            self.worker.is_periodic_work_done = self.embedded.is_working
        self.mirror = Mirror(settings.SAVINGS_PATH) if settings.KEEPS_SAVINGS_FILE else None
        self.stopping = threading.Event()
        self.chores = threading.Thread(target=self._do_chores, name="chores", daemon=True)

    def _post(self, entries: Sequence[PricedReceipt]) -> None:
        self.till.post(entries)
        self.unpriced.post(entries)
        transaction.on_commit(lambda: self._tell(entries))

    def _tell(self, entries: Sequence[PricedReceipt]) -> None:
        self.throttle.post(entries)
        self.observers.tell(entries)

    def _do_chores(self) -> None:
        """Now and then: write down what came of epochs, prolong decisions that were replayed, delete those that nobody used."""
        next_chores_s = time.monotonic() + CHORES_EVERY_S
        while not self.stopping.wait(PROGRESS_EVERY_S):
            self.note_progress()
            if time.monotonic() < next_chores_s:
                continue
            next_chores_s = time.monotonic() + CHORES_EVERY_S
            try:
                now, lifetime = datetime.now(UTC), decisions.lifetime()
                with self.worker.conversations.memory.used() as used:
                    decisions.touch(used, now, lifetime)
                decisions.prune(now, lifetime)
                standings.prune(now)
                records.prune(now, lifetime)
                turns.prune(now, lifetime)
                refused_edits.prune(now, lifetime)
                files.prune(now, lifetime)
                tallies.fold()
            except DatabaseError:
                continue  # the next round does the same work
            finally:
                close_old_connections()

    def note_progress(self) -> None:
        """Write down what came of epochs so far."""
        try:
            with self.worker.conversations.aging.progress() as progress:
                standings.note_progress(progress)
        except DatabaseError as exc:
            logger.info("what came of epochs was not written down: %s", exc)
        finally:
            close_old_connections()


def _run() -> str:
    """What the workers of one server have in common: the secret that its processes inherit."""
    return hashlib.blake2b(multiprocessing.current_process().authkey, digest_size=12).hexdigest()


def _buckets() -> Buckets | None:
    if not settings.RATE_LIMIT_ENABLED:
        return None
    if settings.IS_EMBEDDED or not settings.REDIS_URL:
        return LocalBuckets()
    buckets: Buckets = import_module("budgets.shared_rates").SharedBuckets(settings.REDIS_URL, workers=settings.WORKERS)
    return buckets


def _answers() -> Answers | None:
    if not settings.CACHE_ENABLED:
        return None
    if settings.IS_EMBEDDED or not settings.REDIS_URL:
        return LocalAnswers(settings.CACHE_MAX_ENTRIES, settings.CACHE_TTL_S)
    shared = import_module("proxy.shared_answers").SharedAnswers
    answers: Answers = shared(settings.REDIS_URL, settings.CACHE_MAX_ENTRIES, settings.CACHE_TTL_S)
    return answers


def is_started() -> bool:
    """Whether this process has opened its parts."""
    return _parts is not None


async def start() -> None:
    """Open everything. Runs inside the loop that serves."""
    global _parts
    _parts = _Parts()
    # A worker whose supervisor was killed finishes its streams and goes, as if told to.
    lineage.when_parent_dies(lambda: os.kill(os.getpid(), signal.SIGTERM))
    worker.install(_parts.worker)
    await _parts.worker.pool.open()
    if _parts.worker.answers is not None:
        await _parts.worker.answers.open()
    await asyncio.to_thread(snapshot.start)
    await asyncio.to_thread(in_force.start)
    await asyncio.to_thread(_parts.refused.start)
    await asyncio.to_thread(_parts.late.start)
    _parts.flusher.start()
    _parts.till.start()
    _parts.chores.start()
    _parts.watch.start()
    if _parts.mirror is not None:
        _parts.mirror.start()
    if _parts.embedded is not None:
        _parts.embedded.start()
    # What exists now lives as long as the process: the collector need not walk it again and again.
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(10_000, 20, 50)
    _parts.worker.is_ready = True
    # The vocabulary takes 50 MB, and most of a second in which nothing else runs: best when whoever asked is told that we are
    # ready, and before the first prompt.
    asyncio.get_running_loop().call_later(VOCABULARY_AFTER_S, tokens.load)


async def stop() -> None:
    """Close everything, the journal last: what was settled is in the database when this returns."""
    global _parts
    parts, _parts = _parts, None
    if parts is None:
        return
    parts.worker.is_ready = False
    parts.stopping.set()
    await asyncio.to_thread(parts.watch.stop)
    if parts.embedded is not None:
        await asyncio.to_thread(parts.embedded.stop)
    await parts.worker.pool.close()
    await parts.worker.conversations.close()
    await parts.till.close()
    await asyncio.to_thread(parts.flusher.stop)
    if parts.mirror is not None:
        await asyncio.to_thread(parts.mirror.stop)
    await asyncio.to_thread(parts.note_progress)
    await asyncio.to_thread(_leave, parts.counter)
    parts.journal.close()
    await asyncio.to_thread(parts.observers.close)
    await asyncio.to_thread(parts.till.stop)
    await parts.throttle.close()
    if parts.worker.answers is not None:
        await parts.worker.answers.close()
    await asyncio.to_thread(in_force.stop)
    await asyncio.to_thread(parts.refused.stop)
    await asyncio.to_thread(parts.late.stop)
    await asyncio.to_thread(parts.late.refresh)
    await asyncio.to_thread(snapshot.stop)
    await asyncio.to_thread(database.close)
    await asyncio.to_thread(_close_pool)
    worker.install(None)


def _leave(counter: tallies.Counter) -> None:
    try:
        counter.leave()
    except DatabaseError as exc:
        logger.info("the database was not told that this worker ends: %s", exc)
    finally:
        close_old_connections()


def _close_pool() -> None:
    close = getattr(connections[DEFAULT_DB_ALIAS], "close_pool", None)
    if close is not None:
        close()
