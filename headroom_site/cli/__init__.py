"""The `headroom` command. Each command lives in a module of its own, imported when it is called."""

from __future__ import annotations

import os
from importlib import import_module, metadata

import click

COMMANDS = {
    "alerts": "headroom_site.cli.alerts",
    "audit": "headroom_site.cli.audit",
    "budget": "headroom_site.cli.budget",
    "dashboard": "headroom_site.cli.dashboard",
    "doctor": "headroom_site.cli.doctor",
    "download-model": "headroom_site.cli.download_model",
    "explain": "headroom_site.cli.explain",
    "key": "headroom_site.cli.key",
    "migrate": "headroom_site.cli.migrate",
    "patterns": "headroom_site.cli.patterns",
    "proxy": "headroom_site.cli.proxy",
    "replay": "headroom_site.cli.replay",
    "rollups": "headroom_site.cli.rollups",
    "savings": "headroom_site.cli.savings",
    "telemetry": "headroom_site.cli.telemetry",
    "user": "headroom_site.cli.user",
}


class _Lazy(click.Group):
    """A group that imports a command only when it is used, so that `--help` and start-up stay quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[name]).command
        return command


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(metadata.version("headroom-proxy"), prog_name="headroom")
def main() -> None:
    """A proxy between LLM agents and their providers: a lower bill, limits that hold, a ledger you can trust."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "headroom_site.settings")


def main_for_checkout(argv: list[str]) -> int:
    """What `manage.py` runs: our commands, `test`, or any command of Django's. `help` is about ours, unless it names another."""
    given = argv[1:] or ["--help"]
    if given[0] == "help" and (len(given) == 1 or given[1] in COMMANDS):
        given = [*given[1:], "--help"]
    name = given[0]
    if name == "test":
        # No settings module yet: tests/conftest.py first points the settings at a workspace that is thrown away.
        return int(import_module("pytest").main(given[1:]))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "headroom_site.settings")
    if name in COMMANDS or name.startswith("-"):
        main(given, prog_name="manage.py")
        return 0
    import_module("django.core.management").execute_from_command_line(argv)
    return 0
