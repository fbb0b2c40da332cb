"""Finishes the journals of workers that are gone: what they settled is recorded, what they left open is `interrupted`."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from savings import journal, journal_lines
from savings.journal import LOCK_FILE, READ_BYTES, Batch
from savings.journal_pairs import Pairs
from savings.receipts import Receipt

INTERRUPTED_AT_ONCE = 1000


def claim(root: Path, *, own: Path | None = None) -> Iterator[Leftover]:
    """The folders under `root` that no living process holds, each locked for us until it is removed or released."""
    for directory in sorted(path for path in root.iterdir() if path.is_dir()):
        if directory.name.startswith(".done-"):
            shutil.rmtree(directory, ignore_errors=True)
        elif directory != own and _is_journal(directory):
            lock_fd = journal.lock_folder(directory)
            if lock_fd is not None:
                yield Leftover(directory, lock_fd)


def _is_journal(directory: Path) -> bool:
    """Whether this is a folder of ours and nothing else: it will be removed."""
    if directory.name.startswith("."):
        return False
    try:
        names = {path.name for path in directory.iterdir()}
    except OSError:  # gone meanwhile
        return False
    return LOCK_FILE in names and all(journal.FILE_NAME.fullmatch(name) for name in names - {LOCK_FILE})


class Leftover:
    """A dead worker's journal. Reads like a `Journal`; after the batch that `is_finished`, `remove` it."""

    def __init__(self, directory: Path, lock_fd: int) -> None:
        self.directory = directory
        self.rejected_lines = 0
        self.interrupted_calls = 0
        self._lock_fd = lock_fd
        self._pairs = Pairs()
        self._files = sorted(directory.glob("*.jsonl"))
        self._read = 0
        self._batch: Batch | None = None

    @property
    def is_finished(self) -> bool:
        """Everything was read and acknowledged."""
        return not self._files and not self._pairs.open and self._batch is None

    def read_batch(self, *, now: float) -> Batch:
        """The next calls that ended; once all files are read, those that did not, ended at `now`."""
        if self._batch is None:
            if self._files:
                receipts = self._read_file()
            else:
                receipts = self._pairs.interrupt(INTERRUPTED_AT_ONCE, now=now)
                self.interrupted_calls += len(receipts)
            self._batch = Batch(receipts, self._read, 0)
        return self._batch

    def acknowledge(self, batch: Batch) -> None:
        """The batch is in the database for good."""
        if batch is not self._batch:
            raise ValueError("only the batch that was read last can be acknowledged")
        self._batch = None

    def set_aside(self, lines: list[bytes]) -> None:
        """Keep lines that no ledger can take where somebody can look at them, and count them. Raises OSError."""
        journal.set_aside(self.directory, lines)
        self.rejected_lines += len(lines)

    def remove(self) -> None:
        """Everything is in the database: the folder goes."""
        journal.remove(self.directory)
        self.release()

    def release(self) -> None:
        """Let another worker have it, or us, later."""
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def _read_file(self) -> list[Receipt]:
        with self._files[0].open("rb") as file:
            file.seek(self._read)
            chunk = file.read(READ_BYTES)
        is_last = len(chunk) < READ_BYTES
        end = chunk.rfind(b"\n") + 1
        if not is_last and end == 0:
            end = len(chunk)  # a megabyte without a newline is no line of ours
        lines = chunk[:end].splitlines()
        if is_last and _is_line(chunk[end:]):
            lines.append(chunk[end:])  # only its newline was lost
        receipts, rejected = self._pairs.feed(lines)
        if rejected:
            with contextlib.suppress(OSError):
                journal.set_aside(self.directory, rejected)
            self.rejected_lines += len(rejected)
        self._read += end
        if is_last:
            del self._files[0]
            self._read = 0
        return receipts


def _is_line(tail: bytes) -> bool:
    try:
        journal_lines.parse(tail)
    except journal_lines.BadLine:
        return False
    return True
