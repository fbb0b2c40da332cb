"""The only writer of keys: the command line, the admin and the API all come here."""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from budgets import trail, versions
from budgets.models import ApiKey, Revision, Team

MARK = "hr_"
PREFIX_CHARS = len(MARK) + 8
SECRET_BYTES = 32
MIN_RANDOM_CHARS = 32
MAX_NAME_CHARS = 100
MAX_LABELS = 20
MAX_WORDS = 50
DEFAULT_OVERLAP = timedelta(hours=24)
MAX_OVERLAP = timedelta(days=365)
REVISION = "keys"

IN_URL = re.compile(rb"hr(?:_|%5[fF])[A-Za-z0-9_%-]{16,}")
"""What looks like a key of ours in an address."""
_SECRET = re.compile(rf"{MARK}[A-Za-z0-9_-]{{{MIN_RANDOM_CHARS},200}}")


class BadName(ValueError):
    """A name, team or label that would not print, or not fit."""


class WeakSecret(ValueError):
    """A secret brought along that is too short, or has characters that do not fit in a header."""

    def __init__(self) -> None:
        super().__init__(
            f"a key begins with {MARK} and goes on with at least {MIN_RANDOM_CHARS} letters, digits, _ or -"
        )


class BadPermission(ValueError):
    """A model, route, upstream or rate that cannot be meant."""


@dataclass(frozen=True, slots=True)
class Permissions:
    """What a key may be used for; empty is everything. A rate of `None` is what the settings say, 0 is no limit."""

    models: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    upstreams: tuple[str, ...] = ()
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


EVERYTHING = Permissions()


@dataclass(frozen=True, slots=True)
class Shape:
    """What people choose about a key. `team` is a name, "" for a key on its own."""

    name: str
    team: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    expires_at: datetime | None = None
    permissions: Permissions = EVERYTHING
    is_admin: bool = False


class NoSuchKey(LookupError):
    """No key has this id, prefix or name."""


class AmbiguousKey(LookupError):
    """Several keys share this name or prefix."""


def create(
    name: str,
    team: str = "",
    labels: Mapping[str, str] | None = None,
    *,
    expires_at: datetime | None = None,
    permissions: Permissions = EVERYTHING,
) -> tuple[ApiKey, str]:
    """A new key and its secret, which nobody can ever show again. A team that does not exist yet is made."""
    return issue(Shape(name, team, labels or {}, expires_at, permissions))


def issue(shape: Shape, *, by: str = trail.COMMAND_LINE) -> tuple[ApiKey, str]:
    """As `create`, of this shape."""
    secret = _new_secret()
    with transaction.atomic():
        key = ApiKey(id=uuid.uuid4(), prefix=secret[:PREFIX_CHARS], secret_sha256=sha256(secret))
        _shape(key, shape)
        key.save(force_insert=True)
        trail.record("issued", key, by=by, **_told(key))
        changed()
    return key, secret


def bootstrap(secret: str, name: str = "bootstrap") -> ApiKey:
    """The key with this secret, made if it does not exist. A revoked one stays revoked. Raises WeakSecret."""
    if not _SECRET.fullmatch(secret):
        raise WeakSecret
    with transaction.atomic():
        key, is_new = ApiKey.objects.get_or_create(
            secret_sha256=sha256(secret), defaults={"name": printable("name", name), "prefix": secret[:PREFIX_CHARS]}
        )
        if is_new:
            trail.record("issued", key, by=trail.START)
            changed()
    return key


def check(shape: Shape) -> None:
    """Raise BadName or BadPermission where no key could have this shape."""
    _shape(ApiKey(), replace(shape, team=""))


def list_keys() -> list[ApiKey]:
    """All keys with their teams, oldest first; revoked and expired ones too."""
    return list(ApiKey.objects.select_related("team").order_by("created_at", "id"))


def change(reference: str, shape: Shape, *, seen: str = "", by: str = trail.COMMAND_LINE) -> ApiKey:
    """Give a key another shape. `seen` is its version when it was looked at, see `budgets.versions`.

    Raises BadName, BadPermission, NoSuchKey, AmbiguousKey or versions.ChangedMeanwhile.
    """
    with transaction.atomic():
        key = _find(reference)
        versions.check(key, seen)
        before = _told(key)
        _shape(key, shape)
        key.save()
        after = _told(key)
        trail.record("changed", key, by=by, **{name: after[name] for name in after if after[name] != before[name]})
        changed()
    return key


def revoke(reference: str, *, by: str = trail.COMMAND_LINE) -> ApiKey:
    """Revoke the key with this id, prefix or name; every worker refuses it within 2 s. Twice is as good as once.

    Raises NoSuchKey, or AmbiguousKey when several that are not revoked yet share a name.
    """
    with transaction.atomic():
        key = _find(reference)
        if key.revoked_at is None:
            key.revoked_at = timezone.now()
            key.save(update_fields=["revoked_at"])
            trail.record("revoked", key, by=by)
            changed()
    return key


