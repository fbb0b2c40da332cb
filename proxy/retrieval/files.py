"""Originals as files in the workspace: an agent on this machine reads them with its own tools, without a round of ours.

The file is there before the marker that names it goes out. It belongs to its owner and is named after its content, so
that the same original is written once, and it goes when nobody has used it for a lifetime.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from headroom import pipeline
from proxy.decisions import Decided
from proxy.models import Original
from proxy.retrieval import words
from proxy.values import ToolResult

logger = logging.getLogger(__name__)

_SUFFIX = ".txt"


def path(owner: str, hash: str) -> Path:
    """Where an original of an owner lies, written or not."""
    return words.folder(owner) / f"{hash}{_SUFFIX}"


def write(owner: str, hash: str, text: str) -> None:
    """Have the file of an original there, readable by this user only. Raises OSError."""
    file = path(owner, hash)
    content = text.encode("utf-8", "surrogatepass")
    with contextlib.suppress(FileNotFoundError):
        if file.stat().st_size == len(content):
            os.utime(file)
            return
    for folder in (file.parent.parent, file.parent):
        folder.mkdir(mode=0o700, exist_ok=True)
    draft = file.with_name(f".{hash}.{os.getpid()}.{threading.get_ident()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(content)
        # A rename appears whole or not at all: nobody reads half an original.
        draft.replace(file)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise


def written(owner: str, made: dict[str, Decided], results: dict[str, ToolResult]) -> dict[str, Decided]:
    """The same decisions once their files are written; where that fails, a form that names the route instead."""
    return {key: _with_file(owner, one, results[key]) for key, one in made.items()}


def _with_file(owner: str, made: Decided, result: ToolResult) -> Decided:
    named = _named(owner, made)
    if not named or made.form is None:
        return made
    try:
        write(owner, made.original_hash, result.text)
    except OSError as exc:
        logger.warning("an original cannot be written to the workspace (%s); its marker names the route instead", exc)
        start, _, end = made.form.rpartition(named)
        return replace(made, form=start + words.by_route(made.original_hash) + end)
    return made


def _named(owner: str, made: Decided) -> str:
    """The words in a form that send its reader to a file, "" when none do."""
    if not made.original_hash or made.form is None:
        return ""
    brief = pipeline.BRIEF + made.original_hash  # in the folder that an earlier marker named
    found = [words.by_file(owner, made.original_hash), *([brief] if words.are_files_offered() else [])]
    return next((named for named in found if named in made.form), "")


def prune(now: datetime, lifetime: timedelta) -> int:
    """Delete the files of originals that are not kept any more. Returns how many went."""
    deleted = 0
    for folder in _folders():
        old = {file.stem: file for file in _files(folder) if _age_s(file, now) > lifetime.total_seconds()}
        names = list(old)
        for start in range(0, len(names), 500):
            batch = names[start : start + 500]
            rows = Original.objects.filter(hash__in=batch, expires_at__gt=now).values_list("owner", "hash")
            alive = {hash for owner, hash in rows if words.folder(owner) == folder}
            for hash in batch:
                with contextlib.suppress(OSError):
                    if hash in alive:
                        os.utime(old[hash])
                    else:
                        old[hash].unlink()
                        deleted += 1
    return deleted


def _folders() -> list[Path]:
    try:
        return [entry for entry in words.root().iterdir() if entry.is_dir()]
    except OSError:
        return []


def _files(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from (entry for entry in folder.iterdir() if entry.is_file())


def _age_s(file: Path, now: datetime) -> float:
    try:
        return now.timestamp() - file.stat().st_mtime
    except OSError:
        return 0.0
