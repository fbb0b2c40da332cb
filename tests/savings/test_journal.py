from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import orjson
import pytest

from savings import adoption, journal_lines
from savings.journal import Journal, JournalFull, JournalInUse, JournalUnwritable
from savings.receipts import Admission, Receipt, Usage
from tests.live.proxies import eventually
from tests.savings.journals import adopt, by_status, die, drain, full_disk
from tests.savings.receipts import NOON, make_admission, make_settlement


def test_a_call_comes_out_as_it_went_in(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "w")
    admission = make_admission(transforms=("a", "b"), is_streaming=True, session="ß\n\u2028\x00")
    settlement = make_settlement(admission.call_id, usage=Usage(1, None, 0, 3, 4, 5), ttfb_ms=None, error="e")
    journal.admit(admission)
    assert drain(journal) == []
    journal.settle(settlement)
    assert drain(journal) == [Receipt(admission, settlement)]
    assert drain(journal) == []


def test_files_and_folders_are_private(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal" / "w")
    journal.admit(make_admission())
    journal.set_aside([b"x"])
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "journal").rglob("*")}
    assert modes.pop("w") == 0o700
    assert len(modes) == 3
    assert set(modes.values()) == {0o600}


def test_a_batch_comes_again_until_it_is_acknowledged(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "w")
    admission = make_admission()
    journal.admit(admission)
    journal.settle(make_settlement(admission.call_id))
    first = journal.read_batch()
    assert journal.read_batch() is first
    assert journal.status().used_bytes > 0
    journal.acknowledge(first)
    assert journal.status().used_bytes == 0
    with pytest.raises(ValueError, match="read last"):
        journal.acknowledge(first)


def test_names_are_used_once_and_living_journals_are_left_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "w")
    journal.admit(make_admission())
    with pytest.raises(JournalInUse):
        Journal(tmp_path / "w")
    assert list(adoption.claim(tmp_path)) == []
    other = Journal(tmp_path / "v")
    journal.admit(make_admission())
    assert adopt(tmp_path) == []
    assert {path.name for path in tmp_path.iterdir()} == {"v", "w"}
    other.close()
    assert {path.name for path in tmp_path.iterdir()} == {"w"}


def test_adoption_keeps_its_hands_off_what_is_no_journal(tmp_path: Path) -> None:
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "lock").touch()
    (tmp_path / "documents" / "thesis.txt").touch()
    (tmp_path / "empty").mkdir()
    assert adopt(tmp_path) == []
    assert (tmp_path / "documents" / "thesis.txt").exists()


def test_a_closed_journal_leaves_a_folder_only_if_something_is_in_it(tmp_path: Path) -> None:
    for number, is_settled in enumerate([True, False]):
        journal = Journal(tmp_path / f"w{number}")
        admission = make_admission()
        journal.admit(admission)
        if is_settled:
            journal.settle(make_settlement(admission.call_id))
        drain(journal)
        journal.close()
        journal.close()
        assert journal.directory.exists() != is_settled
        with pytest.raises(JournalUnwritable):
            journal.admit(make_admission())
    assert list(by_status(adopt(tmp_path)).values()) == ["interrupted"]
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_call_says_when_it_was_found(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "w")
    admission = make_admission()
    journal.admit(admission)
    die(journal)
    (receipt,) = adopt(tmp_path)
    assert receipt.admission == admission
    assert (receipt.settlement.status, receipt.settlement.settled_at) == ("interrupted", NOON + 60)
    assert receipt.settlement.usage == Usage()


def test_a_corrupt_line_is_set_aside_and_harms_no_other(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "w")
    good, bad = make_admission(), make_admission()
    journal.admit(good)
    for line in (b'{"admitted": {"call_id": 7}}', b"\x00\x00\xff", b"[]", b"3", b'{"settled": {}}', b'{"other": 1}'):
        journal._append(line + b"\n")
    journal.settle(make_settlement(bad.call_id))
    journal.settle(make_settlement(good.call_id))
    assert list(by_status(drain(journal))) == [good.call_id]
    assert journal.status().rejected_lines == 7
    journal.close()
    assert len((tmp_path / "w.rejected").read_bytes().splitlines()) == 7


def test_a_line_of_a_newer_version_is_understood() -> None:
    admission = make_admission()
    entry = orjson.loads(journal_lines.admitted(admission))
    entry["admitted"]["invented_later"] = [1]
    assert journal_lines.parse(orjson.dumps(entry)) == admission
    settlement = make_settlement(admission.call_id)
    entry = orjson.loads(journal_lines.settled(settlement))
    entry["settled"]["invented_later"] = entry["settled"]["usage"]["image"] = 1
    assert journal_lines.parse(orjson.dumps(entry)) == settlement


