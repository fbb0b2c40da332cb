"""The only writer of keys and teams: the command line, the admin and the API all come here."""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
import uuid
from collections.abc import Mapping
from datetime import datetime

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
REVISION = "keys"

_SECRET = re.compile(rf"{MARK}[A-Za-z0-9_-]{{{MIN_RANDOM_CHARS},200}}")


class BadName(ValueError):
    """A name, team or label that would not print, or not fit."""


class WeakSecret(ValueError):
    """A secret brought along that is too short, or has characters that do not fit in a header."""

    def __init__(self) -> None:
        super().__init__(
            f"a key begins with {MARK} and goes on with at least {MIN_RANDOM_CHARS} letters, digits, _ or -"
        )


class NoSuchKey(LookupError):
    """No key has this id, prefix or name."""


class NoSuchTeam(LookupError):
    """No team has this name."""


class AmbiguousKey(LookupError):
    """Several keys share this name or prefix."""


def create(
    name: str, team: str = "", labels: Mapping[str, str] | None = None, *, expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """A new key and its secret, which nobody can ever show again. A team that does not exist yet is made."""
    secret = MARK + secrets.token_urlsafe(SECRET_BYTES)
    with transaction.atomic():
        key = _new_key(name, secret, team=team, labels=labels or {}, expires_at=expires_at)
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


def _printable(what: str, text: str) -> str:
    """The text without blanks around it: one line, as it ends up in headers, logs and tables."""
    text = text.strip()
    if not text or len(text) > MAX_NAME_CHARS or not text.isprintable():
        raise BadName(f"a {what} has 1 to {MAX_NAME_CHARS} characters, all of them printable")
    return text


def _find(reference: str) -> ApiKey:
    wanted = Q(prefix=reference) | Q(name=reference)
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
