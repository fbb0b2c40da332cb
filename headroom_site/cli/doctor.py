"""`headroom doctor`: is everything there that a proxy needs?"""

from __future__ import annotations

import dataclasses
import json
import logging
from importlib import import_module

import click

from headroom_site.cli import setup

COLOURS = {"ok": "green", "note": "cyan", "warning": "yellow", "problem": "red"}


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> None:
    """Check the settings, the workspace, the database, Redis, the port, the providers, keys, grammars and the model.

    May run beside a serving proxy. It changes nothing, and sends nothing but a greeting without a key to the providers'
    addresses. Exit code 1 when there is a problem; notes and warnings are none.
    """
    setup.django()
    # A pool logs every try to connect; what came of them is said once, by the finding.
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)
    findings = []
    for finding in import_module("headroom_site.doctor").examine():
        findings.append(finding)
        if not as_json:
            mark = click.style(f"{finding.status:8}", fg=COLOURS[finding.status])
            click.echo(
                f"{mark}{finding.part:12}{finding.detail}" + (f"\n{'':20}→ {finding.hint}" if finding.hint else "")
            )
    problems = [finding.part for finding in findings if finding.status == "problem"]
    if as_json:
        rows = [dataclasses.asdict(finding) for finding in findings]
        click.echo(json.dumps({"is_well": not problems, "findings": rows}))
    elif problems:
        click.echo(f"\nProblems: {', '.join(problems)}.")
    else:
        click.echo("\nNo problem found.")
    if problems:
        raise click.exceptions.Exit(1)
