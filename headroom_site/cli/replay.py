"""`headroom replay`: what recorded sessions cost, and what they would have cost through this proxy."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from headroom_site.cli import setup

NAMED_FILES = 20
"""So many skipped files are named on the terminal; `--json` names all."""


@click.command("replay")
@click.argument("paths", nargs=-1, metavar="PATH...", type=click.Path(path_type=Path))
@click.option(
    "--demo", is_flag=True, help="Replay the small session that ships with headroom: no file, key or network."
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON, in total and for every session.")
@click.option(
    "--html",
    "html_path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also write a page with charts to this file.",
)
@click.option(
    "--mode",
    type=click.Choice(["token", "cache"]),
    help="As the proxy's option: cache stops at first sight, token shortens older results where that pays.  [default: HEADROOM_MODE, else token]",
)
@click.option("--all", "lists_all", is_flag=True, help="List every session, not only those with the largest bills.")
@click.option("--model", default="", metavar="M", help="Price every turn as this model, whatever the recording names.")
@click.option("--max-turns", type=click.IntRange(1), metavar="N", help="Replay the first N turns of each session only.")
def command(
    paths: tuple[Path, ...],
    demo: bool,
    as_json: bool,
    html_path: Path | None,
    lists_all: bool,
    **options: Any,
) -> None:
    """Price recorded agent sessions turn by turn, without headroom and with it.

    PATH is a recording or a folder of recordings: sessions of Claude Code (~/.claude/projects) and
    Codex (~/.codex/sessions), or JSON files of OpenAI
    or Anthropic messages (a list, or an object with "messages" and perhaps "system", "tools", "model"; also .gz).

    Nothing is sent anywhere. Each turn's request is built as the agent builds it and goes through the code of the proxy;
    both bodies are billed by the provider's rules of prompt caching and at its public prices. A loss is shown as a loss.

    Files that cannot be read are named and skipped; exit code 2 when that leaves nothing.
    """
    if not paths and not demo:
        raise click.UsageError("name a recording or a folder, e.g. ~/.claude/projects, or try --demo")
    if html_path is not None and not html_path.absolute().parent.is_dir():
        raise click.UsageError(f"--html {html_path}: there is no folder {html_path.parent}")
    setup.django()
    run = _replay(paths, demo, **options)
    _name_skipped(run)
    if html_path is not None:
        _write(html_path, import_module("proxy.replay.html_report").page(run.sessions))
    if as_json:
        click.echo(json.dumps(run.as_json(), indent=2))
    elif run.sessions:
        click.echo(import_module("proxy.replay.report").page(run.sessions, lists_all=lists_all))
    if not run.sessions:
        click.echo("Error: no session could be read", err=True)
        raise click.exceptions.Exit(2)


def _replay(paths: tuple[Path, ...], demo: bool, **options: Any) -> Any:
    """Run the replay with a progress bar on stderr."""
    replays = import_module("proxy.replay.run")
    files = replays.targets(paths, with_demo=demo)
    turns = 0

    def show(count: int | None) -> str:
        return f"{count:,} turns" if count else ""

    with click.progressbar(length=len(files), label="Replaying", file=sys.stderr, item_show_func=show) as bar:

        def count_turn() -> None:
            nonlocal turns
            turns += 1
            bar.current_item = turns
            bar.render_progress()

        return replays.replay(files, on_turn=count_turn, on_file=lambda: bar.update(1, turns), **options)


def _write(path: Path, page: str) -> None:
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as exc:
        raise click.ClickException(f"--html {path}: {exc.strerror}") from exc


def _name_skipped(run: Any) -> None:
    for path, lines in run.bad_lines.items():
        click.echo(f"{path}: {lines} lines are not JSON and were skipped", err=True)
    for path, reason in run.skipped[:NAMED_FILES]:
        click.echo(f"skipped {path}: {reason}", err=True)
    if len(run.skipped) > NAMED_FILES:
        click.echo(f"… and {len(run.skipped) - NAMED_FILES} more; --json names them all", err=True)
    if run.skipped:
        click.echo(f"{len(run.skipped)} {'file' if len(run.skipped) == 1 else 'files'} skipped", err=True)
