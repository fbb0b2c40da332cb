"""`headroom key`: the keys that this proxy hands out to its users, and the providers' credentials behind them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import click

from headroom_site.cli import setup


@click.group("key")
def command() -> None:
    """Create, list and revoke keys of this proxy (hr_…)."""


def _permissions(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--tpm", type=click.IntRange(0), help="Tokens a minute; 0 is no limit.  [default: HEADROOM_TPM]"),
        click.option(
            "--rpm", type=click.IntRange(0), help="Requests a minute; 0 is no limit.  [default: HEADROOM_RPM]"
        ),
        click.option("--upstream", "upstreams", multiple=True, help="Only for anthropic, openai or an address."),
        click.option("--route", "routes", multiple=True, help="Only for this route, as in /v1/messages."),
        click.option("--model", "models", multiple=True, help="Only for this model; may end in *."),
    ):
        command = option(command)
    return command


@command.command("create")
@click.argument("name")
@click.option("--expires-days", type=click.IntRange(1, 36_500), help="Days until it expires.  [default: never]")
@_permissions
@click.option("--team", default="", help="Whose key it is; keys of a team share retrievals.")
@click.option("--admin", is_flag=True, help="It may manage keys, teams and budgets: its team's, or all without a team.")
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="May be given several times.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def create(
    name: str,
    team: str,
    admin: bool,
    labels: tuple[str, ...],
    as_json: bool,
    expires_days: int | None,
    **permissions: Any,
) -> None:
    """Make a key called NAME and print its secret, this once."""
    pairs = dict(label.split("=", 1) for label in labels if "=" in label)
    if len(pairs) != len(labels):
        raise click.UsageError("--label takes NAME=VALUE")
    keys = _keys()
    try:
        shape = keys.Shape(
            name,
            team=team,
            labels=pairs,
            expires_at=datetime.now(UTC) + timedelta(days=expires_days) if expires_days else None,
            permissions=_permitted(keys, permissions),
            is_admin=admin,
        )
        key, secret = keys.issue(shape)
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc
    if as_json:
        click.echo(json.dumps({"id": str(key.id), "name": key.name, "secret": secret}))
        return
    click.echo(
        f"{secret}\n\nThis is the only time it is shown. Send it as the header x-headroom-key beside the provider's own credential."
    )


@command.command("permit")
@click.argument("name_or_prefix")
@_permissions
def permit(name_or_prefix: str, **permissions: Any) -> None:
    """Say anew what a key may be used for; without options it is everything."""
    keys = _keys()
    try:
        key = keys.permit(name_or_prefix, _permitted(keys, permissions))
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc
    except LookupError as exc:
        raise click.ClickException(str(exc)) from exc
    click.echo(f"{key.name} is changed; every worker knows within two seconds.")


@command.command("rotate")
@click.argument("name_or_prefix")
@click.option("--overlap-hours", type=click.FloatRange(0, 8760), default=24, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def rotate(name_or_prefix: str, overlap_hours: float, as_json: bool) -> None:
    """Give a key a new secret and print it, this once; the old one works on for the overlap."""
    try:
        key, secret = _keys().rotate(name_or_prefix, overlap=timedelta(hours=overlap_hours))
    except LookupError as exc:
        raise click.ClickException(str(exc)) from exc
    if as_json:
        click.echo(json.dumps({"id": str(key.id), "name": key.name, "secret": secret}))
        return
    click.echo(
        f"{secret}\n\nThis is the only time it is shown. The old secret stops working in {overlap_hours:g} hours."
    )


@command.command("credential")
@click.argument("provider", type=click.Choice(["anthropic", "openai"]))
@click.option("--key", "key", metavar="NAME", help="For this key.  [default: for every key]")
@click.option("--team", metavar="NAME", help="For the keys of this team.")
@click.option("--remove", is_flag=True, help="Forget it.")
def credential(provider: str, key: str | None, team: str | None, remove: bool) -> None:
    """Store a provider's own credential, to be put in where a key of ours stands in its place.

    It is read from the terminal without being shown, or from standard input, and never from an argument.
    """
    if key and team:
        raise click.UsageError("--key or --team, not both")
    keys = _keys()
    credentials = import_module("budgets.credentials")
    try:
        owner = {
            "key": keys.find(key) if key else None,
            "team": import_module("budgets.teams").find(team) if team else None,
        }
        if remove:
            credentials.remove(provider, **owner)
        else:
            secret = click.prompt("Credential", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.read()
            credentials.put(provider, secret, **owner)
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc
    except LookupError as exc:
        raise click.ClickException(str(exc)) from exc
    click.echo(f"The credential for {provider} is {'forgotten' if remove else 'stored, encrypted'}.")


def _permitted(keys: Any, given: dict[str, Any]) -> Any:
    return keys.Permissions(
        models=given["models"],
        routes=given["routes"],
        upstreams=given["upstreams"],
        requests_per_minute=given["rpm"],
        tokens_per_minute=given["tpm"],
    )


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """List keys; secrets are never shown again."""
    rows = [_row(key) for key in _keys().list_keys()]
    if as_json:
        click.echo(json.dumps(rows))
        return
    if not rows:
        click.echo("No keys yet. Make one: headroom key create NAME")
    for row in rows:
        click.echo(f"{row['prefix']}…  {row['name']:24}  {row['team'] or '-':16}  {row['state']}")


@command.command("revoke")
@click.argument("name_or_prefix")
def revoke(name_or_prefix: str) -> None:
    """Revoke the key with this name, prefix or id; it stops working within two seconds."""
    try:
        key = _keys().revoke(name_or_prefix)
    except LookupError as exc:
        raise click.ClickException(str(exc)) from exc
    click.echo(f"{key.name} is revoked.")


def _keys() -> Any:
    setup.database()
    return import_module("budgets.keys")


def _row(key: Any) -> dict[str, Any]:
    def when(moment: datetime | None) -> str | None:
        return moment.isoformat() if moment else None

    is_expired = key.expires_at is not None and key.expires_at <= datetime.now(UTC)
    state = "revoked" if key.revoked_at else "expired" if is_expired else "active"
    return {
        "id": str(key.id),
        "prefix": key.prefix,
        "name": key.name,
        "team": key.team.name if key.team else "",
        "labels": key.labels,
        "state": state,
        "is_admin": key.is_admin,
        "created_at": when(key.created_at),
        "models": key.allowed_models,
        "routes": key.allowed_routes,
        "upstreams": key.allowed_upstreams,
        "rpm": key.requests_per_minute,
        "tpm": key.tokens_per_minute,
        "old_secret_until": when(key.previous_expires_at),
        "expires_at": when(key.expires_at),
        "revoked_at": when(key.revoked_at),
    }
