"""What happens from time to time. Each task calls one function and may run twice without harm."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from importlib import metadata
from typing import Any

from django.conf import settings

from budgets import alerts, people
from budgets import audit as audits
from headroom_site.celery import app
from proxy import decisions
from proxy.learning import cycle
from savings import checkpoints, retention, rollups, tallies
from savings.observability import telemetry

PRUNE_FOR_S = 300.0
"""The rest waits for the next time: rollups must not wait for long."""

logger = logging.getLogger("headroom.audit")


@app.task(name="headroom.audit")  # type: ignore[untyped-decorator]
def audit() -> int:
    """Compare budgets with the ledger and log what differs. Returns how many differences there are."""
    now = datetime.now(UTC)
    found = audits.audit(now)
    lines = audits.report(found)
    for line in lines:
        logger.error("%s", line)
    if lines:
        alerts.audit_differs(lines, now)
    return len(lines)


def telemetry_payload(now: datetime) -> dict[str, Any]:
    """What telemetry says of this installation today."""
    return telemetry.payload(
        now,
        version=metadata.version("headroom-proxy"),
        sdk=settings.SDK,
        database="sqlite" if settings.IS_EMBEDDED else "postgresql",
        workers=settings.WORKERS,
    )


@app.task(name="headroom.telemetry")  # type: ignore[untyped-decorator]
def send_telemetry() -> bool:
    """Send anonymous aggregates where somebody said that they should go. Returns whether they went."""
    if not settings.TELEMETRY_ENABLED or not settings.TELEMETRY_ENDPOINT:
        return False
    try:
        telemetry.send(settings.TELEMETRY_ENDPOINT, telemetry_payload(datetime.now(UTC)))
    except OSError as exc:
        logging.getLogger("headroom.telemetry").warning("telemetry was not taken: %s", exc)
        return False
    return True


@app.task(name="headroom.forget_unused")  # type: ignore[untyped-decorator]
def forget_unused() -> int:
    """Delete decisions and originals whose conversations ended long ago, old alerts, and sessions that have ended.

    Returns how many rows went.
    """
    now = datetime.now(UTC)
    return decisions.prune(now, decisions.lifetime()) + alerts.prune(now) + people.forget_expired(now)


@app.task(name="headroom.deliver_alerts")  # type: ignore[untyped-decorator]
def deliver_alerts() -> int:
    """Send alerts that are due; serving processes do it too. Returns how many were delivered."""
    return alerts.deliver_due(datetime.now(UTC))


@app.task(name="headroom.learn")  # type: ignore[untyped-decorator]
def learn() -> int:
    """Sum up which shortened results were wanted back, and propose what follows. Returns the open proposal's number or 0."""
    proposed = cycle.run(datetime.now(UTC))
    return proposed.pk if proposed is not None else 0


@app.task(name="headroom.roll")  # type: ignore[untyped-decorator]
def roll() -> int:
    """Sum up the hours that got entries since the last time. Returns how many."""
    return _roll(rollups.MARGIN)


@app.task(name="headroom.roll_late")  # type: ignore[untyped-decorator]
def roll_late() -> int:
    """Once more for the entries of the last two days, whatever a database with a wrong clock or a slow commit hid."""
    return _roll(timedelta(days=2))


@app.task(name="headroom.prune")  # type: ignore[untyped-decorator]
def prune() -> int:
    """Delete entries and bodies that are older than they have to be, and thin out old checkpoints. Returns how many went."""
    now, until = datetime.now(UTC), time.monotonic() + PRUNE_FOR_S
    days = settings.KEEP_ENTRIES_DAYS
    try:
        deleted = retention.prune(
            now,
            keep_entries=timedelta(days=days) if days else None,
            keep_bodies=timedelta(days=settings.KEEP_BODIES_DAYS),
            may_go_on=lambda: time.monotonic() < until,
        )
    except rollups.Busy:
        deleted = retention.Deleted()  # an hour later is soon enough
    tallies.fold()
    return deleted.entries + deleted.bodies + checkpoints.thin(now)


def _roll(margin: timedelta) -> int:
    try:
        return rollups.roll(margin=margin).hours
    except rollups.Busy:
        return 0  # whoever is at it does the same
