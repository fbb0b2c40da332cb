"""The only writer of `FormCount`: notes summed up by day, always from the notes and never by adding to a sum."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db.models import Count, F, Q, Sum
from django.db.models.lookups import GreaterThan

from proxy.learning import uses
from proxy.learning.judgement import MIN_RESULTS, Cohort
from proxy.learning.models import FormCount, FormUse
from proxy.learning.parts import Part

EVIDENCE_FOR = timedelta(days=60)
"""Agents and models change: what was wanted last spring says little."""
KEPT_FOR = timedelta(days=400)
MAX_FORMS = 1000
"""Names of tools come from clients: so many combinations of a day are counted, the most frequent ones."""

_PARTS = {part: str(part.name).lower() for part in Part}
_SUMS = ("sent", "asked", "files", "reread", *_PARTS.values(), "tokens_before", "tokens_after")


def fold(now: datetime) -> int:
    """Sum up every day whose notes are all there still. Returns how many sums there are."""
    day = (now - uses.KEPT_FOR).date() + timedelta(days=1)
    count = 0
    while day <= now.date():
        sums = _sums(day)
        FormCount.objects.bulk_create(
            sums,
            batch_size=50,
            update_conflicts=True,
            unique_fields=["day", "tool", "form", "level"],
            update_fields=list(_SUMS),
        )
        count += len(sums)
        day += timedelta(days=1)
    return count


def _sums(day: date) -> list[FormCount]:
    start = datetime.combine(day, time(), UTC)
    notes = FormUse.objects.filter(created_at__gte=start, created_at__lt=start + timedelta(days=1))
    sums = {
        "sent": Count("key"),
        "asked": Count("key", filter=Q(asked__gt=0)),
        "files": Count("key", filter=Q(is_file=True)),
        "reread": Count("key", filter=Q(was_reread=True)),
        "tokens_before": Sum("tokens_before"),
        "tokens_after": Sum("tokens_after"),
        **{name: Count("key", filter=_has(part)) for part, name in _PARTS.items()},
    }
    # Under names of their own: some are names of columns.
    rows: Any = notes.values("tool", "form", "level").annotate(**{f"sum_{name}": sums[name] for name in _SUMS})
    return [
        FormCount(
            day=day,
            tool=row["tool"],
            form=row["form"],
            level=row["level"],
            **{name: row[f"sum_{name}"] for name in _SUMS},
        )
        for row in rows.order_by("-sum_sent", "tool", "form", "level")[:MAX_FORMS]
    ]


def _has(part: Part) -> Any:
    return GreaterThan(F("asked").bitand(int(part)), 0)


def cohorts(now: datetime, is_evidence: Callable[[tuple[str, str, str], date], bool] | None = None) -> list[Cohort]:
    """What the sums of late say about each form, most results first; of those days that are evidence for it."""
    rows = FormCount.objects.filter(day__gt=(now - EVIDENCE_FOR).date()).values("day", "tool", "form", "level", *_SUMS)
    sums: dict[tuple[str, str, str], dict[str, int]] = {}
    for row in rows:
        name = (row["tool"], row["form"], row["level"])
        if is_evidence is None or is_evidence(name, row["day"]):
            mine = sums.setdefault(name, dict.fromkeys(_SUMS, 0))
            for column in _SUMS:
                mine[column] += row[column]
    found = [_cohort(name, mine) for name, mine in sums.items()]
    return sorted(found, key=lambda one: (-one.sent, one.tool, one.form, one.level))


def _cohort(name: tuple[str, str, str], mine: Mapping[str, int]) -> Cohort:
    return Cohort(
        *name,
        sent=mine["sent"],
        asked=mine["asked"],
        files=mine["files"],
        reread=mine["reread"],
        parts=tuple((part, mine[part]) for part in _PARTS.values() if mine[part]),
        tokens_before=mine["tokens_before"],
        tokens_after=mine["tokens_after"],
    )


def asked_shares(now: datetime) -> dict[str, float]:
    """For each tool, which share of what was left out of its results was asked for again; where that can be said."""
    sent: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for cohort in cohorts(now):
        if cohort.is_lossy:
            sent[cohort.tool] += cohort.sent
            asked[cohort.tool] += cohort.asked
    return {tool: asked[tool] / count for tool, count in sent.items() if count >= MIN_RESULTS}


def prune(now: datetime) -> int:
    """Delete sums of long ago. Returns how many."""
    return FormCount.objects.filter(day__lt=(now - KEPT_FOR).date()).delete()[0]
