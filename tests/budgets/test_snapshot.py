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
    keyring.poller.stop()


def identify(keyring: Keyring, secret: str) -> gate.Principal:
    headers = [(b"x-headroom-key", secret.encode())]
    return gate.identify(headers, peer="", require_key=True, keys=keyring.snapshot)


def test_a_revocation_is_seen_by_every_worker_in_two_seconds(database: str) -> None:
    workers = [Keyring(), Keyring()]  # at the product's own interval
    for worker in workers:
        worker.poller.start()
    # A crowded machine may lose a second, but not time and again.
    assert any(_revocation_takes_s(workers, f"laptop {attempt}") < 2 for attempt in range(5))
    for worker in workers:
        worker.poller.stop()


def _revocation_takes_s(workers: list[Keyring], name: str) -> float:
    """Seconds from the revocation of a new key until no worker lets it in."""
    _, secret = keys.create(name)
    for worker in workers:
        eventually(lambda worker=worker: lets_in(worker, secret), bool)
    keys.revoke(name)
    revoked_at = time.monotonic()
    for worker in workers:
        eventually(lambda worker=worker: lets_in(worker, secret), lambda may: not may)
    return time.monotonic() - revoked_at


def lets_in(keyring: Keyring, secret: str) -> bool:
    try:
        return bool(identify(keyring, secret).key_id)
    except (gate.UnknownKey, gate.RevokedKey):
        return False


def test_one_look_is_enough_for_a_new_key_and_for_its_revocation(keyring: Keyring) -> None:
    _, secret = keys.create("new")
    keyring.poller.refresh()
    assert identify(keyring, secret).key_label == "new"
    keys.revoke("new")
    assert identify(keyring, secret)
    keyring.poller.refresh()
    with pytest.raises(gate.RevokedKey):
        identify(keyring, secret)


def test_when_nothing_changed_one_row_is_read(keyring: Keyring) -> None:
    keys.create("a")
    keyring.poller.refresh()
    before = keyring.snapshot
    with CaptureQueriesContext(connection) as queries:
        keyring.poller.refresh()
    assert len(queries) == 1
    assert keyring.snapshot is before


def test_a_change_behind_our_back_is_seen_in_the_end(keyring: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    _, secret = keys.create("a")
    keyring.poller.refresh()
    ApiKey.objects.all().delete()
    keyring.poller.refresh()
    assert identify(keyring, secret)
    monkeypatch.setattr(snapshot, "RELOAD_S", 0.0)
    keyring.poller.refresh()
    with pytest.raises(gate.UnknownKey):
        identify(keyring, secret)


def test_without_a_database_the_last_keys_stay_in_force(keyring: Keyring, caplog: pytest.LogCaptureFixture) -> None:
    _, secret = keys.create("a")
    keyring.poller.refresh()
    call_command("migrate", "budgets", "zero", verbosity=0)
    keyring.poller.start()
    assert keyring.poller.is_stale
    assert identify(keyring, secret)
    call_command("migrate", "budgets", verbosity=0)
    eventually(lambda: keyring.poller.is_stale, lambda is_stale: not is_stale)
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING]


def test_it_can_be_started_and_stopped_again(keyring: Keyring) -> None:
    for _ in range(2):
        keyring.poller.start()
        keyring.poller.stop()
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
    finally:
        snapshot.stop()
