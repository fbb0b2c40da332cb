"""All keys, in memory, as they were at most a second ago: the road asks here and never the database."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from django.db import close_old_connections, connection

from budgets import keys
from budgets.models import Revision

log = logging.getLogger("headroom.keys")

INTERVAL_S = 1.0
# A change made behind the back of `budgets.keys` (by hand, in SQL) is seen after this time.
RELOAD_S = 60.0


@dataclass(frozen=True, slots=True)
class Key:
    """One key as the road needs it. Times in seconds since 1970; `owner` is whose stored things it may see."""

    id: str
    name: str
    prefix: str
    secret_sha256: bytes
    team: str
    owner: str
    expires_at_s: float | None
    revoked_at_s: float | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All keys by the prefix of their secrets, at one revision. `is_loaded` is False until the database was read once."""

    by_prefix: Mapping[str, tuple[Key, ...]] = field(default_factory=dict)
    revision: int = -1
    is_loaded: bool = False


def load() -> Snapshot:
    """Read all keys."""
    revision = _revision()  # before the rows: a change in between is then read again, and not missed
    by_prefix: dict[str, tuple[Key, ...]] = {}
    for row in keys.list_keys():
        key = Key(
            id=str(row.pk),
            name=row.name,
            prefix=row.prefix,
            secret_sha256=bytes.fromhex(row.secret_sha256),
            team=row.team.name if row.team else "",
            # Numbers of our own: no name that somebody chooses can be taken for another kind of owner.
            owner=f"team:{row.team.pk}" if row.team else f"key:{row.pk}",
            expires_at_s=row.expires_at.timestamp() if row.expires_at else None,
            revoked_at_s=row.revoked_at.timestamp() if row.revoked_at else None,
        )
        by_prefix[key.prefix] = (*by_prefix.get(key.prefix, ()), key)
    return Snapshot(by_prefix, revision, is_loaded=True)


class Keyring:
    """Keeps a snapshot fresh in a thread. While the database is away the last one stays in force, and `age_s` grows."""

    def __init__(self, *, interval_s: float = INTERVAL_S) -> None:
        self.snapshot = Snapshot()
        self._interval_s = interval_s
        self._read_at_s = self._loaded_at_s = float("-inf")
        self._problem = ""
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def age_s(self) -> float:
        """Seconds since the snapshot was last known to be current."""
        return time.monotonic() - self._read_at_s

    def start(self) -> None:
        """Load once in the calling thread, as far as the database lets us, then keep fresh in a thread of our own."""
        self._stopping.clear()
        self.refresh()
        self._thread = threading.Thread(target=self._run, name="keyring", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; the snapshot stays."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(10.0)

    def refresh(self) -> None:
        """One look at the revision, and a new snapshot if it moved. Never raises; problems are logged when they change."""
        try:
            now_s = time.monotonic()
            is_due = now_s - self._loaded_at_s > RELOAD_S
            if is_due or _revision() != self.snapshot.revision:
                self.snapshot = load()
                self._loaded_at_s = now_s
            self._read_at_s = now_s
        except Exception as exc:  # noqa: BLE001 - the road lives on with the keys it knows
            if not self._problem:
                log.error("keys cannot be read (%s: %s); those read last stay in force", type(exc).__name__, exc)
            self._problem = type(exc).__name__
            connection.close()
        else:
            if self._problem:
                log.warning("keys can be read again")
            self._problem = ""
        finally:
            close_old_connections()

    def _run(self) -> None:
        while not self._stopping.wait(self._interval_s):
            self.refresh()
        connection.close()


def _revision() -> int:
    number = Revision.objects.filter(pk=keys.REVISION).values_list("number", flat=True).first()
    return 0 if number is None else number


_keyring = Keyring()


def start() -> None:
    """Open the keyring of this process."""
    _keyring.start()


def stop() -> None:
    """Close it."""
    _keyring.stop()


def refresh() -> None:
    """Look at the database now and not in a second."""
    _keyring.refresh()


def current() -> Snapshot:
    """The keys in force. No I/O."""
    return _keyring.snapshot


def age_s() -> float:
    """Seconds since the keys in force were last known to be current; for /readyz."""
    return _keyring.age_s
