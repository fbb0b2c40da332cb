"""Start serving: check what would go wrong, prepare the database, say where we are, run until told to stop."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import click
import uvicorn
from django.conf import settings
from django.db import DatabaseError
from uvicorn.supervisors import Multiprocess

from budgets import keys, limits, periods
from headroom_site import observers, program, schema, workspace
from proxy import policies
from proxy.ml import model
from savings import foreign
from savings.observability import prometheus

logger = logging.getLogger("headroom.serving")


class CannotServe(RuntimeError):
    """Something outside is in the way: a busy port, a used workspace, a database that is not ready."""


class Contradiction(ValueError):
    """The settings contradict each other."""


def run() -> None:
    """Serve until a signal says stop; running streams are finished first."""
    check_settings()
    sockets = [_bind()]
    lock = _take_workspace()
    try:
        _prepare_database()
        _take_in_savings()
        _apply_budget()
        _say(_bootstrap_lines() + _banner_lines())
        (_run_daphne if settings.SERVER == "daphne" else _run_uvicorn)(sockets)
    finally:
        if lock is not None:
            os.close(lock)


def check_settings() -> None:
    """Raise Contradiction for combinations that would not mean what they say."""
    if settings.WORKERS > 1 and (settings.IS_EMBEDDED or not settings.REDIS_URL):
        raise Contradiction(
            f"--workers {settings.WORKERS} needs PostgreSQL and Redis, or each worker would count its own share of every "
            "limit: set HEADROOM_DATABASE_URL=postgresql://… and HEADROOM_REDIS_URL=redis://…, or use --workers 1"
        )
    if settings.WORKERS > 1 and settings.SERVER == "daphne":
        raise Contradiction("--server daphne runs one worker; use --server uvicorn for more")
    try:
        observers.check()
    except observers.Misconfigured as exc:
        raise Contradiction(str(exc)) from exc
    if settings.ML_MODEL_DIR:
        try:
            model.check(Path(settings.ML_MODEL_DIR))
        except model.BadModel as exc:
            raise Contradiction(f"HEADROOM_ML_MODEL_DIR: {exc}") from exc
    if settings.DEBUG and not settings.IS_LOOPBACK:
        raise Contradiction(f"HEADROOM_DEBUG shows internals and must not listen on {settings.HOST}")


def _prepare_database() -> None:
    try:
        schema.prepare()
    except schema.NotReady as exc:
        raise CannotServe(str(exc)) from exc


def _take_in_savings() -> None:
    """What another program had saved before us, once."""
    try:
        if line := foreign.take_in(settings.SAVINGS_PATH, datetime.now(UTC)):
            logger.warning("%s", line)
        if settings.KEEPS_SAVINGS_FILE:
            foreign.keep(settings.SAVINGS_PATH)
    except (OSError, DatabaseError) as exc:
        logger.warning("%s could not be imported: %s", settings.SAVINGS_PATH, exc)


def _apply_budget() -> None:
    """Make the budget for everybody what the settings say."""
    try:
        limits.apply_settings(
            settings.BUDGET_USD,
            cast(periods.Kind, settings.BUDGET_PERIOD),
            time_zone=settings.BUDGET_TIME_ZONE,
            policy=cast(limits.Policy, settings.BUDGET_POLICY),
        )
    except (limits.BadBudget, periods.NoSuchZone) as exc:
        raise Contradiction(str(exc)) from exc


def _bind() -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.HOST else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.HOST.strip("[]"), settings.PORT))
    except OSError as exc:
        listener.close()
        raise CannotServe(
            f"cannot listen on {settings.HOST} port {settings.PORT}: {exc.strerror or exc}. Choose another with --port."
        ) from exc
    listener.listen(2048)
    return listener


def _take_workspace() -> int | None:
    """Be the only one in the workspace, with SQLite; with PostgreSQL only say where we are."""
    if not settings.IS_EMBEDDED:
        return workspace.announce(settings.WORKSPACE_DIR, _own_url())
    try:
        return workspace.lock(settings.WORKSPACE_DIR, _own_url())
    except workspace.WorkspaceInUse as exc:
        raise CannotServe(str(exc)) from exc


def _run_uvicorn(sockets: list[socket.socket]) -> None:
    config = uvicorn.Config(
        "headroom_site.asgi:application",
        host=settings.HOST,
        port=settings.PORT,
        workers=settings.WORKERS,
        http="httptools",
        # Pages only listen: what they say may be short.
        ws="websockets-sansio",
        ws_max_size=1024,
        ws_per_message_deflate=False,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        # Longer than clients keep idle connections, so that it is they who close them.
        timeout_keep_alive=90,
        timeout_graceful_shutdown=settings.DRAIN_TIMEOUT_S,
    )
    if settings.WORKERS > 1:
        gc.enable()  # here, as this process only watches over others
        prometheus.prepare(settings.WORKSPACE_DIR / "metrics")
        Multiprocess(config, sockets).run()
        return
    server = uvicorn.Server(config)
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C, raised again once everything is closed
        server.run(sockets=sockets)
    if not server.started:
        raise CannotServe("the server could not start; see the lines above")


def _run_daphne(sockets: list[socket.socket]) -> None:
    from daphne.server import Server

    from headroom_site.asgi import application

    click.echo("daphne cuts running streams when it is stopped; uvicorn finishes them.", err=True)
    endpoints = [f"tcp:port={settings.PORT}:interface={settings.HOST}"]
    for listener in sockets:
        listener.close()
    Server(application, endpoints=endpoints, signal_handlers=True, server_name=None).run()


def _bootstrap_lines() -> list[str]:
    """With keys required there must be one: take the container's, or make one and show it this once."""
    if not settings.REQUIRE_KEY:
        return []
    if settings.BOOTSTRAP_KEY:
        keys.bootstrap(settings.BOOTSTRAP_KEY)
        return []
    if keys.list_keys():
        return []
    _, secret = keys.create("first")
    return [
        "",
        "  Keys are required here and there was none yet. This one is shown only now:",
        f"    {secret}",
        f"  More: {program.name()} key create NAME",
    ]


def pages_url() -> str:
    """Where browsers find our pages, without a slash at the end."""
    return settings.PUBLIC_URL or address()


def address() -> str:
    """Where this workspace's proxy listens, without a slash at the end: that of a running one, whatever flags it was given,
    else what the settings say."""
    return workspace.served_at(settings.WORKSPACE_DIR) or _own_url()


def _own_url() -> str:
    host = "127.0.0.1" if settings.HOST in ("0.0.0.0", "::") else settings.HOST
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.PORT}"


def _banner_lines() -> list[str]:
    url, called = _own_url(), program.name()
    awareness = policies.code_awareness()
    return [
        "",
        f"  Headroom listens on {url}",
        f"  Dashboard           {pages_url()}/dashboard",
        f"  Admin               {called} dashboard   (a link that logs you in)",
        *([f"  code-aware: {awareness}"] if awareness.startswith("unavailable") else []),
        "",
        f"  Claude Code         ANTHROPIC_BASE_URL={url} claude",
        f"  Codex               codex -c openai_base_url={url}/v1",
        f"  OpenAI clients      OPENAI_BASE_URL={url}/v1",
        *(["  Each with a key     x-headroom-key: hr_…   (docs/operations.md, Keys)"] if settings.REQUIRE_KEY else []),
        "",
        f"  No API key at hand? See what it saves:  {called} replay --demo",
        "  Stop with Ctrl-C; running answers are finished first.",
        "",
    ]


def _say(lines: list[str]) -> None:
    click.echo("\n".join(lines))
    sys.stdout.flush()