def rotate(
    reference: str, *, overlap: timedelta = DEFAULT_OVERLAP, seen: str = "", by: str = trail.COMMAND_LINE
) -> tuple[ApiKey, str]:
    """A new secret for a key. The old one works on for the overlap; one that is older still stops at once.

    Raises NoSuchKey, AmbiguousKey or versions.ChangedMeanwhile; revoked keys stay revoked and are not found.
    """
    if not timedelta(0) <= overlap <= MAX_OVERLAP:
        raise BadPermission(f"an overlap is from 0 hours to {MAX_OVERLAP.days} days")
    secret = _new_secret()
    with transaction.atomic():
        key = _find(reference)
        if key.revoked_at is not None:
            raise NoSuchKey(f"key {reference!r} was revoked; make a new one")
        versions.check(key, seen)
        key.previous_prefix, key.previous_sha256 = key.prefix, key.secret_sha256
        key.previous_expires_at = timezone.now() + overlap
        key.prefix, key.secret_sha256 = secret[:PREFIX_CHARS], sha256(secret)
        key.save(update_fields=["prefix", "secret_sha256", "previous_prefix", "previous_sha256", "previous_expires_at"])
        trail.record("rotated", key, by=by, old_prefix=key.previous_prefix, old_secret_until=key.previous_expires_at)
        changed()
    return key, secret


def permit(reference: str, permissions: Permissions, *, by: str = trail.COMMAND_LINE) -> ApiKey:
    """Say anew what a key may be used for. Raises BadPermission, NoSuchKey or AmbiguousKey."""
    with transaction.atomic():
        key = _find(reference)
        return change(str(key.pk), replace(shape_of(key), permissions=permissions), by=by)


def find(reference: str) -> ApiKey:
    """The key with this id, prefix or name. Raises NoSuchKey or AmbiguousKey."""
    with transaction.atomic():
        return _find(reference)


def find_by_secret(secret: str) -> ApiKey | None:
    """The key that this secret opens now: not revoked, not expired. Asks the database, so it knows of every change."""
    digest, now = sha256(secret), timezone.now()
    is_good = Q(secret_sha256=digest) | Q(previous_sha256=digest, previous_expires_at__gt=now)
    is_in_time = Q(expires_at__isnull=True) | Q(expires_at__gt=now)
    return ApiKey.objects.select_related("team").filter(is_good, is_in_time, revoked_at__isnull=True).first()


def shape_of(key: ApiKey) -> Shape:
    """The shape that a key has."""
    return Shape(
        name=key.name,
        team=key.team.name if key.team else "",
        labels=key.labels,
        expires_at=key.expires_at,
        permissions=Permissions(
            models=tuple(key.allowed_models),
            routes=tuple(key.allowed_routes),
            upstreams=tuple(key.allowed_upstreams),
            requests_per_minute=key.requests_per_minute,
            tokens_per_minute=key.tokens_per_minute,
        ),
        is_admin=key.is_admin,
    )


def sha256(secret: str) -> str:
    """What is stored of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _new_secret() -> str:
    return MARK + secrets.token_urlsafe(SECRET_BYTES)


def _shape(key: ApiKey, shape: Shape) -> None:
    if len(shape.labels) > MAX_LABELS:
        raise BadName(f"{len(shape.labels)} labels: at most {MAX_LABELS} are kept")
    key.name = printable("name", shape.name)
    key.team = Team.objects.get_or_create(name=printable("team", shape.team))[0] if shape.team else None
    key.labels = {printable("label", label): printable("label", value) for label, value in shape.labels.items()}
    key.expires_at = shape.expires_at
    key.is_admin = shape.is_admin
    _permit(key, shape.permissions)


def _told(key: ApiKey) -> dict[str, Any]:
    """A key's shape as the trail tells it."""
    shape = asdict(shape_of(key))
    permissions = shape.pop("permissions")
    return {**shape, **permissions}


def _permit(key: ApiKey, permissions: Permissions) -> None:
    for words in (permissions.models, permissions.routes, permissions.upstreams):
        if len(words) > MAX_WORDS or any(not 0 < len(word) <= 200 or not word.isprintable() for word in words):
            raise BadPermission(f"at most {MAX_WORDS} printable names of up to 200 characters")
    if any(not route.startswith("/") for route in permissions.routes):
        raise BadPermission("a route begins with /, as in /v1/messages")
    rates = (permissions.requests_per_minute, permissions.tokens_per_minute)
    if any(rate is not None and not 0 <= rate < 2**31 for rate in rates):
        raise BadPermission("a rate is a number from 0 (no limit) to 2147483647")
    key.allowed_models = list(permissions.models)
    key.allowed_routes = list(permissions.routes)
    key.allowed_upstreams = list(permissions.upstreams)
    key.requests_per_minute, key.tokens_per_minute = rates


def printable(what: str, text: str) -> str:
    """The text without blanks around it: one line, as it ends up in headers, logs and tables."""
    text = text.strip()
    if not text or len(text) > MAX_NAME_CHARS or not text.isprintable():
        raise BadName(f"a {what} has 1 to {MAX_NAME_CHARS} characters, all of them printable")
    return text


def _find(reference: str) -> ApiKey:
    wanted = Q(prefix=reference) | Q(name=reference)
    if reference:
        wanted |= Q(previous_prefix=reference)
    with contextlib.suppress(ValueError):
        wanted |= Q(pk=uuid.UUID(reference))
    found = list(ApiKey.objects.select_related("team").select_for_update(of=("self",)).filter(wanted))
    active = [key for key in found if key.revoked_at is None]
    if not found:
        raise NoSuchKey(f"no key has the id, prefix or name {reference!r}")
    if len(active) > 1:
        raise AmbiguousKey(f"{len(active)} keys are called {reference!r}: name the one by its id or prefix")
    return (active or found)[0]


def changed() -> None:
    """Tell every worker's snapshot. The last statement of a transaction: it makes writers of keys wait for each other."""
    if not Revision.objects.filter(pk=REVISION).update(number=F("number") + 1):
        Revision.objects.get_or_create(pk=REVISION, defaults={"number": 1})
