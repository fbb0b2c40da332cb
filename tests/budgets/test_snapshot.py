from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from budgets import gate, keys, snapshot
from budgets.models import ApiKey
from budgets.snapshot import Keyring
from tests.live.proxies import eventually


@pytest.fixture
def keyring(database: str) -> Iterator[Keyring]:
    keyring = Keyring(interval_s=0.05)
    yield keyring
    keyring.stop()


def identify(keyring: Keyring, secret: str) -> gate.Principal:
    headers = [(b"x-headroom-key", secret.encode())]
    return gate.identify(headers, peer="", require_key=True, keys=keyring.snapshot)


def test_a_revocation_is_seen_by_every_worker_in_time(database: str) -> None:
    key, secret = keys.create("laptop")
    workers = [Keyring(), Keyring()]  # at the product's own interval
    for worker in workers:
        worker.start()
        assert identify(worker, secret).key_id == str(key.pk)
    keys.revoke("laptop")
    deadline = time.monotonic() + 2
    for worker in workers:
        while True:
            try:
                identify(worker, secret)
            except gate.RevokedKey:
                break
            assert time.monotonic() < deadline
            time.sleep(0.02)
        worker.stop()


def test_a_new_key_works_soon(keyring: Keyring) -> None:
    keyring.start()
    _, secret = keys.create("new")
    deadline = time.monotonic() + 2
    while not keyring.snapshot.by_prefix and time.monotonic() < deadline:
        time.sleep(0.01)
    assert identify(keyring, secret).key_label == "new"


def test_when_nothing_changed_one_row_is_read(keyring: Keyring) -> None:
    keys.create("a")
    keyring.refresh()
    before = keyring.snapshot
    with CaptureQueriesContext(connection) as queries:
        keyring.refresh()
    assert len(queries) == 1
    assert keyring.snapshot is before


def test_a_change_behind_our_back_is_seen_in_the_end(keyring: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    _, secret = keys.create("a")
    keyring.refresh()
    ApiKey.objects.all().delete()
    keyring.refresh()
    assert identify(keyring, secret)
    monkeypatch.setattr(snapshot, "RELOAD_S", 0.0)
    keyring.refresh()
    with pytest.raises(gate.UnknownKey):
        identify(keyring, secret)


def test_without_a_database_the_last_keys_stay_in_force(keyring: Keyring, caplog: pytest.LogCaptureFixture) -> None:
    _, secret = keys.create("a")
    keyring.refresh()
    call_command("migrate", "budgets", "zero", verbosity=0)
    keyring.start()
    time.sleep(0.3)
    assert identify(keyring, secret)
    assert keyring.age_s > 0.2
    call_command("migrate", "budgets", verbosity=0)
    eventually(lambda: keyring.age_s, lambda age_s: age_s <= 0.2)
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING]


def test_it_can_be_started_and_stopped_again(keyring: Keyring) -> None:
    for _ in range(2):
        keyring.start()
        keyring.stop()
    assert "keyring" not in {thread.name for thread in threading.enumerate()}


def test_the_keyring_of_the_process_serves_the_gate(database: str) -> None:
    key, secret = keys.create("laptop")
    snapshot.start()
    try:
        principal = gate.identify([(b"x-api-key", secret.encode())], peer="127.0.0.1", require_key=False)
        assert principal.key_id == str(key.pk)
        keys.revoke("laptop")
        snapshot.refresh()
        with pytest.raises(gate.RevokedKey):
            gate.identify([(b"x-api-key", secret.encode())], peer="127.0.0.1", require_key=False)
        assert snapshot.age_s() < 2
    finally:
        snapshot.stop()
