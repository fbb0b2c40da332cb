"""What somebody who logs in, or whose key may manage, gets to see: everything, one team's, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Model, Q, QuerySet

from budgets.models import ApiKey, Budget, Team, UpstreamCredential
from savings.models import LedgerEntry

Role = Literal["owner", "manager", "viewer"]
ROLES: tuple[Role, ...] = ("owner", "manager", "viewer")

RIGHTS: dict[Role, tuple[str, ...]] = {
    "owner": (
        "view_apikey add_apikey change_apikey",
        "view_team add_team change_team delete_team",
        "view_budget add_budget change_budget",
        "view_upstreamcredential add_upstreamcredential change_upstreamcredential delete_upstreamcredential",
        "view_priceoverride add_priceoverride change_priceoverride delete_priceoverride",
        "view_ledgerentry view_change",
        "view_user add_user change_user",
    ),
    "manager": (
        "view_apikey add_apikey change_apikey",
        "view_budget add_budget change_budget",
        "view_team view_ledgerentry",
    ),
    "viewer": ("view_apikey view_budget view_team view_ledgerentry",),
}
"""What each group may do with what its members see."""


@dataclass(frozen=True, slots=True)
class Scope:
    """How far somebody sees. `team_id` is the team of managers and viewers; without one they see nothing."""

    role: Role | None = None
    team_id: int | None = None

    @property
    def is_everything(self) -> bool:
        return self.role == "owner"

    @property
    def may_change(self) -> bool:
        return self.role in ("owner", "manager")


NOTHING = Scope()
EVERYTHING = Scope("owner")


def scope_of(user: User | AnonymousUser) -> Scope:
    """How far somebody sees who is logged in. Groups and the team are read from the database."""
    if not user.is_authenticated or not user.is_active:
        return NOTHING
    if user.is_superuser:
        return EVERYTHING
    groups = set(user.groups.values_list("name", flat=True))
    role = next((role for role in ROLES if role in groups), None)
    membership = getattr(user, "membership", None)
    return Scope(role, membership.team_id if membership and role != "owner" else None)


def scope_of_key(key: ApiKey) -> Scope:
    """How far a key may manage: its team's things, or everything where it has no team and is for managing."""
    if not key.is_admin:
        return NOTHING
    return EVERYTHING if key.team_id is None else Scope("manager", key.team_id)


def visible(rows: QuerySet[Any], scope: Scope) -> QuerySet[Any]:
    """Those of the rows that are in scope. What is of no team is for owners."""
    if scope.is_everything:
        return rows
    which = _OF_TEAM.get(rows.model)
    if which is None or scope.team_id is None:
        return rows.none()
    return rows.filter(which(scope.team_id))


_OF_TEAM: dict[type[Model], Callable[[int], Q]] = {
    ApiKey: lambda team: Q(team=team),
    Team: lambda team: Q(pk=team),
    Budget: lambda team: Q(team=team) | Q(key__team=team),
    UpstreamCredential: lambda team: Q(team=team) | Q(key__team=team),
    LedgerEntry: lambda team: Q(owner=f"team:{team}"),
}
