"""`headroom budget`: how much keys, teams and everybody together may spend."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from importlib import import_module
from typing import Any

import click

from headroom_site.cli import setup

PERIODS = ("hourly", "daily", "weekly", "monthly", "total")


def usd(text: str) -> Decimal:
    """An amount of dollars as people write it."""
    try:
        return Decimal(text.removeprefix("$"))
    except InvalidOperation:
        raise ValueError(f"{text!r} is not an amount of US dollars such as 5 or 2.50") from None


@click.group("budget")
def command() -> None:
    """Set, list and end budgets."""


@command.command("create")
@click.argument("usd", type=usd, metavar="USD")
@click.option("--period", type=click.Choice(PERIODS), default="monthly", show_default=True)
@click.option("--key", "key", metavar="NAME", help="For this key: its name, prefix or id.")
@click.option("--team", metavar="NAME", help="For all keys of this team together.")
@click.option("--time-zone", default="UTC", show_default=True, help="Whose midnight it is, e.g. Europe/Berlin.")
@click.option("--strict", is_flag=True, help="Never go over it: set aside what a call can cost at most.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def create(
    usd: Decimal, period: str, key: str | None, team: str | None, time_zone: str, strict: bool, as_json: bool
) -> None:
    """Let a key, a team, or everybody together spend USD in each period."""
    keys, limits = _modules()
    try:
        budget = limits.create(
            usd,
            period,
            key=keys.find(key) if key else None,
            team=import_module("budgets.teams").find(team) if team else None,
            time_zone=time_zone,
            policy="strict" if strict else "normal",
        )
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc
    except LookupError as exc:
        raise click.ClickException(str(exc)) from exc
    click.echo(json.dumps(_row(budget, None)) if as_json else f"Budget {budget.pk}: {budget}")


@command.command("set")
@click.argument("budget_id", type=int)
@click.argument("usd", type=usd, metavar="USD")
def set_(budget_id: int, usd: Decimal) -> None:
    """Give budget BUDGET_ID another limit, for the running period too."""
    _, limits = _modules()
    try:
        click.echo(f"Budget {budget_id}: {limits.set_limit(budget_id, usd)}")
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc
    except LookupError as exc:
        raise click.ClickException(str(exc)) from exc


@command.command("top-up")
@click.argument("budget_id", type=int)
@click.argument("usd", type=usd, metavar="USD")
def top_up(budget_id: int, usd: Decimal) -> None:
    """Give budget BUDGET_ID so much more in its running period; the next one begins with its limit again."""
    _, limits = _modules()
    try:
        period = limits.top_up(budget_id, usd)
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc
    except LookupError as exc:
        raise click.ClickException(str(exc)) from exc
    click.echo(f"Budget {budget_id} has ${_exact(period)} in this period.")


@command.command("end")
@click.argument("budget_id", type=int)
def end(budget_id: int) -> None:
    """End budget BUDGET_ID; calls are not counted against it any more."""
    _, limits = _modules()
    try:
        limits.end(budget_id)
    except LookupError as exc:
        raise click.ClickException(str(exc)) from exc
    click.echo(f"Budget {budget_id} has ended.")


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """List the budgets in force with what is spent and set aside in their running periods."""
    _, limits = _modules()
    found = [(budget, period, _row(budget, period)) for budget, period in limits.list_with_periods()]
    if as_json:
        click.echo(json.dumps([row for *_, row in found]))
        return
    if not found:
        click.echo("No budgets. Make one: headroom budget create USD --period daily")
    for budget, period, row in found:
        limit = _exact(period or budget)
        amounts = f"${row['spent_usd']:,.4f} of ${limit}, ${row['set_aside_usd']:,.4f} set aside"
        click.echo(f"{row['id']:>4}  {row['whose']:28}  {row['period']:8} {row['policy']:7}  {amounts}")


def _modules() -> tuple[Any, Any]:
    setup.database()
    return import_module("budgets.keys"), import_module("budgets.limits")


def _exact(limited: Any) -> str:
    exact: str = import_module("budgets.dollars").exact(limited.limit_nano_usd)
    return exact


def _row(budget: Any, period: Any) -> dict[str, Any]:
    spent, aside = (period.spent_nano_usd, period.held_nano_usd + period.leased_nano_usd) if period else (0, 0)
    return {
        "id": budget.pk,
        "whose": str(budget.key or budget.team or "everybody"),
        "period": budget.period,
        "time_zone": budget.time_zone,
        "policy": budget.policy,
        "limit_usd": budget.limit_nano_usd / 1e9,
        "running_limit_usd": (period or budget).limit_nano_usd / 1e9,
        "spent_usd": spent / 1e9,
        "set_aside_usd": aside / 1e9,
        "ends_at": period.ends_at.isoformat() if period and period.ends_at else None,
    }
