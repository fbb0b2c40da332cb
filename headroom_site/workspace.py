"""The folder that holds everything of one installation: database, journal, logs, secret key. Private to its user."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import time
from pathlib import Path

LOCK = "headroom.lock"
SIGN = "serving"
"""Held like the lock, by the first of the proxies that share a workspace, to say where it is."""
LOOK_S = 0.1
"""More than whoever looks whether a workspace is free holds it."""


class WorkspaceInUse(RuntimeError):
    """Another process serves from this workspace; two would count each other's limits twice."""


def create(directory: Path) -> None:
    """Make the folder, readable by its owner only."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)


def secret_key(directory: Path) -> str:
    """The installation's secret, made on first use; when two processes start at once, both get the same."""
    return _made_once(directory / "secret.key", 48)


def identity(directory: Path) -> str:
    """What tells this folder apart from those of other hosts, made on first use."""
    return _made_once(directory / "identity", 12)


def _made_once(path: Path, random_bytes: int) -> str:
    if not path.exists():
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(random_bytes) + "\n")
        # A link appears whole or not at all, and never replaces the key of a process that was quicker.
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path.read_text(encoding="ascii").strip()


def lock(directory: Path, url: str = "") -> int:
    """Hold the workspace until this process ends; returns the descriptor to keep open. `url` is where it is served.

    A flock dies with its last descriptor, and Python's descriptors are not inherited by programs that we start, so
    neither a crash nor a surviving child leaves the workspace locked.
    """
    try:
        return _held(directory / LOCK, url)
    except BlockingIOError:
        with (directory / LOCK).open(encoding="ascii", errors="replace") as file:
            holder = file.readline(32).strip()
        raise WorkspaceInUse(
            f"{directory} is in use by process {holder or 'unknown'}: two proxies on one SQLite workspace would each count only "
            "their own share. Stop it, set another HEADROOM_WORKSPACE_DIR, or use PostgreSQL and Redis."
        ) from None


def announce(directory: Path, url: str) -> int | None:
    """Have `served_at` say this address until this process ends; returns the descriptor to keep open, `None` where another
    proxy of this workspace says its own."""
    try:
        return _held(directory / SIGN, url)
    except BlockingIOError:
        return None


def _held(path: Path, url: str) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _hold(descriptor)
    except BlockingIOError:
        os.close(descriptor)
        raise
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n{url}\n".encode(), 0)
    return descriptor


def _hold(descriptor: int) -> None:
    """Take the lock, from whoever only looks as well. Raises BlockingIOError."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(LOOK_S)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def served_at(directory: Path) -> str:
    """The address of a proxy that runs in this workspace now, "" when none does: the number of one that is gone may be
    another program's."""
    return _said_in(directory / LOCK) or _said_in(directory / SIGN)


def _said_in(path: Path) -> str:
    try:
        with path.open(encoding="ascii") as file:
            if _is_free(file.fileno()):
                return ""
            _, url = file.read().splitlines()
    except (OSError, ValueError):
        return ""
    return url


def _is_free(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
