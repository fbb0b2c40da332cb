"""The savings file of the reference product, `proxy_savings.json`: taken in once, and kept as a mirror where it is asked for.

What is taken in holds another program's arithmetic. It is marked as imported and is in no bill; it begins the history.
"""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
from django.db import IntegrityError, transaction

from savings import tallies
from savings.models import BucketTotal, SavingsCheckpoint, Tally

log = logging.getLogger("headroom.savings")

GENERATOR = "headroom-proxy"
OLDEST_SCHEMA = 3
WHOLE_HISTORY_POINTS = 5000
"""A file of that program holds at most so many points. A full one began with points that are gone."""

MAX_MODELS = 200
MAX_FILE_BYTES = 64 * 1024 * 1024


class Unreadable(ValueError):
    """The file is not what it should be; the message says how."""


@dataclass(frozen=True, slots=True)
class _Point:
    """Totals at a moment."""

    at: datetime
    labels: dict[str, str]
    sums: dict[str, int]


def take_in(path: Path, now: datetime) -> str:
    """Take the file in, unless one was before. Returns a line to report, "" when there was nothing to do."""
    if not path.is_file() or Tally.objects.filter(worker=tallies.IMPORTED).exists():
        return ""
    try:
        document = _read(path)
        if document.get("generator") == GENERATOR:
            return ""
        points = _points(document.get("history"))
        with transaction.atomic():
            _write(document, points)
    except Unreadable as exc:
        aside = path.with_name(f"{path.name}.{exc.args[1]}-{now:%Y%m%dT%H%M%SZ}")
        path.rename(aside)
        return f"{path.name} was not imported ({exc.args[0]}); it is kept as {aside}"
    except IntegrityError:
        return ""  # another host was quicker
    return f"imported {len(points):,} points of {path}; they are marked as imported and in no bill"


def keep(path: Path) -> None:
    """Put a file that was taken in out of the way of the mirror that will be written there."""
    if path.is_file() and _generator(path) != GENERATOR:
        path.rename(path.with_name(path.name + ".imported"))


def _generator(path: Path) -> str:
    try:
        return str(_read(path).get("generator", ""))
    except Unreadable:
        return ""


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise Unreadable(f"it is larger than {MAX_FILE_BYTES:,} bytes", "corrupt")
        document = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as exc:
        raise Unreadable(str(exc), "corrupt") from exc
    if not isinstance(document, dict) or not isinstance(document.get("lifetime"), dict):
        raise Unreadable("it holds no lifetime totals", "corrupt")
    version = document.get("schema_version")
    if document.get("generator") != GENERATOR and (type(version) is not int or version < OLDEST_SCHEMA):
        raise Unreadable(f"its schema {version!r} is older than {OLDEST_SCHEMA}", "older")
    return document


def _points(history: Any) -> list[_Point]:
    """Those that can be read, oldest first, one for each second."""
    found: dict[datetime, _Point] = {}
    for row in history if isinstance(history, list) else []:
        at = _moment(row.get("timestamp")) if isinstance(row, dict) else None
        if at is not None:
            labels = {
                name: str(row.get(name) or "")[:40].replace("\x00", "") for name in ("provider", "agent", "model")
            }
            found[at] = _Point(at, labels, _sums(row, "total_tokens_saved"))
    return [found[at] for at in sorted(found)]


def _moment(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.replace(microsecond=0)


def _sums(row: dict[str, Any], tokens_saved: str = "tokens_saved") -> dict[str, int]:
    """A row's totals as columns of `Sums`."""
    read = _count(row.get("cache_read_tokens"))
    output_cost = _nano_usd(row.get("total_output_cost_usd"))
    return {
        "requests": _count(row.get("requests")),
        "tokens_saved": _count(row.get(tokens_saved)),
        "cache_read_tokens": read,
        "input_fresh_tokens": max(_count(row.get("total_input_tokens")) - read, 0),
        "cost_nano_usd": _nano_usd(row.get("total_input_cost_usd")) + output_cost,
        "output_cost_nano_usd": output_cost,
        "saved_nano_usd": _nano_usd(row.get("compression_savings_usd")),
        "cache_discount_nano_usd": _nano_usd(row.get("cache_savings_usd")),
    }


def _count(value: Any) -> int:
    return value if type(value) is int and 0 <= value < 2**53 else 0


def _nano_usd(value: Any) -> int:
    if type(value) not in (int, float) or not math.isfinite(value) or abs(value) > 1e9:
        return 0
    return round(Decimal(str(value)) * 1_000_000_000)


def _write(document: dict[str, Any], points: list[_Point]) -> None:
    _write_lifetime(document)
    SavingsCheckpoint.objects.bulk_create(
        [
            SavingsCheckpoint(
                at=point.at,
                is_imported=True,
                **point.labels,
                input_tokens=point.sums["input_fresh_tokens"] + point.sums["cache_read_tokens"],
                **{
                    name: point.sums[name]
                    for name in (
                        *("tokens_saved", "cache_read_tokens", "cost_nano_usd", "output_cost_nano_usd"),
                        "saved_nano_usd",
                    )
                },
            )
            for point in points
        ],
        ignore_conflicts=True,
        batch_size=500,
    )
    for grain in ("hour", "day"):
        BucketTotal.objects.bulk_create(
            BucketTotal(grain=grain, starts_at=starts_at, source="imported", **sums)
            for starts_at, sums in _buckets(points, grain).items()
        )


def _write_lifetime(document: dict[str, Any]) -> None:
    lifetime = _sums(document["lifetime"])
    by_model = document.get("by_model")
    rows = {
        str(name)[:200].replace("\x00", ""): _sums(row)
        for name, row in list(by_model.items() if isinstance(by_model, dict) else ())[:MAX_MODELS]
        if isinstance(row, dict) and name
    }
    # What the file does not say of any model, so that all rows together are its lifetime.
    rest = {name: value - sum(row[name] for row in rows.values()) for name, value in lifetime.items()}
    Tally.objects.bulk_create(
        Tally(worker=tallies.IMPORTED, model=model, **sums) for model, sums in {**rows, "": rest}.items()
    )


def _buckets(points: list[_Point], grain: str) -> dict[datetime, dict[str, int]]:
    """What came together in each hour or day: how much totals grew from point to point."""
    buckets: dict[datetime, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for at, grown in _growth(points):
        start = at.replace(minute=0, second=0)
        for name, value in grown.items():
            buckets[start if grain == "hour" else start.replace(hour=0)][name] += value
    return buckets


def _growth(points: list[_Point]) -> Iterable[tuple[datetime, dict[str, int]]]:
    """A total that shrinks was begun anew. The first point of a full file says nothing of when it grew."""
    if points and len(points) < WHOLE_HISTORY_POINTS:
        yield points[0].at, points[0].sums
    for before, after in pairwise(points):
        yield (
            after.at,
            {
                name: value - before.sums[name] if value >= before.sums[name] else value
                for name, value in after.sums.items()
            },
        )
