"""`headroom key`: the keys that this proxy hands out to its users."""

from __future__ import annotations

import json
from datetime import datetime
from importlib import import_module
from typing import Any

import click

from headroom_site.cli import setup


@click.group("key")
def command() -> None:
    """Create, list and revoke keys of this proxy (hr_…)."""


@command.command("create")
@click.argument("name")
@click.option("--team", default="", help="Whose key it is; keys of a team share retrievals.")
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="May be given several times.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def create(name: str, team: str, labels: tuple[str, ...], as_json: bool) -> None:
    """Make a key called NAME and print its secret, this once."""
    pairs = dict(label.split("=", 1) for label in labels if "=" in label)
    if len(pairs) != len(labels):
        raise click.UsageError("--label takes NAME=VALUE")
    keys = _keys()
    try:
        key, secret = keys.create(name, team=team, labels=pairs)
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc
    if as_json:
        click.echo(json.dumps({"id": str(key.id), "name": key.name, "secret": secret}))
        return
    click.echo(
        f"{secret}\n\nThis is the only time it is shown. Send it as the header x-headroom-key beside the provider's own credential."
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
    setup.django()
    import_module("headroom_site.server").prepare_database()
    return import_module("budgets.keys")


def _row(key: Any) -> dict[str, Any]:
    def when(moment: datetime | None) -> str | None:
        return moment.isoformat() if moment else None

    state = "revoked" if key.revoked_at else "active"
    return {
        "id": str(key.id),
        "prefix": key.prefix,
        "name": key.name,
        "team": key.team.name if key.team else "",
        "labels": key.labels,
        "state": state,
        "created_at": when(key.created_at),
        "expires_at": when(key.expires_at),
        "revoked_at": when(key.revoked_at),
    }
