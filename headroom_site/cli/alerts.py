"""`headroom alerts`: what was said, and whether it arrived."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

import click

from headroom_site.cli import setup


@click.group("alerts")
def command() -> None:
    """Events that somebody should know of, and their webhook."""


@command.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(limit: int, as_json: bool) -> None:
    """The newest events, newest first, and what became of them."""
    _, alerts = _open()
    rows = [_row(alert) for alert in alerts.recent(limit)]
    if as_json:
        click.echo(json.dumps(rows))
        return
    if not rows:
        click.echo("Nothing has happened that anybody should know of.")
    for row in rows:
        click.echo(f"{row['created_at'][:19]}  {row['state']:10}  {row['message']}")


@command.command("test")
def test() -> None:
    """Send a test event to the webhook, once. Exit code 1 when it is not taken."""
    settings, alerts = _open()
    if not settings.ALERT_WEBHOOK_URL:
        raise click.UsageError("there is no webhook: set HEADROOM_ALERT_WEBHOOK_URL and HEADROOM_ALERT_WEBHOOK_SECRET")
    problem = alerts.send(alerts.event("test", "a test of the webhook"), datetime.now(UTC))
    if problem:
        raise click.ClickException(problem)
    click.echo("The webhook took it.")


@command.command("reset")
@click.argument("budget_id", type=int)
def reset(budget_id: int) -> None:
    """Have budget BUDGET_ID say again, in its running period, when 80 % and when all of it is spent."""
    setup.database()
    try:
        import_module("budgets.limits").reset_alert(budget_id)
    except LookupError as exc:
        raise click.ClickException(str(exc)) from exc
    click.echo(f"Budget {budget_id} will say again when 80 % and when all of it is spent.")


def _open() -> tuple[Any, Any]:
    return setup.database(), import_module("budgets.alerts")


def _row(alert: Any) -> dict[str, Any]:
    return {
        "id": str(alert.pk),
        "type": alert.kind,
        "message": alert.message,
        "created_at": alert.created_at.isoformat(),
        "state": alert.state,
        "attempts": alert.attempts,
        "problem": alert.problem,
        "data": alert.details,
    }
