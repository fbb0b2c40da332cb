"""`headroom user`: those who log in to the pages."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any

import click

from headroom_site.cli import setup

ROLES = ("owner", "manager", "viewer")


@click.group("user")
def command() -> None:
    """Make and change the accounts that log in to the dashboard and the admin."""


@command.command("create")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), default="owner", show_default=True)
@click.option("--team", metavar="NAME", help="The team of a manager or viewer.")
@click.option("--password-stdin", is_flag=True, help="Read a password from standard input.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def create(name: str, role: str, team: str | None, password_stdin: bool, as_json: bool) -> None:
    """Make an account called NAME and print a link that logs it in once, within a quarter of an hour.

    A password can be set there, or given here with --password-stdin. Owners may do everything, managers keep the keys and
    budgets of their team, viewers look at their team's figures.
    """
    people = _people()
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else None
    try:
        user = people.create(name, role, _team(team), password=password)
        link = login_link(people.login_token(user))
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc
    except LookupError as exc:
        raise click.ClickException(str(exc)) from exc
    if as_json:
        click.echo(json.dumps({"name": user.username, "role": role, "team": team or "", "login_url": link}))
        return
    click.echo(f"{user.username} can log in with this link, once, within a quarter of an hour:\n\n  {link}\n")


@command.command("change")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), required=True)
@click.option("--team", metavar="NAME", help="The team of a manager or viewer.")
@click.option("--locked", is_flag=True, help="Keep this person out.")
def change(name: str, role: str, team: str | None, locked: bool) -> None:
    """Give NAME another role or team, or keep them out."""
    people = _people()
    try:
        people.change(name, role, _team(team), is_active=not locked)
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc
    except LookupError as exc:
        raise click.ClickException(str(exc)) from exc
    click.echo(f"{name} is changed.")


@command.command("password")
@click.argument("name")
def password(name: str) -> None:
    """Set a password, read from the terminal without being shown, or from standard input."""
    people = _people()
    secret = (
        click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True) if sys.stdin.isatty() else None
    )
    try:
        people.set_password(name, sys.stdin.readline().rstrip("\r\n") if secret is None else secret)
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc
    except LookupError as exc:
        raise click.ClickException(str(exc)) from exc
    click.echo(f"{name} has a new password; sessions with the old one have ended.")


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """List the accounts with their roles and teams."""
    people = _people()
    rows = [
        {
            "name": user.username,
            "role": people.role_of(user) or "",
            "team": user.membership.team.name if hasattr(user, "membership") else "",
            "is_active": user.is_active,
            "last_login": user.last_login.isoformat() if user.last_login else None,
        }
        for user in people.list_people()
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    if not rows:
        click.echo("Nobody yet. Make an account: headroom user create NAME")
    for row in rows:
        state = "" if row["is_active"] else "  kept out"
        click.echo(f"{row['name']:24}  {row['role']:8}  {row['team'] or '-':16}{state}")


def login_link(token: str) -> str:
    """The address that a login token is used at."""
    return f"{import_module('headroom_site.server').pages_url()}/login/once?token={token}"


def _people() -> Any:
    setup.database()
    return import_module("budgets.people")


def _team(name: str | None) -> Any:
    return import_module("budgets.teams").find(name) if name else None
