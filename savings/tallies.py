"""The only writer of tallies and checkpoints: what each worker records is counted in the transaction that records it.

So live figures and lifetime totals are at every moment what the ledger says, whoever was killed, and cost no scan.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from django.db import connection, transaction
from django.db.models.functions import Now

from savings import tally_sql
from savings.lists_sql import listed
from savings.models import ServingWorker, Tally, TallyReason
from savings.pricing import PricedReceipt

CHECKPOINT_EVERY_S = 1.0
SEEN_EVERY_S = 10.0
GONE_AFTER = timedelta(minutes=10)
"""A worker that gave no sign for so long is counted with the past. Should it wake up, it begins a new count."""

ALIVE_WITHIN = timedelta(seconds=45)
MAX_MODELS = 100
"""Names of models that are counted apart, for each worker; names come from clients."""

MAX_PAST_MODELS = 1000
MAX_FOLDED = 20_000
PAST, IMPORTED = "past", "imported"


class Counter:
    """One worker's count. `post` belongs into the transaction that records; `turn` is called again and again after it."""

    def __init__(self, worker: str, run: str, refused: Callable[[], Mapping[str, int]] = dict) -> None:
        self.worker = worker
        self.run = run
        self._refused = refused
        self._models: set[str] = set()
        self._newest = ("", "", "")
        self._is_checkpoint_due = True
        self._next_checkpoint_s = 0.0
        self._next_seen_s = 0.0
        self._told: dict[str, int] = {}

    def post(self, entries: Sequence[PricedReceipt]) -> None:
        """Count entries that were just written."""
        ids = listed(uuid.UUID(entry.receipt.admission.call_id) for entry in entries)
        self._know(entries)
        with connection.cursor() as cursor:
            cursor.execute(tally_sql.count(), [self.worker, listed(sorted(self._models)), ids])
            cursor.execute(tally_sql.count_reasons(), [self.worker, ids])
        self._is_checkpoint_due = True
        self._write_checkpoint()

    def turn(self) -> None:
        """Give a sign of life, and write the checkpoint that is due, when it is time."""
        now = time.monotonic()
        if now >= self._next_seen_s:
            self._next_seen_s = now + SEEN_EVERY_S
            self._be_seen()
        if self._is_checkpoint_due:
            with transaction.atomic():
                self._write_checkpoint()

    def _know(self, entries: Sequence[PricedReceipt]) -> None:
        for entry in entries:
            model = (entry.receipt.settlement.model or entry.receipt.admission.model)[:200]
            if len(self._models) < MAX_MODELS:
                self._models.add(model.replace("\x00", ""))
        newest = entries[-1].receipt
        self._newest = (
            newest.admission.provider[:40],
            newest.admission.agent[:200].replace("\x00", ""),
            (newest.settlement.model or newest.admission.model)[:200].replace("\x00", ""),
        )

    def _write_checkpoint(self) -> None:
        """Last in its transaction: workers that want the same second wait for each other here, holding all they need."""
        if time.monotonic() < self._next_checkpoint_s:
            return
        with connection.cursor() as cursor:
            cursor.execute(tally_sql.checkpoint(), self._newest)
            is_written = cursor.rowcount > 0
        # Where another worker has this second already, ours is due in the next one.
        self._next_checkpoint_s = time.monotonic() + CHECKPOINT_EVERY_S
        if is_written:
            self._is_checkpoint_due = False

    def leave(self) -> None:
        """This worker ends: its run is over unless others go on with it."""
        gone(self.worker)

    def _be_seen(self) -> None:
        refused = dict(self._refused())
        ServingWorker.objects.update_or_create(
            name=self.worker,
            defaults={"run": self.run, "seen_at": Now(), "refused": refused},
        )


def gone(worker: str) -> None:
    """A worker is known to have ended, before its silence says so."""
    ServingWorker.objects.filter(name=worker).update(seen_at=Now() - 2 * GONE_AFTER)


def fold() -> int:
    """Count workers that are gone, with all of their run, as the past. Returns how many."""
    recent = ServingWorker.objects.filter(seen_at__gte=Now() - GONE_AFTER).values_list("run", flat=True)
    with transaction.atomic():
        gone = list(
            ServingWorker.objects.select_for_update(skip_locked=connection.features.has_select_for_update_skip_locked)
            .exclude(run__in=list(recent))
            .values_list("name", flat=True)
        )
        if gone:
            past = Tally.objects.filter(worker=PAST)
            models = sorted(set(past.order_by("-calls", "pk").values_list("model", flat=True)[:MAX_PAST_MODELS]))
            apart = models if len(models) >= MAX_PAST_MODELS else []
            # One of them may wake up this very moment: it waits for these rows, and then begins new ones.
            rows, reasons = _locked(Tally, gone), _locked(TallyReason, gone)
            with connection.cursor() as cursor:
                if rows:
                    cursor.execute(tally_sql.fold(len(rows), len(apart)), [*apart, *rows])
                if reasons:
                    cursor.execute(tally_sql.fold_reasons(len(reasons)), reasons)
            Tally.objects.filter(pk__in=rows).delete()
            TallyReason.objects.filter(pk__in=reasons).delete()
            if len(rows) < MAX_FOLDED:  # else the next time folds the rest
                ServingWorker.objects.filter(name__in=gone).delete()
    return len(gone)


def _locked(model: type[Tally | TallyReason], workers: list[str]) -> list[int]:
    rows = model._default_manager.select_for_update().filter(worker__in=workers)
    return list(rows.order_by("pk").values_list("pk", flat=True)[:MAX_FOLDED])
