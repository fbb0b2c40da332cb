"""`headroom dashboard`: open the dashboard, logged in."""

from __future__ import annotations

import json
import webbrowser
from importlib import import_module

import click

from headroom_site.cli import setup, user


@click.command("dashboard")
@click.option(
    "--user", "name", metavar="NAME", help="Whom to log in.  [default: the only owner, made if there is none]"
)
@click.option("--no-open", is_flag=True, help="Only print the link.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, and open nothing.")
def command(name: str | None, no_open: bool, as_json: bool) -> None:
    """Open the dashboard of a running proxy in a browser, by a link that logs in once, within a quarter of an hour."""
    setup.database()
    people = import_module("budgets.people")
    try:
        person = people.find(name) if name else people.first_owner()
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc
    except LookupError as exc:
        raise click.ClickException(str(exc)) from exc
    link = user.login_link(people.login_token(person))
    if as_json:
        click.echo(json.dumps({"url": link, "name": person.username}))
        return
    click.echo(f"This link logs in as {person.username}, once, within a quarter of an hour:\n\n  {link}\n")
    if not no_open:
        webbrowser.open(link)
