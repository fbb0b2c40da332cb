"""Tables of what is learned. No text, no question, no path stands in any of them."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class FormUse(models.Model):
    """One form of one tool result that was sent, and whether it was enough.

    Kept for forms that leave something out, and for whole files that were read, however they went out. `level` is how far
    the form goes: `whole` (as it came), `lossless`, `balanced`, `deep`, or `dropped` from a full context window. `asked` are
    the parts of its original that somebody fetched (`proxy.learning.parts`), 0 for none. `was_reread`: the agent read the
    same file once more though nothing it did had changed it. `key` is the decision's, `hash` the original's.
    """

    key = models.CharField(primary_key=True, max_length=32)
    owner = models.CharField(max_length=200)
    hash = models.CharField(max_length=24, blank=True)
    tool = models.CharField(max_length=200)
    form = models.CharField(max_length=80, blank=True)
    level = models.CharField(max_length=16)
    is_file = models.BooleanField(default=False)
    asked = models.PositiveSmallIntegerField(default=0)
    was_reread = models.BooleanField(default=False)
    tokens_before = models.PositiveIntegerField()
    tokens_after = models.PositiveIntegerField()
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        indexes = [models.Index(fields=["owner", "hash"], condition=~Q(hash=""), name="form_use_original")]

    def __str__(self) -> str:
        return f"{self.tool} {self.form} ({self.level})"


class FormCount(models.Model):
    """How often one tool's results went out in one form on one day (UTC), and how often that was not enough.

    `asked` and the parts count results of which at least that was fetched, `files` those that show a whole file, and
    `reread` the ones of these that were read again. Sums of `FormUse`, made anew as long as those rows exist.
    """

    day = models.DateField()
    tool = models.CharField(max_length=200)
    form = models.CharField(max_length=80, blank=True)
    level = models.CharField(max_length=16)
    sent = models.PositiveIntegerField()
    asked = models.PositiveIntegerField()
    files = models.PositiveIntegerField()
    reread = models.PositiveIntegerField()
    whole = models.PositiveIntegerField()
    head = models.PositiveIntegerField()
    middle = models.PositiveIntegerField()
    tail = models.PositiveIntegerField()
    errors = models.PositiveIntegerField()
    search = models.PositiveIntegerField()
    tokens_before = models.BigIntegerField()
    tokens_after = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["day", "tool", "form", "level"], name="form_count_once")]

    def __str__(self) -> str:
        return f"{self.day} {self.tool} {self.form} ({self.level})"


class PolicyVersion(models.Model):
    """Which forms are not to be used any more for which tool: [tool, form, level] each. Its id is the version's number.

    Version 1 is the built-in policy. The adopted one that was decided on last is in force for new conversations; whatever
    was adopted once stays in force for those that began with it. `evidence` is what spoke for each new rule at the time.
    `horizon_share` of the turns so far are counted on to follow, null as the built-in policy has it; `horizon_evidence` is
    what spoke for another one.
    """

    STATES = [(name, name) for name in ("proposed", "adopted", "declined", "superseded")]

    state = models.CharField(max_length=12, choices=STATES, default="proposed")
    rules = models.JSONField(default=list)
    evidence = models.JSONField(default=list)
    horizon_share = models.FloatField(null=True)
    horizon_evidence = models.JSONField(null=True)
    created_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name = "policy version"
        constraints = [
            models.UniqueConstraint(
                fields=["state"], condition=Q(state="proposed"), name="policy_version_one_proposed"
            ),
            models.CheckConstraint(
                condition=Q(decided_at__isnull=False) | Q(state="proposed"), name="policy_version_is_decided"
            ),
        ]

    def __str__(self) -> str:
        return f"policy version {self.pk}"
