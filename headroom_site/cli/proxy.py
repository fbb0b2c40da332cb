"""`headroom proxy`: serve."""

from __future__ import annotations

import gc
from importlib import import_module
from typing import Any

import click

from headroom_site.cli import setup

ENVIRONMENT = {
    "host": "HEADROOM_HOST",
    "port": "HEADROOM_PORT",
    "mode": "HEADROOM_MODE",
    "optimize": "HEADROOM_OPTIMIZE",
    "observe": "HEADROOM_OBSERVE",
    "lossless": "HEADROOM_LOSSLESS",
    "no_ccr": "HEADROOM_NO_CCR",
    "code_aware": "HEADROOM_CODE_AWARE_ENABLED",
    "target_ratio": "HEADROOM_TARGET_RATIO",
    "exclude_tools": "HEADROOM_EXCLUDE_TOOLS",
    "tool_levels": "HEADROOM_TOOL_LEVELS",
    "intelligent_context": "HEADROOM_INTELLIGENT_CONTEXT",
    "intelligent_scoring": "HEADROOM_INTELLIGENT_SCORING",
    "compress_first": "HEADROOM_COMPRESS_FIRST",
    "anthropic_api_url": "ANTHROPIC_TARGET_API_URL",
    "openai_api_url": "OPENAI_TARGET_API_URL",
    "request_timeout_seconds": "HEADROOM_REQUEST_TIMEOUT",
    "connect_timeout_seconds": "HEADROOM_CONNECT_TIMEOUT_SECONDS",
    "retry_max_attempts": "HEADROOM_RETRY_MAX_ATTEMPTS",
    "workers": "HEADROOM_WORKERS",
    "server": "HEADROOM_SERVER",
    "require_key": "HEADROOM_REQUIRE_KEY",
    "cache": "HEADROOM_CACHE_ENABLED",
    "cache_max_entries": "HEADROOM_CACHE_MAX_ENTRIES",
    "cache_ttl_seconds": "HEADROOM_CACHE_TTL_SECONDS",
    "cache_strict": "HEADROOM_CACHE_STRICT",
    "cache_tools": "HEADROOM_CACHE_TOOLS",
    "rate_limit": "HEADROOM_RATE_LIMIT_ENABLED",
    "rpm": "HEADROOM_RPM",
    "tpm": "HEADROOM_TPM",
    "budget": "HEADROOM_BUDGET",
    "budget_period": "HEADROOM_BUDGET_PERIOD",
    "log_file": "HEADROOM_LOG_FILE",
    "log_messages": "HEADROOM_LOG_MESSAGES",
    "telemetry": "HEADROOM_TELEMETRY",
}
"""The variable that each option sets for this process."""