@pytest.mark.parametrize(
    "odd",
    [
        {"session": "\ud800"},
        {"session": "x" * 1_000_000},
        {"tokens_before": 2**65},
        {"transforms": ("t" * 1000,) * 1000},
        {"admitted_at": NOON, "user": "\udcff" * 9000},
    ],
)
def test_odd_values_are_written_down_all_the_same(tmp_path: Path, odd: dict[str, Any]) -> None:
    journal = Journal(tmp_path / "w")
    admission = make_admission(**odd)
    journal.admit(admission)
    journal.settle(make_settlement(admission.call_id, usage=Usage(output=2**64)))
    assert list(by_status(drain(journal))) == [admission.call_id]


def test_a_full_journal_refuses_calls_but_takes_their_ends(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "w", max_bytes=5000)
    admitted: list[Admission] = []
    with pytest.raises(JournalFull, match="full") as refusal:
        while True:
            admission = make_admission()
            journal.admit(admission)
            admitted.append(admission)
    assert 4000 < refusal.value.used_bytes <= 5000
    assert journal.status().share > 0.8
    for admission in admitted:
        journal.settle(make_settlement(admission.call_id))
    assert set(by_status(drain(journal))) == {admission.call_id for admission in admitted}
    journal.admit(make_admission())


def test_status_says_how_far_the_ledger_is_behind(tmp_path: Path) -> None:
    now = 100.0
    journal = Journal(tmp_path / "w", clock=lambda: now)
    assert journal.status().oldest_unflushed_s == 0
    journal.admit(make_admission())
    now = 107.0
    journal.admit(make_admission())
    assert journal.status().oldest_unflushed_s == 7
    drain(journal)
    assert (journal.status().oldest_unflushed_s, journal.status().open_calls) == (0, 2)


@pytest.mark.parametrize("room", [0, 1, 100, 599])
def test_a_full_disk_loses_nothing(tmp_path: Path, room: int) -> None:
    journal = Journal(tmp_path / "w")
    early, late, after = make_admission(), make_admission(), make_admission()
    journal.admit(early)
    with full_disk((tmp_path / "w" / "00000001.jsonl").stat().st_size + room):
        for _ in range(3):
            with pytest.raises(JournalUnwritable):
                journal.admit(make_admission(session="s" * 400))
        journal.remember(late)
        journal.settle(make_settlement(early.call_id, error="e" * 600))
        assert journal.status().problem
        assert journal.status().overflow == 2
        assert list(by_status(drain(journal))) == [early.call_id]
    journal.admit(after)
    journal.settle(make_settlement(late.call_id))
    journal.settle(make_settlement(after.call_id))
    assert journal.status().problem == ""
    assert set(by_status(drain(journal))) == {late.call_id, after.call_id}
    assert (journal.status().rejected_lines, journal.status().open_calls, journal.status().overflow) == (0, 0, 0)
    # Its end was never on the disk; whoever adopts the journal finds its row in the ledger and leaves it.
    die(journal)
    assert [call_id for call_id, status in by_status(adopt(tmp_path)).items() if status == "interrupted"] == [
        early.call_id
    ]


def test_what_memory_kept_reaches_the_disk_when_there_is_room_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "w")
    early, late = make_admission(), make_admission()
    journal.admit(early)
    with full_disk((tmp_path / "w" / "00000001.jsonl").stat().st_size):
        journal.remember(late)
        journal.settle(make_settlement(early.call_id))
    journal.admit(make_admission())
    die(journal)
    assert sorted(by_status(adopt(tmp_path)).values()) == ["complete", "interrupted", "interrupted"]


def test_a_long_file_is_replaced_by_one_with_the_open_calls(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "w", rotate_bytes=10_000)
    held = make_admission()
    journal.admit(held)
    seen: list[str] = []
    for _ in range(200):
        admission = make_admission()
        journal.admit(admission)
        journal.settle(make_settlement(admission.call_id))
        seen += by_status(drain(journal))
    assert len(seen) == len(set(seen)) == 200
    files = list((tmp_path / "w").glob("*.jsonl"))
    assert len(files) == 1
    assert files[0].name > "00000005.jsonl"
    assert files[0].stat().st_size < 15_000
    die(journal)
    assert by_status(adopt(tmp_path))[held.call_id] == "interrupted"


def test_a_rotation_that_finds_the_disk_full_stays_where_it_is(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "w", rotate_bytes=100)
    calls = [make_admission() for _ in range(4)]
    for admission in calls:
        journal.admit(admission)
    with full_disk(300):
        assert drain(journal) == []
    for admission in calls:
        journal.settle(make_settlement(admission.call_id))
    assert len(by_status(drain(journal))) == 4
    assert len(list((tmp_path / "w").glob("*.jsonl"))) == 1


