"""The ledger: one row for each upstream call, written once by `savings.ledger` and never changed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from savings.rollup_models import BucketTotal, DailyRollup, HourlyReason, HourlyRollup, RollupMark, SealedCost
from savings.tally_models import SavingsCheckpoint, ServingWorker, Tally, TallyReason

__all__ = [
    "BucketTotal",
    "CallBody",
    "DailyRollup",
    "HourlyReason",
    "HourlyRollup",
    "LedgerEntry",
    "PriceOverride",
    "RollupMark",
    "SavingsCheckpoint",
    "SealedCost",
    "ServingWorker",
    "Tally",
    "TallyReason",
]

TOKEN_COLUMNS = (
    "input_fresh_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
)


def _null_or_at_least_zero(*columns: str) -> Q:
    condition = Q()
    for column in columns:
        condition &= Q(**{f"{column}__isnull": True}) | Q(**{f"{column}__gte": 0})
    return condition


class LedgerEntry(models.Model):
    """One upstream call, settled. A retry is a call, and so an entry, of its own.

    Key, team and project are plain text: an entry outlives them. In every number null means "not known" and 0 means zero.
    The five token classes never overlap; `reasoning_tokens` is a part of `output_tokens`; `basis` says who counted them.
    `tokens_before`, `tokens_after` and `tokens_saved` are our own estimates; saved is negative where we made it longer.
    `saved_nano_usd` is what the call would have cost without us less what it cost, negative where we made it dearer;
    with `is_observed` the call went out as it came, and savings are what would have been. `avoided_nano_usd` is what an
    answer out of our response cache would have cost. Of the cost, `output_cost_nano_usd` is for the answer;
    `cache_discount_nano_usd` is how much more it had been without the provider's own prompt cache.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    request_id = models.UUIDField()
    attempt = models.PositiveSmallIntegerField()

    provider = models.CharField(max_length=40)
    upstream = models.CharField(max_length=200, blank=True)
    route = models.CharField(max_length=200, blank=True)
    model_asked = models.CharField(max_length=200, blank=True)
    model_answered = models.CharField(max_length=200, blank=True)

    session = models.CharField(max_length=200, blank=True)
    agent = models.CharField(max_length=200, blank=True)
    project = models.CharField(max_length=200, blank=True)
    user = models.CharField(max_length=200, blank=True)
    owner = models.CharField(max_length=200, blank=True)
    key_id = models.CharField(max_length=40, blank=True)
    key_label = models.CharField(max_length=200, blank=True)
    team = models.CharField(max_length=200, blank=True)

    # Why there is a call; see savings.receipts.Origin. What came after the table has its default in the database too, as
    # workers of an older version go on while a newer one starts.
    origin = models.CharField(max_length=16, default="client", db_default="client")
    conversation = models.CharField(max_length=40, blank=True, default="", db_default="")
    is_observed = models.BooleanField(default=False, db_default=False)

    is_streaming = models.BooleanField(default=False)
    status = models.CharField(max_length=12)
    http_status = models.PositiveSmallIntegerField(null=True)
    error = models.CharField(max_length=500, blank=True)
    provider_request_id = models.CharField(max_length=200, blank=True)

    input_fresh_tokens = models.BigIntegerField(null=True)
    cache_read_tokens = models.BigIntegerField(null=True)
    cache_write_5m_tokens = models.BigIntegerField(null=True)
    cache_write_1h_tokens = models.BigIntegerField(null=True)
    output_tokens = models.BigIntegerField(null=True)
    reasoning_tokens = models.BigIntegerField(null=True)
    basis = models.CharField(max_length=12)

    tokens_before = models.BigIntegerField(null=True)
    tokens_after = models.BigIntegerField(null=True)
    tokens_saved = models.BigIntegerField(null=True)
    reason = models.CharField(max_length=200, blank=True)
    transforms = models.JSONField(default=list)

    cost_nano_usd = models.BigIntegerField(null=True)
    output_cost_nano_usd = models.BigIntegerField(null=True)
    cache_discount_nano_usd = models.BigIntegerField(null=True)
    saved_nano_usd = models.BigIntegerField(null=True)
    avoided_nano_usd = models.BigIntegerField(null=True)
    savings_basis = models.CharField(max_length=20, blank=True, default="", db_default="")
    cache_outcome = models.CharField(max_length=16, blank=True, default="", db_default="")
    price_source = models.CharField(max_length=20, blank=True)
    price_version = models.CharField(max_length=60, blank=True)

    latency_ms = models.FloatField(null=True)
    overhead_ms = models.FloatField(null=True)
    ttfb_ms = models.FloatField(null=True)
    admitted_at = models.DateTimeField()
    settled_at = models.DateTimeField()
    # By the database's clock, so that whoever follows the ledger has one clock to go by. Rows of one flush share it, and
    # appear when their transaction ends: a follower leaves a margin.
    recorded_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name, verbose_name_plural = "ledger entry", "ledger"
        constraints = [
            models.UniqueConstraint(fields=["request_id", "attempt"], name="entry_once_per_attempt"),
            models.CheckConstraint(
                condition=Q(status__in=["complete", "partial", "interrupted", "void"]), name="entry_status_known"
            ),
            models.CheckConstraint(
                condition=Q(basis__in=["measured", "partial", "estimated"]), name="entry_basis_known"
            ),
            models.CheckConstraint(
                condition=_null_or_at_least_zero(*TOKEN_COLUMNS, "tokens_before", "tokens_after"),
                name="entry_tokens_not_negative",
            ),
            models.CheckConstraint(condition=_null_or_at_least_zero("cost_nano_usd"), name="entry_cost_not_negative"),
            models.CheckConstraint(
                condition=Q(cost_nano_usd__isnull=True, price_source="")
                | (Q(cost_nano_usd__isnull=False) & ~Q(price_source="")),
                name="entry_cost_has_source",
            ),
            models.CheckConstraint(
                condition=Q(tokens_saved__isnull=True) | Q(tokens_saved=F("tokens_before") - F("tokens_after")),
                name="entry_saved_is_difference",
            ),
        ]
        indexes = [
            models.Index(fields=["key_id", "admitted_at"], name="entry_key_time"),
            models.Index(fields=["session", "admitted_at"], name="entry_session_time"),
            models.Index(fields=["conversation", "admitted_at"], name="entry_conversation_time"),
            models.Index(fields=["owner", "admitted_at"], name="entry_owner_time"),
            models.Index(fields=["model_answered", "admitted_at"], name="entry_model_time"),
            # A model that a key or a team hardly used would be looked for in all that it did.
            models.Index(fields=["key_id", "model_answered", "admitted_at"], name="entry_key_model_time"),
            models.Index(fields=["owner", "model_answered", "admitted_at"], name="entry_owner_model_time"),
            # Only those that somebody looks for: complete ones are nearly all.
            models.Index(
                fields=["status", "admitted_at"], condition=~Q(status="complete"), name="entry_not_whole_time"
            ),
            models.Index(fields=["admitted_at"], name="entry_time"),
            models.Index(fields=["recorded_at"], name="entry_recorded"),
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.provider} {self.model_answered or self.model_asked} {self.status}"


