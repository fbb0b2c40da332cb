"""Epochs in the database: since when which results of a conversation go out in their deep form."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import DatabaseError, transaction

from proxy import decisions
from proxy.aging.values import Beginning, Held, PastEpoch, Progress, Standing
from proxy.decisions import Batch
from proxy.models import EpochRecord
from proxy.retrieval import files

KEPT_FOR = timedelta(days=90)
"""Longer than any conversation lives: what came of epochs is worth looking at for a while."""
MAX_PLACES = 400
"""So many epochs are written to in one transaction at most, so that nobody waits long."""


def load(owner: str, chains: list[str], turns: int) -> Standing | None:
    """The standing after the last epoch up to a turn on this chain, whose links come in order."""
    order = {chain: place for place, chain in enumerate(chains)}
    rows = EpochRecord.objects.filter(owner=owner, chain__in=chains, turn__lte=turns)
    past = sorted(rows, key=lambda row: (order[row.chain], row.turn))
    if not past:
        return None
    epochs = tuple(PastEpoch(row.chain, row.turn, row.saved_tokens, row.predicted_cost) for row in past)
    last = past[-1]
    return Standing(frozenset(last.deepened.split()), frozenset(last.buried.split()), last.mark_key, last.turn, epochs)


def store(owner: str, beginning: Beginning, now: datetime, lifetime: timedelta) -> Held:
    """Store an epoch with the forms that it begins to send and the originals behind them, in one transaction.

    Raises DatabaseError, also when an original's file cannot be written.
    """
    made = {key: decided for key, _, decided in beginning.deep}
    results = {key: result for key, result, _ in beginning.deep}
    standing, epoch = beginning.standing, beginning.epoch
    record = EpochRecord(
        owner=owner,
        chain=beginning.chain,
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
        first = EpochRecord.objects.get(owner=owner, chain=beginning.chain, turn=standing.epoch_turn)
    return Held(
        frozenset(first.deepened.split()),
        frozenset(first.buried.split()),
        first.mark_key,
        {key: held[key] for key in made},
    )


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