class _Proxy(click.Command):
    """The command, with a word for those who come with flags of the reference product that are gone there too."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        for flag in args:
            if flag.startswith(("--llmlingua", "--no-llmlingua")):
                raise setup.Misconfigured(
                    f"{flag.partition('=')[0]} is retired: a trained model that shortens prose is switched on with "
                    "HEADROOM_ML_MODEL_DIR (docs/library.md)"
                )
        return super().parse_args(ctx, args)


@click.command("proxy", cls=_Proxy)
@click.option("--host", metavar="ADDRESS", help="Listen here; other than loopback needs keys.  [default: 127.0.0.1]")
@click.option("--port", "-p", type=click.IntRange(1, 65535), help="[default: 8787]")
@click.option(
    "--mode",
    metavar="token|cache",
    help="cache: never touch what was already sent; token: shorten older results when it pays.  [default: token]",
)
@click.option("--no-optimize", is_flag=True, default=None, help="Forward prompts as they are; only meter and record.")
@click.option(
    "--observe",
    is_flag=True,
    default=None,
    help="Forward everything byte for byte, and record what shortening would have saved.",
)
@click.option(
    "--lossless", is_flag=True, default=None, help="Only rewrite tool results in shorter spellings; leave nothing out."
)
@click.option(
    "--no-ccr",
    is_flag=True,
    default=None,
    help="Keep no originals, so that nothing may be left out that would have to be fetched back.",
)
@click.option(
    "--code-aware/--no-code-aware",
    default=None,
    help="Fold the bodies of functions in old source files.  [default: on]",
)
@click.option(
    "--target-ratio", type=float, metavar="R", help="Shorten each result to this share of it, where it can be."
)
@click.option(
    "--exclude-tools", metavar="NAMES", help="Leave the results of these tools alone, e.g. 'Read,mcp__db__*'."
)
@click.option(
    "--tool-levels",
    metavar="NAME=LEVEL,…",
    help="How far the results of some tools may be shortened: lossless, balanced or deep.",
)
@click.option(
    "--no-intelligent-context", is_flag=True, default=None, help="When a context window is full, the oldest goes first."
)
@click.option(
    "--no-intelligent-scoring", is_flag=True, default=None, help="Then go by place alone, not by what messages say."
)
@click.option("--no-compress-first", is_flag=True, default=None, help="Then do not shorten old results further first.")
@click.option("--anthropic-api-url", metavar="URL", help="[default: https://api.anthropic.com]")
@click.option("--openai-api-url", metavar="URL", help="[default: https://api.openai.com]")
@click.option(
    "--request-timeout-seconds", type=click.IntRange(1), help="Longest silence of a provider.  [default: 600]"
)
@click.option("--connect-timeout-seconds", type=click.IntRange(1), help="[default: 10]")
@click.option(
    "--retry-max-attempts", type=click.IntRange(1, 10), help="Tries where trying again is safe.  [default: 3]"
)
@click.option("--workers", type=click.IntRange(1, 64), help="More than 1 needs PostgreSQL and Redis.  [default: 1]")
@click.option("--server", type=click.Choice(["uvicorn", "daphne"]), help="[default: uvicorn]")
@click.option(
    "--require-key/--allow-anonymous",
    default=None,
    help="Keys of ours are required exactly when the host is not loopback, unless you say so.",
)
@click.option("--no-cache", is_flag=True, default=None, help="Never give an answer a second time.")
@click.option("--cache-max-entries", type=click.IntRange(1, 1_000_000), help="Answers to keep.  [default: 1000]")
@click.option("--cache-ttl-seconds", type=click.IntRange(1, 2_592_000), help="For how long.  [default: 3600]")
@click.option("--cache-strict", is_flag=True, default=None, help="Keep answers only to prompts with temperature 0.")
@click.option("--cache-tools", is_flag=True, default=None, help="Keep answers to prompts with tools, too.")
@click.option("--no-rate-limit", is_flag=True, default=None, help="Let everybody come as often as they like.")
@click.option("--rpm", type=click.IntRange(0), help="Requests a minute for each key; 0 is no limit.  [default: 600]")
@click.option("--tpm", type=click.IntRange(0), help="Tokens a minute for each key; 0 is no limit.  [default: 0]")
@click.option("--budget", metavar="USD", help="What all calls together may cost in a period.  [default: no limit]")
@click.option(
    "--budget-period",
    metavar="hourly|daily|weekly|monthly|total",
    help="When the budget begins anew.  [default: daily]",
)
@click.option("--log-file", metavar="PATH", help="Append a JSON line for each call.  [default: none]")
@click.option(
    "--log-messages", is_flag=True, default=None, help="Keep prompts and answers too, in the log and for the dashboard."
)
@click.option("--telemetry/--no-telemetry", default=None, help="See `headroom telemetry --show`.  [default: on]")
def command(**flags: object) -> None:
    """Start the proxy. Every option can also be set in the environment (docs/settings.md); options win."""
    for name in ("intelligent_context", "intelligent_scoring", "compress_first"):
        flags[name] = False if flags.pop(f"no_{name}") else None
    flags["optimize"] = False if flags.pop("no_optimize") else None
    flags["cache"] = False if flags.pop("no_cache") else None
    flags["rate_limit"] = False if flags.pop("no_rate_limit") else None
    setup.pass_on({ENVIRONMENT[name]: value for name, value in flags.items()})
    gc.disable()  # what starting makes is needed until the end; `serving.start` takes it out of the collector's sight
    try:
        setup.django()
        server = import_module("headroom_site.server")
        _run(server)
    finally:
        gc.enable()


def _run(server: Any) -> None:
    try:
        server.run()
    except server.CannotServe as exc:
        raise click.ClickException(str(exc)) from exc
    except server.Contradiction as exc:
        raise setup.Misconfigured(str(exc)) from exc
