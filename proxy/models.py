"""What the road remembers of conversations: decisions, and the originals behind shortened texts."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from proxy.learning.models import FormCount, FormUse, PolicyVersion

__all__ = [
    "Decision",
    "EpochRecord",
    "FormCount",
    "FormUse",
    "Original",
    "PolicyVersion",
    "RefusedEdit",
    "RetrievalOffer",
    "RetrievalTurn",
    "WindowRecord",
]


class Decision(models.Model):
    """What was sent instead of one tool result. It is replayed word for word as long as the conversation lives.

    `form` is zlib-compressed UTF-8 (PostgreSQL's text cannot hold a NUL), or `None` when the text was left alone; that is
    a decision too. `refers_to` is the key of the result or call that a form sends the model back to,
    `epoch` the number of the epoch that was in force when it was made (0: none).
    """

    key = models.CharField(primary_key=True, max_length=32)
    form = models.BinaryField(null=True)
    label = models.CharField(max_length=80, blank=True)
    reason = models.CharField(max_length=80, blank=True)
    tokens_before = models.PositiveIntegerField()
    tokens_after = models.PositiveIntegerField()
    original_hash = models.CharField(max_length=24, blank=True)
    # The database's default too: workers of an older version go on while a newer one starts.
    refers_to = models.CharField(max_length=32, blank=True, default="", db_default="")
    level = models.CharField(max_length=16)
    policy_version = models.PositiveIntegerField()
    engine_version = models.PositiveIntegerField()
    # Where it was decided, as the ledger names conversations; empty where that is not known.
    conversation = models.CharField(max_length=40, blank=True, default="", db_default="")
    epoch = models.PositiveBigIntegerField(default=0, db_default=0)
    created_at = models.DateTimeField()
    used_at = models.DateTimeField(db_index=True)

    class Meta:
        indexes = [models.Index(fields=["conversation"], condition=~Q(conversation=""), name="decision_conversation")]

    def __str__(self) -> str:
        return f"{self.key}: {self.label or self.reason}"


class Original(models.Model):
    """The full text behind a shortened one, zlib-compressed. Only its owner can have it back."""

    owner = models.CharField(max_length=200)
    hash = models.CharField(max_length=24)
    content = models.BinaryField()
    tokens = models.PositiveIntegerField()
    tokens_sent = models.PositiveIntegerField()
    lines_sent = models.PositiveIntegerField()
    tool = models.CharField(max_length=200, blank=True)
    retrieval_count = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "hash"], name="original_owner_hash")]

    def __str__(self) -> str:
        return f"{self.hash} of {self.owner}"


class EpochRecord(models.Model):
    """A moment at which a conversation's older results began to go out in their deep form.

    `chain` names the conversation up to then, `root` all of the conversation that begin with the same result, `results` are the keys of those
    that were there, `deepened` all keys in force since (blank-separated), `buried` those of them of which one line is left,
    `after` the number of the epoch in force before (0: none), `turn` the answers so far. Predicted cost and gain are in tokens at the price of fresh input,
    a token read from the cache being `read_share` of one. `spared_at_once` is what the request that began it did not have to
    write, where the cache was cold; `last_turn` is how far the conversation has come since.
    """

    owner = models.CharField(max_length=200)
    chain = models.CharField(max_length=32)
    trigger = models.CharField(max_length=16)
    turn = models.PositiveIntegerField()
    deepened = models.TextField()
    mark_key = models.CharField(max_length=32, blank=True)
    saved_tokens = models.IntegerField()
    predicted_cost = models.FloatField()
    predicted_gain = models.FloatField()
    # For workers of an older version, as above.
    buried = models.TextField(blank=True, default="", db_default="")
    read_share = models.FloatField(default=0.1, db_default=0.1)
    spared_at_once = models.FloatField(default=0.0, db_default=0.0)
    last_turn = models.PositiveIntegerField(default=0, db_default=0)
    conversation = models.CharField(max_length=40, blank=True, default="", db_default="")
    root = models.CharField(max_length=32, blank=True, default="", db_default="")
    results = models.BinaryField(default=b"", db_default=b"")
    after = models.PositiveBigIntegerField(default=0, db_default=0)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name = "epoch"
        constraints = [models.UniqueConstraint(fields=["owner", "chain", "turn"], name="epoch_owner_chain_turn")]
        indexes = [
            models.Index(fields=["conversation"], condition=~Q(conversation=""), name="epoch_conversation"),
            models.Index(fields=["owner", "root"], name="epoch_owner_root"),
        ]

    @property
    def realised_gain(self) -> float:
        """What the epoch has spared so far, as `predicted_gain` counts it, but for rounds: those are calls of their own."""
        return self.spared_at_once + self.read_share * self.saved_tokens * max(0, self.last_turn - self.turn)

    def __str__(self) -> str:
        return f"{self.trigger} epoch at turn {self.turn}"


class WindowRecord(models.Model):
    """What was taken out of a conversation because its context window was full, to be taken out of every later request.

    It holds for requests whose first `length` messages are those that `chain` names; `root` finds it by the first few.
    `cuts` are [start, end, marker] of messages, `deepened` the keys of results in a deeper form (blank-separated).
    """

    owner = models.CharField(max_length=200)
    root = models.CharField(max_length=32)
    chain = models.CharField(max_length=32)
    length = models.PositiveIntegerField()
    cuts = models.JSONField(default=list)
    deepened = models.TextField(blank=True)
    trigger = models.CharField(max_length=16)
    tokens_before = models.PositiveIntegerField()
    tokens_after = models.PositiveIntegerField()
    created_at = models.DateTimeField()
    used_at = models.DateTimeField(db_index=True)

    class Meta:
        indexes = [models.Index(fields=["owner", "root"], name="window_owner_root")]

    def __str__(self) -> str:
        return f"{self.tokens_before:,} tokens made {self.tokens_after:,} ({self.trigger})"


class RefusedEdit(models.Model):
    """A request that its provider refused as we had edited it, and took as the client sent it.

    Whatever goes on from its `length` messages, which `chain` names, is left alone if it was the second refusal `in_a_row`.
    `conversation` is the ledger's name, or made of the provider's where that keeps what came before.
    """

    owner = models.CharField(max_length=200)
    conversation = models.CharField(max_length=40)
    chain = models.CharField(max_length=32)
    length = models.PositiveIntegerField()
    # For workers of an older version, which leave a conversation alone at once.
    in_a_row = models.PositiveSmallIntegerField(default=2, db_default=2)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "conversation", "chain"], name="refused_owner_conversation_chain")
        ]

    def __str__(self) -> str:
        return f"{self.conversation} after {self.length} messages"


class RetrievalOffer(models.Model):
    """A conversation that is offered `headroom_retrieve`, known by everything before its first answer."""

    owner = models.CharField(max_length=200)
    root = models.CharField(max_length=32)
    used_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "root"], name="offer_owner_root")]

    def __str__(self) -> str:
        return f"{self.root} of {self.owner}"


class RetrievalTurn(models.Model):
    """A turn in which the model called `headroom_retrieve`, known by what its client saw; zlib-compressed JSON."""

    owner = models.CharField(max_length=200)
    root = models.CharField(max_length=32)
    identity = models.CharField(max_length=32)
    turn = models.BinaryField()
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "root", "identity"], name="turn_owner_root_identity")]

    def __str__(self) -> str:
        return f"{self.identity} of {self.root}"
