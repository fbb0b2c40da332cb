"""Who may use the proxy, and how much. Each kind of rows has one module that writes it: `keys`, `teams`, `limits`, …"""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from budgets import dollars
from budgets.alert_models import Alert

__all__ = ["Alert", "ApiKey", "Budget", "BudgetPeriod", "BudgetShare", "Revision", "Team", "UpstreamCredential"]


class Team(models.Model):
    """Those who share what is stored on their behalf: each team sees its own originals and decisions only."""

    name = models.CharField(max_length=100, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class ApiKey(models.Model):
    """A key of ours. The secret itself is shown once, at creation, and is not stored.

    `prefix` is the beginning of the secret, to find and to recognise it by; `secret_sha256` is enough to check it, as the
    secret is random and long: a slow or salted hash would only protect a guessable one. A key without a team is on its own.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=16, db_index=True, editable=False)
    secret_sha256 = models.CharField(max_length=64, unique=True, editable=False)
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.PROTECT, related_name="keys")
    labels = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    # What it may be used for; empty is everything. A model may end in `*`. What came after the table has its default in the
    # database too, as processes of an older version go on while a newer one starts.
    allowed_models = models.JSONField(default=list, db_default=[], blank=True)
    allowed_routes = models.JSONField(default=list, db_default=[], blank=True)
    allowed_upstreams = models.JSONField(default=list, db_default=[], blank=True)
    # Null is what the settings say, 0 is no limit.
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    tokens_per_minute = models.PositiveIntegerField(null=True, blank=True)
    # May it manage keys, teams and budgets: its own team's, or all of them where it has no team?
    is_admin = models.BooleanField(default=False, db_default=False)
    # The secret before the last rotation, good until its clients have the new one.
    previous_prefix = models.CharField(max_length=16, blank=True, editable=False, default="", db_default="")
    previous_sha256 = models.CharField(max_length=64, blank=True, editable=False, default="", db_default="")
    previous_expires_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = "key"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class UpstreamCredential(models.Model):
    """A provider's credential that is put in for a key, a team, or every key of ours. `sealed` is encrypted."""

    provider = models.CharField(max_length=20, choices=[("anthropic", "anthropic"), ("openai", "openai")])
    key = models.ForeignKey(ApiKey, null=True, blank=True, on_delete=models.CASCADE, related_name="credentials")
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.CASCADE, related_name="credentials")
    sealed = models.TextField(editable=False)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = "credential"
        constraints = [
            models.CheckConstraint(
                condition=Q(key__isnull=True) | Q(team__isnull=True), name="credential_has_one_owner"
            ),
            models.UniqueConstraint(fields=["provider", "key"], name="credential_once_per_key"),
            models.UniqueConstraint(fields=["provider", "team"], name="credential_once_per_team"),
            models.UniqueConstraint(
                fields=["provider"], condition=Q(key__isnull=True, team__isnull=True), name="credential_once_for_all"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider} for {self.key or self.team or 'every key'}"


class Revision(models.Model):
    """A number that grows with every change to a kind of rows, so that workers notice changes by reading one row.

    A counter and not a time of change: clocks of several hosts disagree, and a change could then go unseen.
    """

    name = models.CharField(primary_key=True, max_length=40)
    number = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name} {self.number}"


