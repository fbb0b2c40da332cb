"""`headroom patterns`: which tools' results are wanted back after they were shortened, and what follows from it?"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

import click

from headroom_site.cli import setup


@click.group("patterns", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Show how each tool's results were shortened, and how often agents came back for the rest.

    Where that is too often, a policy version is proposed that shortens those less. Adopt it for conversations that begin
    from then on, or decline it. May run beside serving proxies.
    """
    if ctx.invoked_subcommand is not None:
        return
    setup.database()
    now = datetime.now(UTC)
    import_module("proxy.learning.cycle").run(now)
    cohorts = import_module("proxy.learning.counts").cohorts(now)
    rows = [_row(one) for one in import_module("proxy.learning.versions").history()]
    if as_json:
        patterns = [
            asdict(one) | {"parts": dict(one.parts), "asked_share": round(one.asked_share, 4)} for one in cohorts
        ]
        click.echo(json.dumps({"patterns": patterns, "policy_versions": rows}, indent=2))
        return
    for one in cohorts:
        click.echo(_told(one))
    if not cohorts:
        click.echo("nothing was shortened in the last 60 days")
    for row in rows:
        click.echo(f"version {row['number']}: {row['standing']}")
        for words in row["rules"] if row["standing"] in ("in force", "proposed") else []:
            click.echo(f"  {words}")


@command.command("adopt")
@click.argument("number", type=int)
def adopt(number: int) -> None:
    """Put policy version NUMBER in force for conversations that begin from now on. An earlier one goes back to it."""
    _decide("adopt", number)
    click.echo(f"Policy version {number} is in force for conversations that begin from now on.")


@command.command("decline")
@click.argument("number", type=int)
def decline(number: int) -> None:
    """Turn the proposed policy version NUMBER down. What was counted until today does not speak for it any more."""
    _decide("decline", number)
    click.echo(f"Policy version {number} is declined.")


def _decide(verb: str, number: int) -> None:
    setup.database()
    try:
        getattr(import_module("proxy.learning.versions"), verb)(number)
    except (LookupError, ValueError) as exc:
        raise click.ClickException(str(exc)) from exc


def _told(cohort: Any) -> str:
    name = f"{cohort.tool} {cohort.form or 'as it came'}"
    told = f"{name} ({cohort.level}): {cohort.sent:,} sent"
    if cohort.saved_tokens > 0:
        told += f", {cohort.saved_tokens:,} tokens shorter"
    if cohort.is_lossy:
        told += f", {cohort.asked:,} wanted back ({cohort.asked_share:.0%})"
    if cohort.files:
        told += f", {cohort.reread:,} of {cohort.files:,} files read again"
    parts = ", ".join(f"{name} {count}" for name, count in cohort.parts)
    return f"{told} [{parts}]" if parts else told


def _row(standing: Any) -> dict[str, Any]:
    version = standing.version
    return {
        "number": version.pk,
        "standing": standing.name,
        "rules": standing.rules,
        "evidence": version.evidence,
        "decided_at": version.decided_at.isoformat() if version.decided_at else None,
        "decided_by": version.decided_by,
    }
