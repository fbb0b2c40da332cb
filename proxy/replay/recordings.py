"""Find recordings below the paths that were given, and read each as what it turns out to be."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from proxy import splice
from proxy.replay import claude_code, codex, message_files
from proxy.replay.values import Session, Unreadable

SUFFIXES = (".jsonl", ".json", ".jsonl.gz", ".json.gz")


def find(paths: Iterable[Path]) -> Iterator[Path]:
    """The files to read: those that were named, and below folders all whose name ends as recordings' do, sorted."""
    for path in paths:
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.name.endswith(SUFFIXES) and file.is_file())
        else:
            yield path


def read(path: Path, *, name: str = "", seen: set[str] | None = None) -> Session:
    """The session in one file. `seen` collects ids of answers over several files. Raises Unreadable with the reason."""
    content = _content(path)
    name = name or path.name
    if not content.strip():
        raise Unreadable("empty")
    try:
        document = splice.loads(content)
    except ValueError:
        return _lines(content, name, seen)
    if claude_code.is_record(document):  # a log of one line
        return claude_code.read([document], name=name, seen=seen)
    return message_files.read(document, name=name)


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
    except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
        raise Unreadable(f"broken gzip file: {exc}") from exc
    except OSError as exc:
        raise Unreadable(exc.strerror or str(exc)) from exc


def _lines(content: bytes, name: str, seen: set[str] | None) -> Session:
    records: list[dict[str, Any]] = []
    bad_lines = 0
    for line in content.splitlines():
        if not line.strip():
            continue
        try:
            value = splice.loads(line)
        except ValueError:
            bad_lines += 1
            continue
        if claude_code.is_record(value) or codex.is_record(value):
            records.append(value)
    if not records:
        raise Unreadable("neither JSON nor a session of Claude Code or Codex")
    if codex.is_record(records[0]):
        rollout = [record for record in records if codex.is_record(record)]
        return codex.read(rollout, name=name, bad_lines=bad_lines)
    return claude_code.read(records, name=name, bad_lines=bad_lines, seen=seen)
