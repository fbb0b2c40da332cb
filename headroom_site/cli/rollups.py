"""`headroom rollups`: sum up the ledger by hour and day, for pages and exports."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any

import click

from headroom_site.cli import setup


@click.command("rollups")
@click.option("--backfill", is_flag=True, help="Sum up every hour of the ledger anew, and check lifetime totals.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(backfill: bool, as_json: bool) -> None:
    """Sum up the ledger by hour and day now. A running proxy does this by itself, twice a minute.

    Running it again changes nothing, and stopping it half-way does no harm. May run beside serving proxies.
    """
    setup.database()
    rollups = import_module("savings.rollups")
    try:
        rolled = _roll(rollups, everything=backfill)
        differed = import_module("savings.lifetime_repair").repair() if backfill else {}
    except rollups.Busy as exc:
        raise click.ClickException(f"{exc}; try again in a moment") from exc
    if as_json:
        click.echo(
            json.dumps(
                {
                    "hours": rolled.hours,
                    "days": rolled.days,
                    "until": rolled.recorded_until.isoformat(),
                    "put_right": differed,
                }
            )
        )
    else:
        click.echo(
            f"{rolled.hours:,} hours and {rolled.days:,} days are summed up until {rolled.recorded_until:%F %T} UTC."
        )


def _roll(rollups: Any, *, everything: bool) -> Any:
    """Run with a progress bar on stderr."""
    with click.progressbar(length=1, label="Summing up", file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        return rollups.roll(everything=everything, on_progress=show)
