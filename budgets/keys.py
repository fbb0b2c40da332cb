"""The only writer of keys and teams: the command line, the admin and the API all come here."""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from budgets.models import ApiKey, Revision, Team

MARK = "hr_"
PREFIX_CHARS = len(MARK) + 8
SECRET_BYTES = 32
MIN_RANDOM_CHARS = 32
MAX_NAME_CHARS = 100
MAX_LABELS = 20
MAX_WORDS = 50
DEFAULT_OVERLAP = timedelta(hours=24)
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


class NoSuchKey(LookupError):
    """No key has this id, prefix or name."""


class NoSuchTeam(LookupError):
    """No team has this name."""


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
    secret = MARK + secrets.token_urlsafe(SECRET_BYTES)
    with transaction.atomic():
        key = _new_key(name, secret, team=team, labels=labels or {}, expires_at=expires_at)
        _permit(key, permissions)
        key.save(force_insert=True)
        changed()
    return key, secret


def bootstrap(secret: str, name: str = "bootstrap") -> ApiKey:
    """The key with this secret, made if it does not exist. A revoked one stays revoked. Raises WeakSecret."""
    if not _SECRET.fullmatch(secret):
        raise WeakSecret
    with transaction.atomic():
        fresh = _new_key(name, secret, team="", labels={}, expires_at=None)
        key, is_new = ApiKey.objects.get_or_create(
            secret_sha256=fresh.secret_sha256, defaults={"id": fresh.id, "name": fresh.name, "prefix": fresh.prefix}
        )
        if is_new:
            changed()
    return key


def list_keys() -> list[ApiKey]:
    """All keys with their teams, oldest first; revoked and expired ones too."""
    return list(ApiKey.objects.select_related("team").order_by("created_at", "id"))


def revoke(reference: str) -> ApiKey:
    """Revoke the key with this id, prefix or name; every worker refuses it within 2 s. Twice is as good as once.

    Raises NoSuchKey, or AmbiguousKey when several that are not revoked yet share a name.
    """
    with transaction.atomic():
        key = _find(reference)
        if key.revoked_at is None:
            key.revoked_at = timezone.now()
            key.save(update_fields=["revoked_at"])
            changed()
    return key


def rotate(reference: str, *, overlap: timedelta = DEFAULT_OVERLAP) -> tuple[ApiKey, str]:
    """A new secret for a key. The old one works on for the overlap; one that is older still stops at once.

    Raises NoSuchKey or AmbiguousKey; revoked keys stay revoked and are not found.
    """
    if overlap < timedelta(0):
        raise BadPermission("an overlap is not negative")
    secret = MARK + secrets.token_urlsafe(SECRET_BYTES)
    with transaction.atomic():
        key = _find(reference)
        if key.revoked_at is not None:
            raise NoSuchKey(f"key {reference!r} was revoked; make a new one")
        key.previous_prefix, key.previous_sha256 = key.prefix, key.secret_sha256
        key.previous_expires_at = timezone.now() + overlap
        key.prefix, key.secret_sha256 = secret[:PREFIX_CHARS], sha256(secret)
        key.save(update_fields=["prefix", "secret_sha256", "previous_prefix", "previous_sha256", "previous_expires_at"])
        changed()
    return key, secret


def permit(reference: str, permissions: Permissions) -> ApiKey:
    """Say anew what a key may be used for. Raises BadPermission, NoSuchKey or AmbiguousKey."""
    with transaction.atomic():
        key = _find(reference)
        _permit(key, permissions)
        key.save(update_fields=[*PERMISSION_FIELDS])
        changed()
    return key


def find(reference: str) -> ApiKey:
    """The key with this id, prefix or name. Raises NoSuchKey or AmbiguousKey."""
    with transaction.atomic():
        return _find(reference)


def find_team(name: str) -> Team:
    """The team of this name. Raises NoSuchTeam."""
    team = Team.objects.filter(name=name.strip()).first()
    if team is None:
        raise NoSuchTeam(f"there is no team {name!r}; a team begins with its first key")
    return team


def sha256(secret: str) -> str:
    """What is stored of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _new_key(name: str, secret: str, *, team: str, labels: Mapping[str, str], expires_at: datetime | None) -> ApiKey:
    if len(labels) > MAX_LABELS:
        raise BadName(f"{len(labels)} labels: at most {MAX_LABELS} are kept")
    return ApiKey(
        id=uuid.uuid4(),
        name=_printable("name", name),
        prefix=secret[:PREFIX_CHARS],
        secret_sha256=sha256(secret),
        team=Team.objects.get_or_create(name=_printable("team", team))[0] if team else None,
        labels={_printable("label", label): _printable("label", value) for label, value in labels.items()},
        expires_at=expires_at,
    )


PERMISSION_FIELDS = (
    "allowed_models",
    "allowed_routes",
    "allowed_upstreams",
    "requests_per_minute",
    "tokens_per_minute",
)


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


def _printable(what: str, text: str) -> str:
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
