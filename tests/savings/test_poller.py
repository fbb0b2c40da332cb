"""What keeps something in memory as it is in the database."""

from __future__ import annotations

import logging
import threading

import pytest

from savings.poller import Poller
from tests.live.proxies import eventually

pytestmark = pytest.mark.django_db


@pytest.fixture
def looks() -> list[int]:
    return []


@pytest.fixture
def poller(looks: list[int]) -> Poller:
    def look() -> None:
        looks.append(len(looks))
        if 2 <= looks[-1] < 4:
            raise OSError("gone")

    return Poller(look, name="looker", interval_s=0.01, what="things", log=logging.getLogger("headroom.things"))


def test_the_first_look_is_over_when_it_is_started_and_many_follow(poller: Poller, looks: list[int]) -> None:
    poller.start()
    assert looks
    eventually(lambda: len(looks), lambda count: count > 5)
    poller.stop()
    assert "looker" not in {thread.name for thread in threading.enumerate()}
    before = len(looks)
    poller.start()
    eventually(lambda: len(looks), lambda count: count > before + 1)
    poller.stop()


def test_a_problem_is_told_once_and_so_is_its_end(poller: Poller, caplog: pytest.LogCaptureFixture) -> None:
    stale = []
    for _ in range(6):
        poller.refresh()
        stale.append(poller.is_stale)
    assert stale == [False, False, True, True, False, False]
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.ERROR, "things cannot be read (OSError: gone); those read last stay in force"),
        (logging.WARNING, "things can be read again"),
    ]
