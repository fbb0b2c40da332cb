"""`headroom audit`: do budgets and ledger agree?"""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from importlib import import_module

import click

from headroom_site.cli import setup


@click.command("audit")
@click.option("--days", type=click.IntRange(1), metavar="N", help="Only accounts of the last N days.  [default: all]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(days: int | None, as_json: bool) -> None:
    """Sum the ledger's entries and compare them with every budget's account; look for money held for too long.

    May run beside serving proxies. Exit code 1 when anything differs.
    """
    setup.database()
    audits = import_module("budgets.audit")
    now = datetime.now(UTC)
    found = audits.audit(now, since=now - timedelta(days=days) if days else None)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(found), default=str))
    else:
        for line in audits.report(found):
            click.echo(line)
        click.echo(f"{found.periods} accounts: {len(found.differences)} differences, {len(found.old_holds)} old holds.")
    if not found.is_clean:
        raise SystemExit(1)
