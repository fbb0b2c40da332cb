"""Pairs admissions with their settlements as lines are read, in a worker's own journal or in one left behind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from savings import journal_lines
from savings.receipts import Admission, Receipt, Settlement


@dataclass(slots=True)
class Pairs:
    """The admissions still open, by call id."""

    open: dict[str, Admission] = field(default_factory=dict)

    def feed(self, lines: Iterable[bytes]) -> tuple[list[Receipt], list[bytes]]:
        """Take whole lines; returns the calls they complete, and the lines that make no sense (here)."""
        receipts: list[Receipt] = []
        rejected: list[bytes] = []
        for line in lines:
            try:
                value = journal_lines.parse(line)
            except journal_lines.BadLine:
                if line.strip():
                    rejected.append(line)
                continue
            if isinstance(value, Admission):
                self.open[value.call_id] = value
            elif (receipt := self.settle(value)) is not None:
                receipts.append(receipt)
            else:
                rejected.append(line)
        return receipts, rejected

    def settle(self, settlement: Settlement) -> Receipt | None:
        """The completed call, or None when no such call is open."""
        admission = self.open.pop(settlement.call_id, None)
        return None if admission is None else Receipt(admission, settlement)

    def interrupt(self, count: int, *, now: float) -> list[Receipt]:
        """Close up to `count` open calls, oldest first, whose process is gone: sent perhaps, answered who knows."""
        receipts = []
        for call_id in list(self.open)[:count]:
            lost = Settlement(
                call_id=call_id, settled_at=now, status="interrupted", error="the proxy ended before the answer did"
            )
            receipts.append(Receipt(self.open.pop(call_id), lost))
        return receipts
