"""`headroom telemetry`: what is counted, and whether it goes anywhere."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib import import_module

import click

from headroom_site.cli import setup


@click.command("telemetry")
@click.option("--show", is_flag=True, help="Print exactly what would be sent.")
def command(show: bool) -> None:
    """Say whether anonymous aggregates are collected and sent, and print them.

    Nothing leaves this machine unless HEADROOM_TELEMETRY_ENDPOINT is set. HEADROOM_TELEMETRY=off or DO_NOT_TRACK=1 turn it
    off altogether.
    """
    settings = setup.database() if show else setup.django()
    if show:
        document = import_module("headroom_site.tasks").telemetry_payload(datetime.now(UTC))
        click.echo(json.dumps(document, indent=2))
        return
    click.echo(f"collected: {'yes' if settings.TELEMETRY_ENABLED else 'no'}")
    where = settings.TELEMETRY_ENDPOINT if settings.TELEMETRY_ENABLED else ""
    click.echo(f"sent to:   {where or 'nobody'}")
