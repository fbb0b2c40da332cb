"""Each worker's own file of what it sent and how it ended, written before the database hears of it.

It survives the end of the process, however sudden; it is not synced to the disk, so a power cut may take the last second.
Writing is one `os.write` of one line and happens on the event loop; everything else is for the flusher's thread.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from savings import journal_lines
from savings.journal_pairs import Pairs
from savings.receipts import Admission, Receipt, Settlement

READ_BYTES = 1024 * 1024
READ_LINES = 5000
ROTATE_BYTES = 8 * 1024 * 1024
# What the flusher may still have to read while it holds the writer's lock to rotate: a millisecond or two.
ROTATE_REST_BYTES = 128 * 1024
# Settlements kept in memory while the disk takes none. One for each call that was open when it filled up, in practice.
MAX_OVERFLOW = 50_000
LOCK_FILE = "lock"
FILE_NAME = re.compile(r"[0-9]{8}\.jsonl")


class JournalFull(RuntimeError):
    """The journal holds as many bytes as it may: the database has not taken any for long."""

    def __init__(self, directory: Path, used_bytes: int, max_bytes: int) -> None:
        super().__init__(
            f"journal {directory.name} is full: {used_bytes:,} of {max_bytes:,} bytes wait for the database"
        )
        self.used_bytes = used_bytes
        self.max_bytes = max_bytes


class JournalUnwritable(RuntimeError):
    """The journal's disk does not take a line."""

    def __init__(self, directory: Path, problem: str) -> None:
        super().__init__(f"journal {directory.name} cannot be written: {problem}")
        self.problem = problem


class JournalInUse(OSError):
    """There is a folder of this name already: another process writes there, or has."""

    def __init__(self, directory: Path) -> None:
        super().__init__(f"journal {directory} exists already")
        self.directory = directory


@dataclass(frozen=True, slots=True)
class Status:
    """How far the database is behind. Bytes and seconds count lines that it has not taken yet."""

    used_bytes: int
    max_bytes: int
    share: float
    oldest_unflushed_s: float
    open_calls: int
    overflow: int
    """Lines that memory keeps while the disk takes none."""
    rejected_lines: int
    problem: str
    """Why the last line could not be written; empty when it could."""


@dataclass(slots=True)
class Batch:
    """What was read and is not yet known to be in the ledger: `bytes_read` of the file, up to the offset `end`."""

    receipts: list[Receipt]
    end: int
    bytes_read: int
    finished_file: Path | None = None


