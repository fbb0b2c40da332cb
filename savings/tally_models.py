"""Sums that move with the ledger, in its own transactions: live figures and lifetime totals that nobody has to scan for."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from savings.rollup_models import Sums


class ServingWorker(models.Model):
    """A process that serves, or served a moment ago. Times are the database's.

    Workers of one server share its `run`, also those that were started in the place of dead ones. `refused` counts requests
    that this proxy answered with an error of its own, by its code.
    """

    name = models.CharField(primary_key=True, max_length=64)
    run = models.CharField(max_length=64)
    started_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())
    refused = models.JSONField(default=dict)

    def __str__(self) -> str:
        return self.name


class Tally(Sums):
    """What one worker has recorded so far, by provider and model. All rows together are the whole ledger, and what is past.

    Two names are no workers: `past` for those that are gone, `imported` for what another program had counted.
    """

    worker = models.CharField(max_length=64)
    provider = models.CharField(max_length=40, blank=True)
    model = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name_plural = "tallies"
        constraints = [models.UniqueConstraint(fields=["worker", "provider", "model"], name="tally_once")]

    def __str__(self) -> str:
        return f"{self.worker} {self.provider} {self.model}"


class TallyReason(models.Model):
    """How many requests one worker has recorded that went out as they came, by reason."""

    worker = models.CharField(max_length=64)
    reason = models.CharField(max_length=200)
    calls = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["worker", "reason"], name="tally_reason_once")]

    def __str__(self) -> str:
        return f"{self.worker} {self.reason}"


class SavingsCheckpoint(models.Model):
    """The totals of all time at one moment, at most one a second; older ones are thinned out.

    `provider`, `agent` and `model` are of the newest call before it. Imported ones come from another program's file and hold
    its arithmetic.
    """

    at = models.DateTimeField(unique=True)
    is_imported = models.BooleanField(default=False)
    provider = models.CharField(max_length=40, blank=True)
    agent = models.CharField(max_length=200, blank=True)
    model = models.CharField(max_length=200, blank=True)
    requests = models.BigIntegerField(default=0)
    tokens_saved = models.BigIntegerField(default=0)
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    cache_read_tokens = models.BigIntegerField(default=0)
    cost_nano_usd = models.BigIntegerField(default=0)
    output_cost_nano_usd = models.BigIntegerField(default=0)
    saved_nano_usd = models.BigIntegerField(default=0)
    avoided_nano_usd = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S}"
