"""Tell people: a log line at once, and a signed webhook, tried until it is delivered. The only writer of `Alert`.

An event is stored in the transaction that it is about, so that it is delivered at least once whatever is killed; its id is
the same each time it is sent.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from budgets import dollars, webhook
from budgets.alert_models import Alert
from budgets.models import BudgetPeriod
from savings.observability import prometheus
from savings.pricing import PriceBook, PricedReceipt

log = logging.getLogger("headroom.alerts")

AT_ONCE = 20
CLAIM = timedelta(minutes=2)
"""Whoever sends an event has so long before another one tries: many times what a webhook may take."""
WAITS = tuple(timedelta(seconds=seconds) for seconds in (5, 30, 120, 600, 1800, 3600))
GIVE_UP = timedelta(days=3)
KEEP = timedelta(days=90)
MAX_SEEN = 1000
MAX_LINES = 20


def event(kind: str, message: str, details: dict[str, Any] | None = None, *, once: str | None = None) -> Alert:
    """A new event, not stored yet."""
    now = timezone.now()
    return Alert(
        kind=kind,
        once=_plain(once)[:300] if once else None,
        message=_plain(message)[:500],
        details={name: _plain(value) if isinstance(value, str) else value for name, value in (details or {}).items()},
        created_at=now,
        next_attempt_at=now if settings.ALERT_WEBHOOK_URL else None,
    )


def _plain(text: str) -> str:
    """Names come from clients and providers: what a database or a terminal would choke on is left out."""
    return "".join(character for character in text if character.isprintable())


def store(made: Alert) -> bool:
    """Keep an event for delivery and say it in the log; False when the same was said already."""
    if made.once is not None and Alert.objects.filter(once=made.once).exists():
        return False
    stored = Alert.objects.bulk_create([made], ignore_conflicts=True)
    transaction.on_commit(lambda: _say(made))
    return bool(stored)


def _say(alert: Alert) -> None:
    log.warning("%s", alert.message)
    prometheus.ALERTS.labels(alert.kind).inc()


def budget_reached(period: BudgetPeriod, percent: int) -> None:
    """A share of a budget is spent."""
    budget = period.budget
    spent_usd, limit_usd = period.spent_nano_usd / 1e9, period.limit_nano_usd / 1e9
    store(
        event(
            "budget.threshold",
            f"budget {budget} has reached {percent} %: {spent_usd:.4f} of {dollars.exact(period.limit_nano_usd)} USD are spent",
            {
                "budget": budget.pk,
                "scope": budget.scope,
                "whose": str(budget.key or budget.team or "everybody"),
                "period": budget.period,
                "policy": budget.policy,
                "starts_at": period.starts_at.isoformat(),
                "ends_at": period.ends_at.isoformat() if period.ends_at else None,
                "percent": percent,
                "spent_usd": spent_usd,
                "limit_usd": limit_usd,
            },
        )
    )


class Unpriced:
    """Notices models without a known price among what is booked; each is said once a day."""

    def __init__(self, prices: PriceBook) -> None:
        self._prices = prices
        self._seen: set[str] = set()

    def post(self, entries: Iterable[PricedReceipt]) -> None:
        """Look at entries that are new in the ledger, inside their transaction."""
        for entry in entries:
            admission, settlement = entry.receipt.admission, entry.receipt.settlement
            model = settlement.model or admission.model
            if entry.price.cost_nano_usd is not None or not model:
                continue
            once = (
                f"unpriced:{admission.provider}:{model}:{datetime.fromtimestamp(admission.admitted_at, UTC):%Y-%m-%d}"
            )
            if once in self._seen or self._has_price(entry, {model, admission.model}):
                continue
            details = {"provider": admission.provider, "upstream": admission.upstream, "model": model}
            message = f"model {model!r} of {admission.provider} has no known price"
            store(event("model.unpriced", message, details, once=once))
            transaction.on_commit(partial(self._remember, once))

    def _remember(self, once: str) -> None:
        if len(self._seen) >= MAX_SEEN:
            self._seen.clear()
        self._seen.add(once)

    def _has_price(self, entry: PricedReceipt, models: Iterable[str]) -> bool:
        """Whether it is counts that are missing, and not a price."""
        admission = entry.receipt.admission
        place = (admission.provider, admission.upstream)
        return any(model and self._prices.tariff(*place, model, admission.admitted_at) for model in models)


def audit_differs(lines: Sequence[str], now: datetime) -> None:
    """The nightly audit found this; said once a day."""
    details = {"found": len(lines), "lines": list(lines[:MAX_LINES])}
    message = f"the audit of budgets found {len(lines)} differences, the first: {lines[0]}"
    store(event("audit.difference", message, details, once=f"audit:{now:%Y-%m-%d}"))


def deliver_due(now: datetime) -> int:
    """Send what is due; how many were delivered. Several processes may do this at a time."""
    if not Alert.objects.filter(next_attempt_at__lte=now).exists():
        return 0
    return sum(_deliver(alert, now) for alert in _claim(now))


def recent(limit: int = 50) -> Sequence[Alert]:
    """The newest events, newest first."""
    return list(Alert.objects.order_by("-created_at")[:limit])


def prune(now: datetime) -> int:
    """Delete events of long ago; how many those were."""
    return Alert.objects.filter(created_at__lt=now - KEEP).delete()[0]


def send(alert: Alert, now: datetime) -> str:
    """Send one event; "" when it was taken, else why not."""
    document = {
        "id": str(alert.pk),
        "type": alert.kind,
        "timestamp": alert.created_at.astimezone(UTC).isoformat(),
        "data": {"message": alert.message, **alert.details},
    }
    return webhook.post(
        settings.ALERT_WEBHOOK_URL, settings.ALERT_WEBHOOK_SECRET, str(alert.pk), document, at_s=now.timestamp()
    )


def _claim(now: datetime) -> list[Alert]:
    """Events that nobody else sends at the moment."""
    skips = connection.features.has_select_for_update_skip_locked
    with transaction.atomic():
        due = Alert.objects.select_for_update(skip_locked=skips).filter(next_attempt_at__lte=now)
        claimed = list(due.order_by("created_at")[:AT_ONCE])
        Alert.objects.filter(pk__in=[alert.pk for alert in claimed]).update(next_attempt_at=now + CLAIM)
    return claimed


def _deliver(alert: Alert, now: datetime) -> bool:
    if not settings.ALERT_WEBHOOK_URL:
        Alert.objects.filter(pk=alert.pk).update(next_attempt_at=None, problem="there is no webhook any more")
        return False
    problem = send(alert, now)
    if not problem:
        Alert.objects.filter(pk=alert.pk).update(next_attempt_at=None, delivered_at=now, problem="")
        return True
    is_over = now - alert.created_at > GIVE_UP
    if is_over or alert.attempts == 0:
        log.error("alert %s %s: %s", alert.pk, "is given up" if is_over else "could not be delivered yet", problem)
    wait = WAITS[min(alert.attempts, len(WAITS) - 1)]
    Alert.objects.filter(pk=alert.pk).update(
        attempts=alert.attempts + 1, problem=problem[:300], next_attempt_at=None if is_over else now + wait
    )
    return False
