"""`headroom migrate`: bring the database up to date (PostgreSQL only needs this; SQLite does it by itself)."""

from __future__ import annotations

from importlib import import_module

import click

from headroom_site.cli import setup


@click.command("migrate")
def command() -> None:
    """Bring the database up to date."""
    setup.django()
    try:
        import_module("django.core.management").call_command("migrate", interactive=False)
        import_module("budgets.people").grant()
    except import_module("django.db").DatabaseError as exc:
        raise click.ClickException(f"the database does not answer: {exc}") from exc
