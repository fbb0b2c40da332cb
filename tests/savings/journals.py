"""What the tests of the journal do to one: empty it, let its process die, fill its disk."""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from savings import adoption
from savings.journal import Journal
from savings.receipts import Receipt
from tests.savings.receipts import NOON


def drain(journal: Journal) -> list[Receipt]:
    """Everything that ended, acknowledged."""
    receipts: list[Receipt] = []
    while (batch := journal.read_batch()).receipts or batch.bytes_read:
        receipts += batch.receipts
        journal.acknowledge(batch)
    journal.acknowledge(batch)
    return receipts


def adopt(root: Path) -> list[Receipt]:
    """Everything in folders whose process is gone, recorded and removed."""
    receipts: list[Receipt] = []
    for leftover in adoption.claim(root):
        while not leftover.is_finished:
            batch = leftover.read_batch(now=NOON + 60)
            receipts += batch.receipts
            leftover.acknowledge(batch)
        leftover.remove()
    return receipts


def die(journal: Journal) -> None:
    """What kill -9 does to a journal: its descriptors are closed and nothing else happens."""
    os.close(journal._fd)
    os.close(journal._lock_fd)


@contextmanager
def workspace() -> Iterator[Path]:
    """A fresh folder for each example; pytest's own lasts for all of them."""
    directory = tempfile.mkdtemp()
    try:
        yield Path(directory)
    finally:
        shutil.rmtree(directory)


def by_status(receipts: list[Receipt]) -> dict[str, str]:
    assert len({receipt.admission.call_id for receipt in receipts}) == len(receipts)
    return {receipt.admission.call_id: receipt.settlement.status for receipt in receipts}


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file of this process may grow beyond so many bytes: the kernel takes a part of a line, then refuses."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
