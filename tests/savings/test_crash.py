from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.db.models import F

from budgets.models import Revision
from savings.flusher import Flusher
from savings.journal import Journal
from savings.models import LedgerEntry
from tests.live.proxies import eventually

ROUNDS = 3
ENOUGH_BYTES = 10_000
"""Of notes in a round: a hundred calls or so, however slow the machine is."""


def start_worker(root: Path, notes: Path, database_url: str) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "headroom_site.settings",
        "HEADROOM_DATABASE_URL": database_url,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "tests.savings.crashing_worker", str(root), str(notes)],
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    )


@pytest.mark.crash
def test_workers_killed_at_any_moment_leave_every_call_in_the_ledger_once(
    tmp_path: Path, database: str, database_url: str
) -> None:
    root, notes = tmp_path / "journal", tmp_path / "notes"
    Revision(name="balance").save()
    for _ in range(ROUNDS):
        workers = [start_worker(root, notes, database_url) for _ in range(2)]
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        so_far = notes.stat().st_size
        eventually(lambda so_far=so_far: notes.stat().st_size - so_far, lambda grown: grown > ENOUGH_BYTES)
        for worker in workers:
            time.sleep(random.uniform(0.02, 0.2))
            worker.kill()
            worker.communicate()

    def post_balances(entries: object) -> None:
        Revision.objects.filter(pk="balance").update(number=F("number") + len(entries))  # type: ignore[arg-type]

    last = Flusher(Journal(root / "last"), post_balances=post_balances, interval_s=0.01, adoption_interval_s=0.1)
    last.start()
    eventually(lambda: [path for path in root.iterdir() if path.is_dir()], lambda left: len(left) == 1)
    assert last.stop()

    promised: dict[str, set[str]] = {"admitted": set(), "settled": set()}
    for line in notes.read_text().splitlines():
        word, call_id = line.split()
        promised[word].add(call_id)
    rows = {str(pk): status for pk, status in LedgerEntry.objects.values_list("pk", "status")}
    assert len(promised["settled"]) > 200
    assert promised["admitted"] <= rows.keys()
    assert {rows[call_id] for call_id in promised["settled"]} == {"complete"}
    # A kill can fall between a write and its note: one of each kind and thread and worker at most.
    unnoted = sum(status == "complete" for status in rows.values()) - len(promised["settled"])
    assert 0 <= unnoted <= 2 * 2 * ROUNDS
    assert 0 <= len(rows) - len(promised["admitted"]) <= 2 * 2 * ROUNDS
    assert Revision.objects.get(pk="balance").number == len(rows)
    assert list(root.iterdir()) == []
