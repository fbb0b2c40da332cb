"""`--log-messages`: what was asked, what was sent instead, what came back. Off unless somebody asks for it.

The road only keeps the bytes it has in hand anyway. They wait here until their call is booked, and go into the database and
the log file with it. A killed process loses those of its last moment, as they are no part of the account.
"""

from __future__ import annotations

import threading
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from savings.models import CallBody
from savings.pricing import PricedReceipt

MAX_BODY_BYTES = 4 * 1024 * 1024
"""Longer ones are cut, and end with a line that says so."""
MAX_WAITING_BYTES = 64 * 1024 * 1024
CUT = b"\n[cut here: longer than what is kept]"


@dataclass(slots=True)
class Bodies:
    """The bodies of one call. `sent` is empty where it is what was asked."""

    asked: bytes
    sent: bytes = b""
    parts: list[bytes] = field(default_factory=list)
    size: int = 0

    def answer(self, chunk: bytes) -> None:
        """Another piece of the answer."""
        if self.size < MAX_BODY_BYTES:
            self.parts.append(chunk[: MAX_BODY_BYTES - self.size])
        self.size += len(chunk)

    @property
    def answered(self) -> bytes:
        return b"".join(self.parts) + (CUT if self.size > MAX_BODY_BYTES else b"")


class Waiting:
    """Bodies by call id, from the road until their call is booked. The oldest go first when there are too many."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bodies: OrderedDict[str, Bodies] = OrderedDict()

    def expect(self, call_id: str, asked: bytes, sent: bytes) -> Bodies:
        """Begin to keep the bodies of a call."""
        bodies = Bodies(_cut(asked), b"" if sent == asked else _cut(sent))
        with self._lock:
            self._bodies[call_id] = bodies
            held = sum(len(b.asked) + len(b.sent) + b.size for b in self._bodies.values())
            while held > MAX_WAITING_BYTES and len(self._bodies) > 1:
                _, gone = self._bodies.popitem(last=False)
                held -= len(gone.asked) + len(gone.sent) + gone.size
        return bodies

    def recall(self, call_id: str) -> Bodies | None:
        """The bodies of a call, if they are still here."""
        with self._lock:
            return self._bodies.get(call_id)

    def __call__(self, entries: Sequence[PricedReceipt]) -> None:
        """Store the bodies of calls that were booked, and let go of them."""
        with self._lock:
            kept = [
                (call_id, self._bodies.pop(call_id))
                for entry in entries
                if (call_id := entry.receipt.admission.call_id) in self._bodies
            ]
        CallBody.objects.bulk_create(
            [
                CallBody(
                    call_id=call_id,
                    asked=zlib.compress(bodies.asked, 1),
                    sent=zlib.compress(bodies.sent, 1) if bodies.sent else b"",
                    answered=zlib.compress(bodies.answered, 1),
                )
                for call_id, bodies in kept
            ],
            ignore_conflicts=True,
        )


def _cut(body: bytes) -> bytes:
    return body if len(body) <= MAX_BODY_BYTES else body[:MAX_BODY_BYTES] + CUT