def _usd_per_million(**options: Any) -> models.DecimalField[Any, Any]:
    return models.DecimalField(
        max_digits=16,
        decimal_places=8,
        validators=[MinValueValidator(Decimal(0))],
        help_text="USD per million tokens",
        **options,
    )


class PriceOverride(models.Model):
    """A price that goes before the public price list: negotiated rates, models of one's own.

    `model` is a name, or the beginning of one followed by `*`. Where a cache price is left empty, those tokens cost what
    fresh input costs. Valid from `valid_from` (included) until `valid_until` (excluded); empty means open.
    """

    provider = models.CharField(max_length=40)
    model = models.CharField(max_length=200)
    input_fresh = _usd_per_million()
    cache_read = _usd_per_million(null=True, blank=True)
    cache_write_5m = _usd_per_million(null=True, blank=True)
    cache_write_1h = _usd_per_million(null=True, blank=True)
    output = _usd_per_million()
    valid_from = models.DateTimeField(null=True, blank=True)
    valid_until = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=500, blank=True)

    class Meta:
        verbose_name = "price"
        constraints = [
            models.CheckConstraint(
                condition=Q(input_fresh__gte=0)
                & Q(output__gte=0)
                & _null_or_at_least_zero("cache_read", "cache_write_5m", "cache_write_1h"),
                name="override_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(valid_from__isnull=True) | Q(valid_until__isnull=True) | Q(valid_until__gt=F("valid_from")),
                name="override_validity_in_order",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.model}"


class CallBody(models.Model):
    """What was asked, sent and answered in one call, compressed with zlib. Only with `--log-messages`.

    `sent` is empty where it is what was asked.
    """

    call_id = models.UUIDField(primary_key=True, editable=False)
    asked = models.BinaryField()
    sent = models.BinaryField()
    answered = models.BinaryField()
    recorded_at = models.DateTimeField(db_default=Now(), editable=False, db_index=True)

    class Meta:
        verbose_name_plural = "call bodies"

    def __str__(self) -> str:
        return str(self.call_id)
