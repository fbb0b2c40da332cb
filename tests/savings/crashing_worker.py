"""A worker for the crash test: sends calls as fast as it can and notes on the side what it was promised."""

from __future__ import annotations

import os
import random
import sys
import threading
import uuid
from pathlib import Path

import django


def main(root: Path, notes: Path) -> None:
    django.setup()
    from django.db.models import F

    from budgets.models import Revision
    from savings.flusher import Flusher
    from savings.journal import Journal
    from tests.savings.receipts import make_admission, make_settlement

    def post_balances(entries: object) -> None:
        Revision.objects.filter(pk="balance").update(number=F("number") + len(entries))  # type: ignore[arg-type]

    def work() -> None:
        open_calls: list[str] = []
        while True:
            if open_calls and random.random() < 0.5:
                call_id = open_calls.pop(random.randrange(len(open_calls)))
                journal.settle(make_settlement(call_id))
                os.write(noted, f"settled {call_id}\n".encode())
            elif len(open_calls) < 20:
                admission = make_admission()
                journal.admit(admission)
                open_calls.append(admission.call_id)
                os.write(noted, f"admitted {admission.call_id}\n".encode())

    noted = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    journal = Journal(root / uuid.uuid4().hex, rotate_bytes=60_000)
    flusher = Flusher(journal, post_balances=post_balances, interval_s=0.005, adoption_interval_s=0.1)
    flusher.prices.warm()
    flusher.start()
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    os.write(1, b"ready\n")
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