class Journal:
    """This process's journal, in a new folder beside those of the other workers. Folder names are used once.

    Any thread writes: `admit`, `settle`. One thread reads: `read_batch`, `acknowledge`, again and again.
    """

    def __init__(
        self,
        directory: Path,
        *,
        max_bytes: int = 256 * 1024 * 1024,
        rotate_bytes: int = ROTATE_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.directory = directory
        self._lock_fd = _take_folder(directory)
        self.max_bytes = max_bytes
        self._rotate_bytes = rotate_bytes
        self._clock = clock
        self._lock = threading.Lock()
        self._pairs = Pairs()
        self._remembered: deque[Admission] = deque()
        self._overflow: deque[Settlement] = deque()
        # Calls that the flusher took from memory and has not recorded yet.
        self._drained: list[Receipt] = []
        self._batch: Batch | None = None
        self._rejected_lines = 0
        self._problem = ""
        self._is_closed = False
        self._is_torn = False
        # (offset, time) of lines not yet acknowledged, about one a second.
        self._marks: deque[tuple[int, float]] = deque()
        self._number = 0
        self._fd = -1
        self._size = self._read = self._acknowledged = 0
        self._fd = self._create_file()

    # The road's side.

    def admit(self, admission: Admission) -> None:
        """Write down a call before it is sent. Raises JournalFull or JournalUnwritable: then nothing was kept."""
        line = journal_lines.admitted(admission)
        with self._lock:
            used_bytes = self._size - self._acknowledged
            if used_bytes + len(line) > self.max_bytes:
                raise JournalFull(self.directory, used_bytes, self.max_bytes)
            self._append(line)

    def remember(self, admission: Admission) -> None:
        """Keep in memory a call that the disk did not take and that is sent all the same; it gets there when the disk is back.

        Until then only the end of this process can lose it. Raises JournalUnwritable when memory has taken its share.
        """
        with self._lock:
            if self._is_closed or len(self._remembered) >= MAX_OVERFLOW:
                raise JournalUnwritable(self.directory, self._problem or "it is closed")
            self._pairs.open[admission.call_id] = admission
            self._remembered.append(admission)

    def settle(self, settlement: Settlement) -> None:
        """Write down how a call ended, whatever the cap. When the disk refuses, memory keeps it for the flusher."""
        line = journal_lines.settled(settlement)
        with self._lock:
            try:
                self._append(line)
            except JournalUnwritable:
                if self._is_closed or len(self._overflow) >= MAX_OVERFLOW:
                    raise
                self._overflow.append(settlement)

    def status(self) -> Status:
        """A snapshot for /readyz and metrics; cheap."""
        with self._lock:
            used_bytes = self._size - self._acknowledged
            return Status(
                used_bytes=used_bytes,
                max_bytes=self.max_bytes,
                share=used_bytes / self.max_bytes,
                oldest_unflushed_s=self._clock() - self._marks[0][1] if self._marks else 0.0,
                open_calls=len(self._pairs.open),
                overflow=len(self._overflow) + len(self._remembered),
                rejected_lines=self._rejected_lines,
                problem=self._problem,
            )

    def _append(self, line: bytes) -> None:
        if self._is_closed:
            raise JournalUnwritable(self.directory, "it is closed")
        line = self._held_back() + line
        try:
            if os.write(self._fd, line) != len(line):
                raise OSError("it took only a part of a line")
        except OSError as exc:
            self._take_back()
            self._problem = exc.strerror or str(exc)
            raise JournalUnwritable(self.directory, self._problem) from exc
        self._problem = ""
        self._is_torn = False
        self._remembered.clear()
        self._overflow.clear()
        self._drained.clear()
        self._size += len(line)
        now = self._clock()
        if not self._marks or now - self._marks[-1][1] > 1.0:
            self._marks.append((self._size, now))

    def _held_back(self) -> bytes:
        """What memory kept while the disk took nothing, to be written first."""
        if not (self._is_torn or self._remembered or self._overflow or self._drained):
            return b""
        # A remembered call that the flusher has paired by now is on its way to the ledger: writing it would open it again.
        calls = [journal_lines.admitted(one) for one in self._remembered if one.call_id in self._pairs.open]
        return b"".join(
            [b"\n" if self._is_torn else b"", *calls, self._unrecorded(), *map(journal_lines.settled, self._overflow)]
        )

    def _take_back(self) -> None:
        """Cut off what a failed write left; where even that fails, the next line starts on a line of its own."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, self._size)
        actual_size = os.fstat(self._fd).st_size
        self._is_torn = self._is_torn or actual_size != self._size
        self._size = actual_size

    # The flusher's side.

    def read_batch(self) -> Batch:
        """The next calls that ended; the same ones again until they are acknowledged."""
        if self._batch is None:
            chunk = _whole_lines(os.pread(self._fd, READ_BYTES, self._read))
            receipts = self._feed(chunk)
            self._read += len(chunk)
            if self._read == self._size:
                receipts += self._drain_overflow()
            self._batch = Batch(receipts, self._read, len(chunk))
        return self._batch

    def acknowledge(self, batch: Batch) -> None:
        """The batch is in the database for good: forget it, and start a new file when this one is long."""
        if batch is not self._batch:
            raise ValueError("only the batch that was read last can be acknowledged")
        self._batch = None
        with self._lock:
            self._drained.clear()
            self._acknowledged = batch.end
            while self._marks and self._marks[0][0] <= batch.end:
                self._marks.popleft()
        if batch.finished_file is not None:
            batch.finished_file.unlink(missing_ok=True)
        if self._read >= self._rotate_bytes and self._size - self._read <= ROTATE_REST_BYTES:
            self._rotate()

    def set_aside(self, lines: list[bytes]) -> None:
        """Keep lines that no ledger can take where somebody can look at them, and count them. Raises OSError."""
        set_aside(self.directory, lines)
        self._rejected_lines += len(lines)

    def close(self) -> None:
        """Write no more. The folder goes if nothing in it is needed, else another worker adopts it."""
        with self._lock:
            if self._is_closed:
                return
            with contextlib.suppress(JournalUnwritable):
                self._append(b"\n" if self._remembered or self._overflow or self._drained else b"")
            self._is_closed = True
            is_finished = self._batch is None and self._acknowledged == self._size and not self._pairs.open
            os.close(self._fd)
        if is_finished:
            remove(self.directory)
        os.close(self._lock_fd)

    def _unrecorded(self) -> bytes:
        """Both lines of the calls that the flusher took from memory. Read again, they change nothing in the ledger."""
        return b"".join(
            journal_lines.admitted(r.admission) + journal_lines.settled(r.settlement) for r in self._drained
        )

    def _feed(self, chunk: bytes) -> list[Receipt]:
        receipts, rejected = self._pairs.feed(chunk.splitlines())
        if rejected:
            with contextlib.suppress(OSError):  # a full disk may lose what makes no sense, never what does
                set_aside(self.directory, rejected)
            self._rejected_lines += len(rejected)
        return receipts

    def _drain_overflow(self) -> list[Receipt]:
        receipts = []
        with self._lock:
            for _ in range(len(self._overflow)):
                settlement = self._overflow.popleft()
                receipt = self._pairs.settle(settlement)
                if receipt is not None:
                    receipts.append(receipt)
                    self._drained.append(receipt)
                else:  # its admission was written after we read
                    self._overflow.append(settlement)
        return receipts

    def _rotate(self) -> None:
        """Go on in a new file that begins with the calls still open. The old one goes once its last lines are recorded."""
        with self._lock:
            rest = os.pread(self._fd, self._size - self._read, self._read)
            receipts = self._feed(rest)
            self._read = self._size
            carried = b"".join(map(journal_lines.admitted, self._pairs.open.values()))
            finished_file: Path | None = self._file
            try:
                new_fd = self._create_file(carried)
            except OSError:  # a full disk: stay, and try again after the next batch
                finished_file = None
            else:
                os.close(self._fd)
                self._fd = new_fd
                self._size = self._read = self._acknowledged = len(carried)
                self._marks.clear()
                self._remembered.clear()
            if rest:
                self._batch = Batch(receipts, self._read, len(rest), finished_file)
            elif finished_file is not None:
                finished_file.unlink(missing_ok=True)

    def _create_file(self, content: bytes = b"") -> int:
        path = self.directory / f"{self._number + 1:08}.jsonl"
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            if content and os.write(descriptor, content) != len(content):
                raise OSError("the disk is full")
        except OSError:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        self._number += 1
        self._file = path
        return descriptor


def _whole_lines(chunk: bytes) -> bytes:
    """Up to READ_LINES whole lines from the start of the chunk."""
    end = chunk.rfind(b"\n") + 1
    if chunk.count(b"\n") > READ_LINES:
        end = 0
        for _ in range(READ_LINES):
            end = chunk.index(b"\n", end) + 1
    return chunk[:end]


def set_aside(directory: Path, lines: list[bytes]) -> None:
    """Append lines to `<directory>.rejected`, which stays when the folder goes."""
    path = directory.with_name(directory.name + ".rejected")
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, b"".join(line.rstrip(b"\n") + b"\n" for line in lines))
    finally:
        os.close(descriptor)


def remove(directory: Path) -> None:
    """Remove a folder whose every line is recorded: at once for the others, who must never see half of it."""
    done = directory.with_name(f".done-{directory.name}-{secrets.token_hex(4)}")
    with contextlib.suppress(FileNotFoundError):
        directory.rename(done)
        shutil.rmtree(done, ignore_errors=True)


def lock_folder(directory: Path) -> int | None:
    """A descriptor that holds the folder until it is closed or this process ends; None when somebody else holds it.

    Python opens descriptors so that programs started by us do not inherit them: a child that outlives us cannot keep
    the folder from being adopted.
    """
    try:
        descriptor = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The folder may have been renamed or removed by who held it before: then this is the lock of nothing.
        if os.fstat(descriptor).st_ino == (directory / LOCK_FILE).stat().st_ino:
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


def _take_folder(directory: Path) -> int:
    """Make the folder, locked. It gets its name, by which others find it, when it is locked and not before."""
    directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unnamed = directory.with_name(f".new-{directory.name}-{secrets.token_hex(4)}")
    unnamed.mkdir(mode=0o700)
    lock_fd = lock_folder(unnamed)
    if lock_fd is not None and not directory.exists():
        with contextlib.suppress(OSError):  # refused when somebody was quicker, as theirs is not empty
            unnamed.rename(directory)
            return lock_fd
    if lock_fd is not None:
        os.close(lock_fd)
    shutil.rmtree(unnamed, ignore_errors=True)
    raise JournalInUse(directory)
