"""Random histories of a worker: whatever happens in whatever order, the ledger has every call once."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from savings.journal import Batch, Journal, JournalUnwritable
from savings.receipts import Admission, Receipt
from tests.examples import examples
from tests.savings.journals import adopt, by_status, die, full_disk, workspace
from tests.savings.receipts import make_admission, make_settlement

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("admit"), st.integers(0, 3)),
        st.tuples(st.just("settle"), st.integers(0, 30)),
        st.sampled_from([("read", 0), ("acknowledge", 0), ("restart", 0), ("adopt", 0), ("fill", 0), ("free", 0)]),
    ),
    max_size=60,
)


class Model:
    """A worker, the ledger behind it, and what should be true of both."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.number = 0
        self.ledger: dict[str, str] = {}
        self.open: list[Admission] = []
        self.settled: set[str] = set()
        self.calls: set[str] = set()
        self.is_full = False
        self.start()

    def start(self) -> None:
        self.number += 1
        self.journal = Journal(self.root / f"w{self.number:03}", rotate_bytes=2500)
        self.batch: Batch | None = None

    def record(self, receipts: list[Receipt]) -> None:
        """As the ledger does: a row that exists stays as it is."""
        for call_id, status in by_status(receipts).items():
            self.ledger.setdefault(call_id, status)

    def admit(self, weight: int) -> None:
        admission = make_admission(session="s" * 150 * weight)
        try:
            self.journal.admit(admission)
        except JournalUnwritable:
            if weight % 2:
                return
            self.journal.remember(admission)
        self.open.append(admission)
        self.calls.add(admission.call_id)

    def settle(self, which: int) -> None:
        if self.open:
            admission = self.open.pop(which % len(self.open))
            self.journal.settle(make_settlement(admission.call_id))
            self.settled.add(admission.call_id)

    def read(self, _: int) -> None:
        self.batch = self.journal.read_batch()

    def acknowledge(self, _: int) -> None:
        if self.batch is not None:
            self.record(self.batch.receipts)
            self.journal.acknowledge(self.batch)
            self.batch = None

    def restart(self, _: int) -> None:
        if self.batch is not None and self.number % 2:
            self.record(self.batch.receipts)  # the commit went through, the acknowledgement did not
        # What only memory knew of goes with the process, as far as a full disk kept it there.
        unwritten = {one.call_id for one in self.journal._remembered} - self.ledger.keys()
        untold = {one.call_id for one in self.journal._overflow}
        untold |= {one.settlement.call_id for one in self.journal._drained}  # in the hands of a flusher that died too
        self.settled -= untold - self.ledger.keys() | unwritten
        self.calls -= unwritten
        die(self.journal)
        self.open = []
        self.start()

    def adopt(self, _: int) -> None:
        self.record(adopt(self.root))

    def fill(self, _: int) -> None:
        self.is_full = True

    def free(self, _: int) -> None:
        self.is_full = False


@examples(40)
@given(steps=STEPS)
def test_every_call_is_in_the_ledger_once_whatever_happens(steps: list[tuple[str, int]]) -> None:
    with workspace() as root:
        model = Model(root)
        for name, argument in steps:
            if model.is_full and name not in {"adopt", "restart"}:
                with full_disk(max(path.stat().st_size for path in model.journal.directory.glob("*.jsonl")) + 40):
                    getattr(model, name)(argument)
            else:
                getattr(model, name)(argument)
        model.restart(0)
        model.journal.close()
        model.adopt(0)
        expected = {call_id: "complete" if call_id in model.settled else "interrupted" for call_id in model.calls}
        assert model.ledger == expected
        assert list(root.iterdir()) == []
