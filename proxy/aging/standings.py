"""Epochs in the database: since when which results of a conversation go out in their deep form."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import DatabaseError, connection, transaction
from django.db.models import Q

from proxy import decisions
from proxy.aging.pasts import Past
from proxy.aging.values import Beginning, Begun, Held, PastEpoch, Progress, packed
from proxy.decisions import Batch
from proxy.models import EpochRecord
from proxy.retrieval import files

KEPT_FOR = timedelta(days=90)
"""Longer than any conversation lives: what came of epochs is worth looking at for a while."""
_TABLE = EpochRecord._meta.db_table
MAX_PLACES = 400
"""So many epochs are written to in one transaction at most, so that nobody waits long."""


def load(past: Past) -> list[Begun]:
    """The epochs of a request's past that it does not know yet."""
    of_older_workers = Q(chain__in=past.older_chains)
    rows = EpochRecord.objects.filter(Q(root=past.root) | of_older_workers, owner=past.owner)
    return [_begun(row) for row in rows.exclude(id__in=list(past.epochs))]


def news(past: Past) -> list[Begun]:
    """The same, but for those of older workers: as quick as can be when there is nothing new."""
    with connection.cursor() as cursor:  # compiling a query takes longer than this one does
        cursor.execute(f"SELECT id FROM {_TABLE} WHERE owner = %s AND root = %s", [past.owner, past.root])  # noqa: S608
        unknown = [number for (number,) in cursor.fetchall() if number not in past.epochs]
    return [_begun(row) for row in EpochRecord.objects.filter(id__in=unknown)] if unknown else []


def _begun(row: EpochRecord) -> Begun:
    past = PastEpoch(row.chain, row.turn, row.saved_tokens, row.predicted_cost)
    deepened, buried = packed(row.deepened.split()), packed(row.buried.split())
    return Begun(row.pk, row.after, past, row.mark_key, bytes(row.results), deepened, buried)


def store(owner: str, beginning: Beginning, now: datetime, lifetime: timedelta) -> Held:
    """Store an epoch with the forms that it begins to send and the originals behind them, in one transaction.

    Raises DatabaseError, also when an original's file cannot be written.
    """
    made = {key: decided for key, _, decided in beginning.deep}
    results = {key: result for key, result, _ in beginning.deep}
    standing, epoch = beginning.standing, beginning.epoch
    record = EpochRecord(
        owner=owner,
        root=beginning.root,
        chain=beginning.chain,
        after=standing.epoch,
        results=packed(beginning.results),
        trigger=beginning.trigger,
        turn=standing.epoch_turn,
        last_turn=standing.epoch_turn,
        read_share=beginning.read_share,
        deepened=" ".join(sorted(standing.deepened)),
        buried=" ".join(sorted(standing.buried)),
        mark_key=standing.mark_key,
        saved_tokens=epoch.saved_tokens,
        predicted_cost=epoch.cost,
        predicted_gain=epoch.gain,
        spared_at_once=epoch.at_once,
        conversation=beginning.conversation,
        created_at=now,
    )
    if files.written(owner, made, results) != made:
        raise DatabaseError("the originals cannot be written to the workspace")
    with transaction.atomic():
        held = decisions.store(Batch(owner, made, results, beginning.conversation), now, lifetime)
        EpochRecord.objects.bulk_create([record], ignore_conflicts=True)
        first = EpochRecord.objects.get(owner=owner, chain=record.chain, turn=standing.epoch_turn)
    return Held(_begun(first), {key: held[key] for key in made})


def note_progress(progress: Progress) -> None:
    """Write down how far conversations got since their epochs: what came of those."""
    places = list(progress)
    for start in range(0, len(places), MAX_PLACES):
        owners, chains, _ = zip(*places[start : start + MAX_PLACES], strict=True)
        with transaction.atomic():
            rows = EpochRecord.objects.filter(owner__in=set(owners), chain__in=chains)
            moved = []
            # In order: workers that write of the same conversations would wait for each other otherwise.
            for row in rows.order_by("id").select_for_update():
                last_turn = progress.get((row.owner, row.chain, row.turn), 0)
                if last_turn > row.last_turn:
                    row.last_turn = last_turn
                    moved.append(row)
            EpochRecord.objects.bulk_update(moved, ["last_turn"])


def prune(now: datetime) -> int:
    """Delete epochs of long ago. Returns how many."""
    return EpochRecord.objects.filter(created_at__lt=now - KEPT_FOR).delete()[0]