class Budget(models.Model):
    """So many dollars for a key, a team or everybody, in each hour, day, week, month or once and for all.

    Scope, period and time zone never change, as periods that overlap would count a call twice: a budget that is to be
    different ends, and another begins. `strict` never goes over its limit; `normal` holds what calls of this kind usually
    cost. The one that the start's flags ask for has the origin `settings`.
    """

    SCOPES = [("global", "everybody"), ("team", "team"), ("key", "key")]
    PERIODS = [(name, name) for name in ("hourly", "daily", "weekly", "monthly", "total")]
    POLICIES = [("normal", "normal"), ("strict", "strict")]

    scope = models.CharField(max_length=8, choices=SCOPES)
    key = models.ForeignKey(ApiKey, null=True, blank=True, on_delete=models.PROTECT, related_name="budgets")
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.PROTECT, related_name="budgets")
    limit_nano_usd = models.BigIntegerField()
    period = models.CharField(max_length=8, choices=PERIODS)
    time_zone = models.CharField(max_length=60, default="UTC")
    policy = models.CharField(max_length=8, choices=POLICIES, default="normal")
    origin = models.CharField(max_length=8, default="admin", editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(scope="global", key__isnull=True, team__isnull=True)
                | Q(scope="team", key__isnull=True, team__isnull=False)
                | Q(scope="key", key__isnull=False, team__isnull=True),
                name="budget_is_for_its_scope",
            ),
            models.CheckConstraint(condition=Q(limit_nano_usd__gte=0), name="budget_limit_not_negative"),
            models.UniqueConstraint(
                fields=["origin"],
                condition=Q(origin="settings", ended_at__isnull=True),
                name="budget_of_settings_is_one",
            ),
        ]

    def __str__(self) -> str:
        whose = self.key or self.team or "everybody"
        return f"{dollars.exact(self.limit_nano_usd)} USD {self.period} for {whose}"


class BudgetPeriod(models.Model):
    """The account of a budget from `starts_at` (included) until `ends_at` (excluded; null is never).

    `spent` is the sum of the ledger's entries that were admitted in that time for the budget's scope. `held` is promised to
    single calls, `leased` to workers, who promise it on; both are the sums of their `BudgetShare`s.
    """

    budget = models.ForeignKey(Budget, on_delete=models.PROTECT, related_name="periods")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True)
    limit_nano_usd = models.BigIntegerField()
    spent_nano_usd = models.BigIntegerField(default=0)
    held_nano_usd = models.BigIntegerField(default=0)
    leased_nano_usd = models.BigIntegerField(default=0)
    alerted_percent = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["budget", "starts_at"], name="period_once_per_budget"),
            models.CheckConstraint(
                condition=Q(ends_at__isnull=True) | Q(ends_at__gt=models.F("starts_at")), name="period_ends_after_start"
            ),
        ]
        indexes = [models.Index(fields=["ends_at"], name="period_end")]

    def __str__(self) -> str:
        return f"{self.budget} from {self.starts_at:%Y-%m-%d %H:%M}"


class BudgetShare(models.Model):
    """What one worker has of one period. `holder` is the name of its journal, `workspace` the folder that journal is in.

    A share whose journal was recorded to its end goes back, whoever held it. As long as that journal is missing, its share
    counts as spent: nobody can say that it was not.
    """

    period = models.ForeignKey(BudgetPeriod, on_delete=models.CASCADE, related_name="shares")
    workspace = models.CharField(max_length=40)
    holder = models.CharField(max_length=60)
    held_nano_usd = models.BigIntegerField(default=0)
    leased_nano_usd = models.BigIntegerField(default=0)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["period", "holder"], name="share_once_per_holder")]
        indexes = [models.Index(fields=["workspace"], name="share_workspace")]

    def __str__(self) -> str:
        return f"{self.holder} of {self.period}"


class Membership(models.Model):
    """The team of somebody who logs in. What they may do there is said by their group, `manager` or `viewer`."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="membership")
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="members")

    def __str__(self) -> str:
        return f"{self.user} in {self.team}"


class LoginLink(models.Model):
    """A link that logs somebody in, once and soon. Its secret is in the link only."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="login_links")
    token_sha256 = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"link for {self.user} until {self.expires_at:%Y-%m-%d %H:%M}"


class Change(models.Model):
    """One change that somebody made: who, when, what, to what. Never a secret, and never changed itself."""

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor = models.CharField(max_length=200)
    action = models.CharField(max_length=40)
    kind = models.CharField(max_length=40)
    object_id = models.CharField(max_length=40)
    label = models.CharField(max_length=300)
    detail = models.JSONField(default=dict)

    class Meta:
        indexes = [models.Index(fields=["kind", "object_id", "at"], name="change_of_object")]

    def __str__(self) -> str:
        return f"{self.actor}: {self.action} {self.label}"
