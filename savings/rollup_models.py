"""Sums over the ledger, by hour and by day, so that no page ever scans it. Written by `savings.rollups` only."""

from __future__ import annotations

from django.db import models


def _sum() -> models.BigIntegerField[int, int]:
    return models.BigIntegerField(default=0)


def _least() -> models.BigIntegerField[int | None, int | None]:
    return models.BigIntegerField(null=True)


class Sums(models.Model):
    """What is summed over calls, the same everywhere; `savings.sums` says how each column is computed.

    Money in nano-dollars, times in microseconds, all whole numbers: sums are the same in whatever order they were added.
    The shortest time of no calls is null.
    """

    calls = _sum()
    requests = _sum()
    complete_calls = _sum()
    partial_calls = _sum()
    interrupted_calls = _sum()
    void_calls = _sum()
    failed_calls = _sum()
    cached_calls = _sum()
    retrieval_calls = _sum()
    uncompressed_calls = _sum()
    observed_calls = _sum()
    measured_calls = _sum()
    unpriced_calls = _sum()
    unknown_savings_calls = _sum()

    input_fresh_tokens = _sum()
    cache_read_tokens = _sum()
    cache_write_5m_tokens = _sum()
    cache_write_1h_tokens = _sum()
    output_tokens = _sum()
    reasoning_tokens = _sum()
    prompt_cache_calls = _sum()
    cache_read_calls = _sum()
    cache_write_5m_calls = _sum()
    cache_write_1h_calls = _sum()

    tokens_before = _sum()
    tokens_after = _sum()
    tokens_saved = _sum()
    observed_tokens_saved = _sum()

    cost_nano_usd = _sum()
    # They came after the tables, and old workers do not know them.
    output_cost_nano_usd = models.BigIntegerField(default=0, db_default=0)
    cache_discount_nano_usd = models.BigIntegerField(default=0, db_default=0)
    saved_nano_usd = _sum()
    observed_saved_nano_usd = _sum()
    avoided_nano_usd = _sum()

    hit_calls = _sum()
    ttl_expiry_calls = _sum()
    prefix_change_calls = _sum()
    own_change_calls = _sum()
    cold_start_calls = _sum()
    unknown_miss_calls = _sum()

    latency_calls = _sum()
    latency_us = _sum()
    latency_min_us = _least()
    latency_max_us = _sum()
    overhead_calls = _sum()
    overhead_us = _sum()
    overhead_min_us = _least()
    overhead_max_us = _sum()
    ttfb_calls = _sum()
    ttfb_us = _sum()
    ttfb_min_us = _least()
    ttfb_max_us = _sum()

    class Meta:
        abstract = True


class _Labelled(Sums):
    """Sums of one combination of labels. In a busy bucket the rarest combinations are one, whose labels are `other`.

    `source`: `ledger` is summed anew whenever an entry comes, `sealed` holds the sums of entries that were deleted since,
    `imported` comes from another program's file. `digest` stands for the labels.
    """

    source = models.CharField(max_length=8)
    digest = models.CharField(max_length=32)
    team = models.CharField(max_length=200, blank=True)
    key_id = models.CharField(max_length=40, blank=True)
    key_label = models.CharField(max_length=200, blank=True)
    provider = models.CharField(max_length=40, blank=True)
    model = models.CharField(max_length=200, blank=True)
    agent = models.CharField(max_length=200, blank=True)
    project = models.CharField(max_length=200, blank=True)

    class Meta:
        abstract = True


class HourlyRollup(_Labelled):
    """The calls that were admitted in an hour (UTC), by labels."""

    starts_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["starts_at", "source", "digest"], name="hourly_rollup_once")]

    def __str__(self) -> str:
        return f"{self.starts_at:%Y-%m-%d %H}h {self.provider} {self.model}"


class DailyRollup(_Labelled):
    """The calls of a day (UTC), by labels: its hours summed up."""

    starts_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["starts_at", "source", "digest"], name="daily_rollup_once")]

    def __str__(self) -> str:
        return f"{self.starts_at:%Y-%m-%d} {self.provider} {self.model}"


class BucketTotal(Sums):
    """All calls of an hour or a day, for series over long times."""

    grain = models.CharField(max_length=4)
    starts_at = models.DateTimeField()
    source = models.CharField(max_length=8)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["grain", "starts_at", "source"], name="bucket_total_once")]

    def __str__(self) -> str:
        return f"{self.grain} {self.starts_at:%Y-%m-%d %H}h"


class HourlyReason(models.Model):
    """How many requests of an hour were sent as they came, for what reason."""

    starts_at = models.DateTimeField()
    source = models.CharField(max_length=8)
    reason = models.CharField(max_length=200)
    calls = _sum()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["starts_at", "source", "reason"], name="hourly_reason_once")]

    def __str__(self) -> str:
        return f"{self.starts_at:%Y-%m-%d %H}h {self.reason}"


class SealedCost(models.Model):
    """What deleted entries had cost, by quarter of an hour: every time zone's days and hours begin on one.

    `owner` and `key_id` are those of the entries.
    """

    starts_at = models.DateTimeField()
    key_id = models.CharField(max_length=40, blank=True)
    owner = models.CharField(max_length=200, blank=True)
    calls = _sum()
    cost_nano_usd = _sum()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["starts_at", "key_id", "owner"], name="sealed_cost_once")]

    def __str__(self) -> str:
        return f"{self.starts_at:%Y-%m-%d %H:%M} {self.owner}"


class RollupMark(models.Model):
    """How far the ledger is rolled up, by the database's clock, and who is at it. One row.

    `holder` works until `busy_until`, and renews it as long as it does. `revision` moves with every run that changed
    something.
    """

    recorded_until = models.DateTimeField(null=True)
    rolled_at = models.DateTimeField(null=True)
    holder = models.CharField(max_length=32, blank=True)
    busy_until = models.DateTimeField(null=True)
    revision = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"rolled up until {self.recorded_until}"
