"""Look at everything that a proxy needs, before or while it serves, and say what is wrong and what to do about it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import redis
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor

from budgets import keys
from headroom_site import program, server
from proxy import health, policies
from proxy.ml import model

Status = Literal["ok", "note", "warning", "problem"]

TIMEOUT_S = 5.0
MIN_FREE_BYTES = 500 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about one part. `hint` says what to do, "" where nothing is to be done."""

    part: str
    status: Status
    detail: str
    hint: str = ""


def examine() -> Iterator[Finding]:
    """Yield what is found, part by part; nothing is changed, and nothing but a greeting is sent anywhere."""
    yield from _settings()
    yield from _workspace()
    yield from _database()
    yield from _redis()
    yield from _port()
    yield from _providers()
    yield from _keys()
    yield from _engine()
    yield from _clients()


def _settings() -> Iterator[Finding]:
    try:
        server.check_settings()
    except server.Contradiction as exc:
        yield Finding("settings", "problem", str(exc))
    else:
        yield Finding("settings", "ok", f"{settings.MODE} mode, {'SQLite' if settings.IS_EMBEDDED else 'PostgreSQL'}")


def _workspace() -> Iterator[Finding]:
    folder = Path(settings.WORKSPACE_DIR)
    try:
        with tempfile.NamedTemporaryFile(dir=folder):
            free_bytes = shutil.disk_usage(folder).free
    except OSError as exc:
        yield Finding(
            "workspace", "problem", f"{folder} cannot be written: {exc.strerror}", "set HEADROOM_WORKSPACE_DIR"
        )
        return
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o077:
        yield Finding("workspace", "warning", f"others may read {folder} (mode {mode:03o})", f"chmod 700 {folder}")
    elif free_bytes < MIN_FREE_BYTES:
        yield Finding("workspace", "warning", f"{free_bytes // 2**20} MB are left for {folder}", "make room")
    else:
        yield Finding("workspace", "ok", f"{folder}, {free_bytes / 2**30:.0f} GB free")


def _database() -> Iterator[Finding]:
    connection = connections[DEFAULT_DB_ALIAS]
    try:
        executor = MigrationExecutor(connection)
        pending = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    except DatabaseError as exc:
        hint = "check HEADROOM_DATABASE_URL and that the server runs"
        yield Finding("database", "problem", f"does not answer: {str(exc).strip().splitlines()[0]}", hint)
        return
    name = "SQLite" if settings.IS_EMBEDDED else f"PostgreSQL at {connection.settings_dict['HOST'] or 'a local socket'}"
    if pending and settings.IS_EMBEDDED:
        yield Finding("database", "note", f"{name}, {pending} migrations are applied at the next start")
    elif pending:
        yield Finding("database", "problem", f"{name} lacks {pending} migrations", f"run `{program.name()} migrate`")
    else:
        yield Finding("database", "ok", f"{name}, up to date")


def _redis() -> Iterator[Finding]:
    if not settings.REDIS_URL:
        yield Finding("redis", "ok", "not used")
        return
    client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
    try:
        client.ping()
    except (redis.RedisError, OSError) as exc:
        hint = "check HEADROOM_REDIS_URL; until it is back each worker keeps to its own share of every limit"
        yield Finding("redis", "problem", f"does not answer: {exc}", hint)
    else:
        yield Finding("redis", "ok", "answers")
    finally:
        client.close()


def _port() -> Iterator[Finding]:
    url = server.address()
    # Not through a proxy: this is about the machine itself.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/livez", timeout=TIMEOUT_S) as answer:
            found = json.load(answer)
    except (OSError, ValueError):
        found = None
    if isinstance(found, dict) and found.get("service") == health.SERVICE:
        yield Finding("port", "ok", f"a proxy serves at {url}, version {found.get('version')}")
        return
    host = settings.HOST.strip("[]")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, settings.PORT))
        except OSError as exc:
            detail = f"something else is at {settings.HOST} port {settings.PORT}: {exc.strerror}"
            yield Finding("port", "problem", detail, "choose another with --port")
        else:
            yield Finding("port", "note", f"{settings.PORT} is free: no proxy serves there now")


def _providers() -> Iterator[Finding]:
    found = [_provider("anthropic", settings.ANTHROPIC_API_URL), _provider("openai", settings.OPENAI_API_URL)]
    is_cut_off = all(finding.status != "ok" for finding in found)
    for finding in found:
        yield Finding(finding.part, "problem", finding.detail, finding.hint) if is_cut_off else finding


def _provider(name: str, url: str) -> Finding:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=TIMEOUT_S) as answer:
            return Finding(name, "ok", f"{url} answers ({answer.status})")
    except urllib.error.HTTPError as exc:
        return Finding(name, "ok", f"{url} answers ({exc.code}, as it does without a key)")
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "reason", exc)
        return Finding(name, "warning", f"{url} cannot be reached: {reason}", "check the network and HTTPS_PROXY")


def _keys() -> Iterator[Finding]:
    if not settings.REQUIRE_KEY:
        yield Finding("keys", "ok", f"not required: it listens on {settings.HOST}")
        return
    try:
        count = len(keys.list_keys())
    except DatabaseError:
        return  # told by the database's own finding
    if count:
        yield Finding("keys", "ok", f"required, {count} made")
    else:
        yield Finding("keys", "note", "required, none made", "the next start makes one and shows it once")


def _engine() -> Iterator[Finding]:
    awareness = policies.code_awareness()
    hint = "reinstall headroom-proxy: grammars are part of it" if awareness.startswith("unavailable") else ""
    yield Finding("code-aware", "warning" if hint else "ok", awareness, hint)
    if not settings.ML_MODEL_DIR:
        yield Finding("ml", "ok", "off")
        return
    try:
        model.load(Path(settings.ML_MODEL_DIR))
    except model.BadModel as exc:
        yield Finding("ml", "problem", str(exc), "fix HEADROOM_ML_MODEL_DIR, or unset it")
    else:
        yield Finding("ml", "ok", f"the model in {settings.ML_MODEL_DIR} loads")


def _clients() -> Iterator[Finding]:
    """Whether what is started from this shell would come here: a proxy that nobody uses saves nothing."""
    url = server.address()
    here = f":{urllib.parse.urlsplit(url).port}"
    pointing = [name for name in ("ANTHROPIC_BASE_URL", "OPENAI_BASE_URL") if here in os.environ.get(name, "")]
    if pointing:
        yield Finding("clients", "ok", f"{' and '.join(pointing)} point here")
    else:
        hint = f"ANTHROPIC_BASE_URL={url} claude"
        yield Finding(
            "clients", "note", "neither ANTHROPIC_BASE_URL nor OPENAI_BASE_URL of this shell points here", hint
        )
