"""The writer of teams, beside `budgets.keys`, where a team begins with its first key."""

from __future__ import annotations

from django.db import transaction
from django.db.models import ProtectedError

from budgets import keys, trail, versions
from budgets.models import Team


class NoSuchTeam(LookupError):
    """No team has this name or id."""


class BadTeam(ValueError):
    """A name that another team has, or a team that others still need."""


def find(name: str) -> Team:
    """The team of this name. Raises NoSuchTeam."""
    team = Team.objects.filter(name=name.strip()).first()
    if team is None:
        raise NoSuchTeam(f"there is no team {name!r}; a team begins with its first key")
    return team


def create(name: str, *, by: str = trail.COMMAND_LINE) -> Team:
    """A new team, without keys. Raises BadTeam or keys.BadName."""
    name = keys.printable("team", name)
    with transaction.atomic():
        team, is_new = Team.objects.get_or_create(name=name)
        if not is_new:
            raise BadTeam(f"there is a team {name!r} already")
        trail.record("made", team, by=by)
    return team


def rename(team_id: int, name: str, *, seen: str = "", by: str = trail.COMMAND_LINE) -> Team:
    """Another name for a team; entries of the ledger keep the old one. Raises BadTeam, keys.BadName or NoSuchTeam."""
    name = keys.printable("team", name)
    with transaction.atomic():
        team = _get(team_id)
        versions.check(team, seen)
        if Team.objects.filter(name=name).exclude(pk=team.pk).exists():
            raise BadTeam(f"there is a team {name!r} already")
        before, team.name = team.name, name
        team.save(update_fields=["name"])
        trail.record("renamed", team, by=by, from_name=before)
        keys.changed()
    return team


def remove(team_id: int, *, by: str = trail.COMMAND_LINE) -> None:
    """Forget a team that has no keys, budgets and members. Raises BadTeam or NoSuchTeam."""
    with transaction.atomic():
        team = _get(team_id)
        trail.record("removed", team, by=by)
        try:
            team.delete()
        except ProtectedError as exc:
            raise BadTeam(f"team {team} has keys, budgets or members, and what they did stays on record") from exc
        keys.changed()


def _get(team_id: int) -> Team:
    team = Team.objects.select_for_update().filter(pk=team_id).first()
    if team is None:
        raise NoSuchTeam(f"there is no team with the id {team_id}")
    return team
