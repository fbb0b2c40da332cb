"""What somebody should know: kept until it was delivered. Written by `budgets.alerts` only."""

from __future__ import annotations

import uuid

from django.db import models


class Alert(models.Model):
    """One event. `once` is what it is about, where it is to be said once only.

    `next_attempt_at` is when it is sent (again); null when it was delivered, given up, or is for nobody's webhook.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=40)
    once = models.CharField(max_length=300, null=True, unique=True)
    message = models.CharField(max_length=500)
    details = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    next_attempt_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    problem = models.CharField(max_length=300, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["next_attempt_at"], name="alert_due"),
            models.Index(fields=["created_at"], name="alert_time"),
        ]

    @property
    def state(self) -> str:
        """`delivered`, `waiting`, `given up`, or `logged` where there is no webhook."""
        if self.delivered_at is not None:
            return "delivered"
        if self.next_attempt_at is not None:
            return "waiting"
        return "given up" if self.problem else "logged"

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"
