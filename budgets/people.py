"""The only writer of those who log in: their role, their team, their links to log in with."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from django.contrib.auth.models import Group, Permission, User
from django.contrib.auth.password_validation import validate_password
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from budgets import trail
from budgets.access import RIGHTS, ROLES, Role
from budgets.models import LoginLink, Membership, Team

LINK_LIFETIME = timedelta(minutes=15)
TOKEN_BYTES = 32
FIRST = "owner"


class BadPerson(ValueError):
    """A name, password or role that will not do."""


class NoSuchPerson(LookupError):
    """Nobody has this name."""


def create(
    name: str, role: Role, team: Team | None = None, *, password: str | None = None, by: str = trail.COMMAND_LINE
) -> User:
    """Somebody who can log in: with the password, or with links only where there is none. Raises BadPerson."""
    user = User(username=name.strip(), is_staff=True)
    try:
        if password is not None:
            validate_password(password, user)
        user.set_password(password)
        user.full_clean()
    except ValidationError as exc:
        raise BadPerson(" ".join(exc.messages)) from exc
    with transaction.atomic():
        user.save(force_insert=True)
        _place(user, role, team)
        trail.record("made", user, by=by, role=role, team=team.name if team else "")
    return user


def change(
    name: str, role: Role, team: Team | None = None, *, is_active: bool = True, by: str = trail.COMMAND_LINE
) -> User:
    """Give somebody another role or team, or keep them out. Raises NoSuchPerson, or BadPerson for the last owner."""
    with transaction.atomic():
        user = _locked(name)
        user.is_active = is_active
        user.save(update_fields=["is_active"])
        _place(user, role, team)
        if not owners().exists():
            raise BadPerson("somebody has to stay an owner")
        trail.record("changed", user, by=by, role=role, team=team.name if team else "", is_active=is_active)
    return user


def set_password(name: str, password: str, *, by: str = trail.COMMAND_LINE) -> User:
    """Another password; whoever is logged in with the old one is not any more. Raises BadPerson or NoSuchPerson."""
    with transaction.atomic():
        user = _locked(name)
        try:
            validate_password(password, user)
        except ValidationError as exc:
            raise BadPerson(" ".join(exc.messages)) from exc
        user.set_password(password)
        user.save(update_fields=["password"])
        trail.record("password set", user, by=by)
    return user


def list_people() -> list[User]:
    """Everybody who can log in, with role and team."""
    return list(User.objects.prefetch_related("groups").select_related("membership__team").order_by("username"))


def role_of(user: User) -> Role | None:
    """The role of somebody whose groups may have been prefetched."""
    names = {group.name for group in user.groups.all()}
    return next((role for role in ROLES if role in names), None)


def owners() -> QuerySet[User]:
    """Those owners who may log in."""
    return User.objects.filter(groups__name="owner", is_active=True)


def first_owner() -> User:
    """The owner of a proxy that one person runs, made if nobody was yet. Raises BadPerson where there are several."""
    with transaction.atomic():
        found = list(owners().order_by("pk")[:2])
        if len(found) > 1:
            raise BadPerson("there are several owners: say which one with --user NAME")
        return found[0] if found else create(FIRST, "owner")


def find(name: str) -> User:
    """Somebody by name. Raises NoSuchPerson."""
    user = User.objects.filter(username=name).first()
    if user is None:
        raise NoSuchPerson(f"nobody is called {name!r}; `headroom user create` makes an account")
    return user


def login_token(user: User, *, lifetime: timedelta = LINK_LIFETIME, by: str = trail.COMMAND_LINE) -> str:
    """The secret of a new link that logs this person in once. Only its hash is kept."""
    token = secrets.token_hex(TOKEN_BYTES)  # which never looks like a key, as those are refused in addresses
    now = timezone.now()
    with transaction.atomic():
        LoginLink.objects.filter(expires_at__lte=now).delete()
        LoginLink.objects.create(user=user, token_sha256=_sha256(token), expires_at=now + lifetime)
        trail.record("login link made", user, by=by)
    return token


def is_good(token: str) -> User | None:
    """Whom a link would log in, without using it up."""
    link = LoginLink.objects.select_related("user").filter(token_sha256=_sha256(token), expires_at__gt=timezone.now())
    found = link.first()
    return found.user if found is not None and found.user.is_active else None


def redeem(token: str) -> User | None:
    """Use a link up: whom it logs in, or `None` where it is unknown, too old, or was used."""
    with transaction.atomic():
        user = is_good(token)
        if user is None:
            return None
        # Whoever deletes the row is the one who came in: two who click at once are never both.
        used, _ = LoginLink.objects.filter(token_sha256=_sha256(token)).delete()
        return user if used else None


def forget_expired(now: datetime) -> int:
    """Delete sessions and login links that let nobody in any more; how many that were."""
    sessions, _ = Session.objects.filter(expire_date__lte=now).delete()
    links, _ = LoginLink.objects.filter(expires_at__lte=now).delete()
    return sessions + links


def grant() -> None:
    """Give every group the rights that this release knows. After each migration, as new tables bring new rights."""
    for role in ROLES:
        names = [name for names in RIGHTS[role] for name in names.split()]
        group, _ = Group.objects.get_or_create(name=role)
        group.permissions.set(Permission.objects.filter(codename__in=names, content_type__app_label__in=_APPS))


_APPS = ("auth", "budgets", "savings")


def _place(user: User, role: Role, team: Team | None) -> None:
    if role not in ROLES:
        raise BadPerson(f"a role is one of {', '.join(ROLES)}, not {role!r}")
    if (team is None) != (role == "owner"):
        raise BadPerson("managers and viewers belong to a team, owners to none")
    if not Group.objects.filter(name=role, permissions__isnull=False).exists():
        grant()
    user.groups.set([Group.objects.get(name=role)])
    user.is_superuser = role == "owner"
    user.save(update_fields=["is_superuser"])
    if team is None:
        Membership.objects.filter(user=user).delete()
    else:
        Membership.objects.update_or_create(user=user, defaults={"team": team})


def _locked(name: str) -> User:
    user = User.objects.select_for_update().filter(username=name).first()
    if user is None:
        raise NoSuchPerson(f"nobody is called {name!r}")
    return user


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
