"""`headroom proxy`: serve."""

from __future__ import annotations

from importlib import import_module

import click

from headroom_site.cli import setup


@click.command("proxy")
@click.option("--host", metavar="ADDRESS", help="Listen here; other than loopback needs keys.  [default: 127.0.0.1]")
@click.option("--port", "-p", type=click.IntRange(1, 65535), help="[default: 8787]")
@click.option("--no-optimize", is_flag=True, default=None, help="Forward prompts as they are; only meter and record.")
@click.option("--lossless", is_flag=True, default=None, help="Only rewrite tool results in shorter spellings; leave nothing out.")
@click.option("--anthropic-api-url", metavar="URL", help="[default: https://api.anthropic.com]")
@click.option("--openai-api-url", metavar="URL", help="[default: https://api.openai.com]")
@click.option("--request-timeout-seconds", type=click.IntRange(1), help="Longest silence of a provider.  [default: 600]")
@click.option("--connect-timeout-seconds", type=click.IntRange(1), help="[default: 10]")
@click.option("--retry-max-attempts", type=click.IntRange(1, 10), help="Tries where trying again is safe.  [default: 3]")
@click.option("--workers", type=click.IntRange(1, 64), help="More than 1 needs PostgreSQL and Redis.  [default: 1]")
@click.option("--server", type=click.Choice(["uvicorn", "daphne"]), help="[default: uvicorn]")
@click.option("--require-key/--allow-anonymous", default=None, help="Keys of ours are required exactly when the host is not loopback, unless you say so.")
def command(
    host: str | None,
    port: int | None,
    no_optimize: bool | None,
    lossless: bool | None,
    anthropic_api_url: str | None,
    openai_api_url: str | None,
    request_timeout_seconds: int | None,
    connect_timeout_seconds: int | None,
    retry_max_attempts: int | None,
    workers: int | None,
    server: str | None,
    require_key: bool | None,
) -> None:
    """Start the proxy. Every option can also be set in the environment (docs/settings.md); options win."""
    setup.pass_on(
        {
            "HEADROOM_HOST": host,
            "HEADROOM_PORT": port,
            "HEADROOM_OPTIMIZE": False if no_optimize else None,
            "HEADROOM_LOSSLESS": lossless or None,
            "ANTHROPIC_TARGET_API_URL": anthropic_api_url,
            "OPENAI_TARGET_API_URL": openai_api_url,
            "HEADROOM_REQUEST_TIMEOUT": request_timeout_seconds,
            "HEADROOM_CONNECT_TIMEOUT_SECONDS": connect_timeout_seconds,
            "HEADROOM_RETRY_MAX_ATTEMPTS": retry_max_attempts,
            "HEADROOM_WORKERS": workers,
            "HEADROOM_SERVER": server,
            "HEADROOM_REQUIRE_KEY": require_key,
        }
    )
    setup.django()
    server_module = import_module("headroom_site.server")
    try:
        server_module.run()
    except server_module.CannotServe as exc:
        raise click.ClickException(str(exc)) from exc
    except server_module.Contradiction as exc:
        raise click.UsageError(str(exc)) from exc
