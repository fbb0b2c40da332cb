"""Start Django for a command, with every misconfiguration as one clear line and exit code 2."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

import click


class Misconfigured(click.ClickException):
    """Settings that mean nothing, or contradict each other. Shown without the command's usage, which is not what was wrong."""

    exit_code = 2


def django() -> Any:
    """Set Django up and return the settings."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "headroom_site.settings")
    try:
        settings = import_module("django.conf").settings
        settings.WORKSPACE_DIR  # noqa: B018 - reading one setting loads them all
        import_module("django").setup()
    except ValueError as exc:
        raise Misconfigured(str(exc)) from exc
    except OSError as exc:
        raise click.ClickException(f"the workspace cannot be used: {exc}") from exc
    return settings


def database() -> Any:
    """The same with the database ready: brought up to date where it is ours alone, else refused when it is not."""
    settings = django()
    schema = import_module("headroom_site.schema")
    try:
        schema.prepare()
    except schema.NotReady as exc:
        raise click.ClickException(str(exc)) from exc
    return settings


def pass_on(flags: dict[str, object]) -> None:
    """Put the flags that were given into the environment, where settings look: a flag beats the environment."""
    for name, value in flags.items():
        if value is not None:
            os.environ[name] = ("1" if value else "0") if isinstance(value, bool) else str(value)