@pytest.mark.parametrize("is_full", [True, False])
def test_a_rotation_takes_along_what_was_written_meanwhile(tmp_path: Path, is_full: bool) -> None:
    journal = Journal(tmp_path / "w", rotate_bytes=100)
    before, meanwhile, late = make_admission(), make_admission(), make_admission()
    journal.admit(before)
    batch = journal.read_batch()
    journal.admit(meanwhile)
    journal.settle(make_settlement(meanwhile.call_id))
    journal.admit(late)
    with full_disk(300 if is_full else 10**9):
        journal.acknowledge(batch)
        receipts = drain(journal)
    for admission in (before, late):
        journal.settle(make_settlement(admission.call_id))
    assert set(by_status(receipts + drain(journal))) == {before.call_id, meanwhile.call_id, late.call_id}
    assert (journal.status().rejected_lines, journal.status().open_calls) == (0, 0)


def test_a_call_that_only_memory_ever_knew_is_not_opened_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "w")
    admission = make_admission()
    with full_disk(0):
        journal.remember(admission)
        journal.settle(make_settlement(admission.call_id))
        assert list(by_status(drain(journal))) == [admission.call_id]
    later = make_admission()
    journal.admit(later)
    assert drain(journal) == []
    assert journal.status().open_calls == 1
    journal.settle(make_settlement(later.call_id))
    assert list(by_status(drain(journal))) == [later.call_id]
    journal.close()
    assert list(tmp_path.iterdir()) == []


def test_a_file_cut_anywhere_keeps_what_was_whole(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "w")
    calls = [make_admission() for _ in range(3)]
    for admission in calls:
        journal.admit(admission)
    for admission in calls[:2]:
        journal.settle(make_settlement(admission.call_id))
    content = (tmp_path / "w" / "00000001.jsonl").read_bytes()
    die(journal)
    shutil.rmtree(tmp_path / "w")
    lines = content.splitlines()
    for length in range(len(content) + 1):
        folder = tmp_path / f"cut-{length}"
        folder.mkdir()
        (folder / "lock").touch()
        (folder / "00000001.jsonl").write_bytes(content[:length])
        # A line whose newline alone is missing is whole.
        kept = {line for line in lines if line in content[:length].split(b"\n")}
        admitted = {value.call_id for line in kept if isinstance(value := journal_lines.parse(line), Admission)}
        settled = {journal_lines.parse(line).call_id for line in kept} - {
            call.call_id for call in calls if journal_lines.settled(make_settlement(call.call_id)).strip() not in kept
        }
        found = by_status(adopt(tmp_path))
        assert found == {call_id: "complete" if call_id in settled else "interrupted" for call_id in admitted}
        assert not (tmp_path / f"cut-{length}.rejected").exists()


def test_a_removal_that_was_cut_short_is_finished_and_not_read(tmp_path: Path) -> None:
    gone = tmp_path / ".done-w-1234"
    gone.mkdir()
    (gone / "00000002.jsonl").write_bytes(journal_lines.admitted(make_admission()))
    assert adopt(tmp_path) == []
    assert not gone.exists()


def test_a_megabyte_of_rubbish_does_not_stop_an_adoption(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "w")
    admission = make_admission()
    journal.admit(admission)
    die(journal)
    with (tmp_path / "w" / "00000001.jsonl").open("ab") as file:
        file.write(b"x" * 3_000_000 + b"\n" + journal_lines.settled(make_settlement(admission.call_id)))
    assert by_status(adopt(tmp_path)) == {admission.call_id: "complete"}
    assert (tmp_path / "w.rejected").stat().st_size > 2_900_000


def test_threads_do_not_tear_each_others_lines(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "w", rotate_bytes=50_000)
    stop = threading.Event()
    found: list[Receipt] = []

    def work() -> None:
        for _ in range(300):
            admission = make_admission()
            journal.admit(admission)
            journal.settle(make_settlement(admission.call_id))

    def read() -> None:
        while not stop.is_set():
            found.extend(drain(journal))

    reader = threading.Thread(target=read)
    reader.start()
    writers = [threading.Thread(target=work) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    stop.set()
    reader.join()
    found += drain(journal)
    assert len(by_status(found)) == 1200
    assert journal.status().rejected_lines == 0


def test_a_program_that_outlives_us_does_not_hold_the_journal(tmp_path: Path) -> None:
    script = (
        "import subprocess, sys; from pathlib import Path; from savings.journal import Journal\n"
        "from tests.savings.receipts import make_admission\n"
        f"journal = Journal(Path({str(tmp_path / 'w')!r})); journal.admit(make_admission())\n"
        "child = subprocess.Popen(['sleep', '30'], close_fds=False, stdout=subprocess.DEVNULL)\n"
        "print(child.pid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdout is not None
        child = int(worker.stdout.readline())
        try:
            assert adopt(tmp_path) == []
            worker.kill()
            worker.wait()
            os.kill(child, 0)
            receipts = eventually(lambda: adopt(tmp_path), bool)
            assert list(by_status(receipts).values()) == ["interrupted"]
        finally:
            os.kill(child, 9)
