"""Who may use the proxy. Rows are written by `budgets.keys` only, so that every change moves the revision."""

from __future__ import annotations

import uuid

from django.db import models


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

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class Revision(models.Model):
    """A number that grows with every change to a kind of rows, so that workers notice changes by reading one row.

    A counter and not a time of change: clocks of several hosts disagree, and a change could then go unseen.
    """

    name = models.CharField(primary_key=True, max_length=40)
    number = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name} {self.number}"
