"""`headroom patterns`: which tools' results are wanted back after they were shortened?"""

from __future__ import annotations

import dataclasses
import json
from importlib import import_module

import click

from headroom_site.cli import setup


@click.command("patterns")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> None:
    """Show how each tool's results were shortened, and how often agents asked for the full text after all.

    Where that is often, a value for HEADROOM_TOOL_LEVELS is proposed that shortens that tool less. May run beside serving
    proxies.
    """
    setup.database()
    learned = import_module("proxy.patterns")
    patterns = learned.read()
    proposed = learned.proposal(patterns)
    if as_json:
        rows = [dataclasses.asdict(one) | {"wanted_share": round(one.wanted_share, 4)} for one in patterns]
        click.echo(json.dumps({"patterns": rows, "proposed_tool_levels": proposed}, indent=2))
        return
    for one in patterns:
        removed = one.tokens_before - one.tokens_after
        click.echo(
            f"{one.tool or '(unknown)'} {one.form} ({one.level}): {one.shortened:,} shortened by {removed:,} tokens,"
            f" {one.wanted:,} wanted back ({one.wanted_share:.0%})"
        )
    if not patterns:
        click.echo("nothing was shortened in the last 48 hours")
    if proposed:
        value = ",".join(f"{tool}={level}" for tool, level in proposed.items())
        click.echo(f"proposed: HEADROOM_TOOL_LEVELS='{value}'")
