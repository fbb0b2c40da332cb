"""All keys and budgets, in memory, as they were at most a second ago: the road asks here and never the database."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from budgets import credentials, keys, limits
from budgets.keys import Permissions
from budgets.models import ApiKey, Budget, Revision
from budgets.periods import Kind
from savings.poller import Poller

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
    permissions: Permissions = keys.EVERYTHING


@dataclass(frozen=True, slots=True)
class Limit:
    """One budget as the road needs it. `whose` is for error texts."""

    id: int
    kind: Kind
    time_zone: str
    is_strict: bool
    whose: str
    nano_usd: int


EVERYBODY = "everybody"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All keys by the prefix of their secrets, at one revision. `is_loaded` is False until the database was read once.

    `limits` are the budgets by whom they are for: `everybody`, `key:<id>` or `team:<number>`, as in `Key.owner`.
    """

    by_prefix: Mapping[str, tuple[Key, ...]] = field(default_factory=dict)
    revision: int = -1
    is_loaded: bool = False
    limits: Mapping[str, tuple[Limit, ...]] = field(default_factory=dict)
    credentials: Mapping[tuple[str, str], str] = field(default_factory=dict, repr=False)

    def credential(self, key_id: str, owner: str, provider: str) -> str:
        """The provider's credential to put in for a key: its own, else its team's, else everybody's; "" for none."""
        if not self.credentials:
            return ""
        for whose in (f"key:{key_id}", owner, ""):
            if found := self.credentials.get((whose, provider)):
                return found
        return ""

    def limits_of(self, key_id: str, owner: str) -> tuple[Limit, ...]:
        """Every budget that a call counts against."""
        if not self.limits:
            return ()
        found = self.limits.get(EVERYBODY, ())
        if key_id:
            found += self.limits.get(f"key:{key_id}", ())
            if owner.startswith("team:"):
                found += self.limits.get(owner, ())
        return found


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
            permissions=Permissions(
                models=tuple(row.allowed_models),
                routes=tuple(row.allowed_routes),
                upstreams=tuple(row.allowed_upstreams),
                requests_per_minute=row.requests_per_minute,
                tokens_per_minute=row.tokens_per_minute,
            ),
        )
        for one in (key, _previous(row, key)):
            if one is not None:
                by_prefix[one.prefix] = (*by_prefix.get(one.prefix, ()), one)
    opened, problems = credentials.opened()
    for problem in problems:
        log.error("%s", problem)
    return Snapshot(by_prefix, revision, is_loaded=True, limits=_limits(), credentials=opened)


def _previous(row: ApiKey, key: Key) -> Key | None:
    """The same key by its secret before the last rotation, for as long as that overlaps."""
    if not row.previous_sha256 or row.previous_expires_at is None:
        return None
    ends_s = row.previous_expires_at.timestamp()
    return replace(
        key,
        prefix=row.previous_prefix,
        secret_sha256=bytes.fromhex(row.previous_sha256),
        expires_at_s=ends_s if key.expires_at_s is None else min(ends_s, key.expires_at_s),
    )


def _limits() -> dict[str, tuple[Limit, ...]]:
    found: dict[str, tuple[Limit, ...]] = {}
    for budget in limits.list_budgets():
        whom, whose = _whom(budget)
        limit = Limit(
            id=budget.pk,
            kind=budget.period,  # type: ignore[arg-type]
            time_zone=budget.time_zone,
            is_strict=budget.policy == "strict",
            whose=whose,
            nano_usd=budget.limit_nano_usd,
        )
        found[whom] = (*found.get(whom, ()), limit)
    return found


def _whom(budget: Budget) -> tuple[str, str]:
    if budget.key is not None:
        return f"key:{budget.key.pk}", f"key {budget.key.prefix}… ({budget.key.name})"
    if budget.team is not None:
        return f"team:{budget.team.pk}", f"team {budget.team.name}"
    return EVERYBODY, "this proxy"


class Keyring:
    """A snapshot and what keeps it fresh, once that is started."""

    def __init__(self, *, interval_s: float = INTERVAL_S) -> None:
        self.snapshot = Snapshot()
        self._loaded_at_s = float("-inf")
        self.poller = Poller(self._look, name="keyring", interval_s=interval_s, what="keys", log=log)

    def _look(self) -> None:
        """Read the revision, and everything if that moved."""
        now_s = time.monotonic()
        is_due = now_s - self._loaded_at_s > RELOAD_S
        if is_due or _revision() != self.snapshot.revision:
            self.snapshot = load()
            self._loaded_at_s = now_s


def _revision() -> int:
    number = Revision.objects.filter(pk=keys.REVISION).values_list("number", flat=True).first()
    return 0 if number is None else number


_keyring = Keyring()


def start() -> None:
    """Open the keyring of this process."""
    _keyring.poller.start()


def stop() -> None:
    """Close it."""
    _keyring.poller.stop()


def refresh() -> None:
    """Look at the database now and not in a second."""
    _keyring.poller.refresh()


def current() -> Snapshot:
    """The keys in force. No I/O."""
    return _keyring.snapshot


def is_stale() -> bool:
    """Whether the database could not be read at the last look, a second ago or so."""
    return _keyring.poller.is_stale


def stale_since_s() -> float | None:
    """Since when (seconds since 1970), `None` when it could be read."""
    return _keyring.poller.stale_since_s
