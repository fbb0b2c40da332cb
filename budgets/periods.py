"""Hours, days, weeks and months as people in a time zone count them, whatever its clocks do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

Kind = Literal["hourly", "daily", "weekly", "monthly", "total"]
KINDS: tuple[Kind, ...] = ("hourly", "daily", "weekly", "monthly", "total")


class NoSuchZone(ValueError):
    """Not the name of a time zone."""


@dataclass(frozen=True, slots=True)
class Span:
    """From `starts_s` (included) to `ends_s` (excluded), in seconds since 1970; `None` is never."""

    starts_s: float
    ends_s: float | None

    def has(self, at_s: float) -> bool:
        return self.starts_s <= at_s and (self.ends_s is None or at_s < self.ends_s)

    @property
    def starts_at(self) -> datetime:
        return datetime.fromtimestamp(self.starts_s, UTC)

    @property
    def ends_at(self) -> datetime | None:
        return None if self.ends_s is None else datetime.fromtimestamp(self.ends_s, UTC)


def containing(kind: Kind, zone: str, at_s: float) -> Span:
    """The period of this kind in which a moment lies. Weeks begin on Monday; a day may have 23 or 25 hours.

    Hours are those of UTC in every zone: an hour that clocks repeat or skip has no name of its own.
    """
    if kind == "total":
        return Span(0.0, None)
    if kind == "hourly":
        start = int(at_s // 3600) * 3600
        return Span(float(start), float(start + 3600))
    local = datetime.fromtimestamp(at_s, UTC).astimezone(_zone(zone))
    first = datetime(local.year, local.month, local.day)
    if kind == "weekly":
        first -= timedelta(days=first.weekday())
    elif kind == "monthly":
        first = first.replace(day=1)
    return Span(_moment(first, zone), _moment(_next(first, kind), zone))


def _next(first: datetime, kind: Kind) -> datetime:
    if kind == "monthly":
        return (first + timedelta(days=32)).replace(day=1)
    return first + timedelta(days=7 if kind == "weekly" else 1)


def _moment(wall: datetime, zone: str) -> float:
    """When that date begins there: where clocks skip midnight, at the first moment after the gap."""
    return wall.replace(tzinfo=_zone(zone)).astimezone(UTC).timestamp()


def check_zone(name: str) -> str:
    """The name, if there is such a zone. Raises NoSuchZone."""
    _zone(name)
    return name


@lru_cache(maxsize=128)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise NoSuchZone(f"{name!r} is not a time zone; names are like Europe/Berlin or UTC") from exc
