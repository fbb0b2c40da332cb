"""The only writer of `LedgerEntry`: a batch of receipts in one transaction, as often as you like, each row once."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeAlias

import orjson
from django.db import DataError, IntegrityError, connection, models, transaction

from savings.lists_sql import among, listed
from savings.models import LedgerEntry
from savings.pricing import PricedReceipt

MAX_ROWS = 200
"""Rows in one transaction. SQLite has one writer for all: this many hold it for 10 ms, on a crowded machine for 40."""

PostBalances: TypeAlias = Callable[[Sequence[PricedReceipt]], None]
"""Called inside the transaction with the receipts that are really new, to move what depends on them."""


class RowsRefused(ValueError):
    """The database is well but will not take these rows. Halves can be tried alone, to find the one at fault."""


def record_many(entries: Sequence[PricedReceipt], *, post_balances: PostBalances | None = None) -> int:
    """Insert what is not there yet and return how many that were. At most MAX_ROWS at a time. Raises RowsRefused."""
    if not entries:
        return 0
    try:
        rows = {row["id"]: (row, entry) for row, entry in zip(map(_row, entries), entries, strict=True)}
    except (ValueError, TypeError, OverflowError) as exc:
        raise RowsRefused(f"{type(exc).__name__}: {exc}") from exc
    with transaction.atomic():
        known = _known(rows)
        new = [one for call_id, one in rows.items() if call_id not in known]
        if new:
            try:
                _insert([row for row, _ in new])
            except (IntegrityError, DataError, OverflowError) as exc:
                raise RowsRefused(f"{type(exc).__name__}: {exc}") from exc
            if post_balances is not None:
                post_balances([entry for _, entry in new])
    return len(new)


def _known(ids: Iterable[uuid.UUID]) -> set[uuid.UUID]:
    """Those that are in the ledger."""
    table = connection.ops.quote_name(LedgerEntry._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id FROM {table} WHERE {among('id', 'uuid')}", [listed(ids)])  # noqa: S608 - our own names
        return {one if isinstance(one, uuid.UUID) else uuid.UUID(one) for (one,) in cursor.fetchall()}


# The database fills in when the row was written.
_FIELDS = tuple(field for field in LedgerEntry._meta.concrete_fields if field.name != "recorded_at")
_COLUMNS = tuple(str(field.column) for field in _FIELDS)
_MAX_CHARS = {field.name: field.max_length for field in _FIELDS if isinstance(field, models.CharField)}


def _insert(rows: list[dict[str, Any]]) -> None:
    """Insert without model instances: a third of the time, and this thread shares its processor with the road."""
    if connection.vendor == "postgresql":
        into = f"COPY {_target()} FROM STDIN"
        with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(into) as copy:
            for row in rows:
                copy.write_row([row[column] for column in _COLUMNS])
        return
    marks = ", ".join(["%s"] * len(_COLUMNS))
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {_target()} VALUES ({marks})",  # noqa: S608 - names of our own columns
            [
                [_ADAPTED[column](row[column]) if column in _ADAPTED else row[column] for column in _COLUMNS]
                for row in rows
            ],
        )


@cache
def _target() -> str:
    """The table and the columns that rows are written to, quoted."""
    columns = ", ".join(map(connection.ops.quote_name, _COLUMNS))
    return f"{connection.ops.quote_name(LedgerEntry._meta.db_table)} ({columns})"


# What SQLite stores for the types it does not have; the same as Django's fields write.
_ADAPTED: dict[str, Callable[[Any], Any]] = {
    "id": lambda value: value.hex,
    "request_id": lambda value: value.hex,
    "admitted_at": lambda value: str(value.replace(tzinfo=None)),
    "settled_at": lambda value: str(value.replace(tzinfo=None)),
}


def _row(entry: PricedReceipt) -> dict[str, Any]:
    admission, settlement, usage = entry.receipt.admission, entry.receipt.settlement, entry.usage
    before, after = _count(admission.tokens_before), _count(admission.tokens_after)
    return {
        "id": uuid.UUID(admission.call_id),
        "request_id": uuid.UUID(admission.request_id),
        "attempt": admission.attempt,
        "provider": _text("provider", admission.provider),
        "upstream": _text("upstream", admission.upstream),
        "route": _text("route", admission.route),
        "model_asked": _text("model_asked", admission.model),
        "model_answered": _text("model_answered", settlement.model),
        "session": _text("session", admission.session),
        "agent": _text("agent", admission.agent),
        "project": _text("project", admission.project),
        "user": _text("user", admission.user),
        "owner": _text("owner", admission.owner),
        "key_id": _text("key_id", admission.key_id),
        "key_label": _text("key_label", admission.key_label),
        "team": _text("team", admission.team),
        "origin": _text("origin", admission.origin),
        "conversation": _text("conversation", admission.conversation),
        "is_observed": bool(admission.is_observed),
        "is_streaming": bool(admission.is_streaming),
        "status": settlement.status,
        "http_status": settlement.http_status,
        "error": _text("error", settlement.error),
        "provider_request_id": _text("provider_request_id", settlement.provider_request_id),
        "input_fresh_tokens": usage.input_fresh,
        "cache_read_tokens": usage.cache_read,
        "cache_write_5m_tokens": usage.cache_write_5m,
        "cache_write_1h_tokens": usage.cache_write_1h,
        "output_tokens": usage.output,
        "reasoning_tokens": usage.reasoning,
        "basis": entry.basis,
        "tokens_before": before,
        "tokens_after": after,
        "tokens_saved": None if before is None or after is None else before - after,
        "reason": _text("reason", admission.reason),
        "transforms": orjson.dumps(admission.transforms).decode().replace("\\u0000", "")
        if admission.transforms
        else "[]",
        "cost_nano_usd": entry.price.cost_nano_usd,
        "output_cost_nano_usd": entry.price.output_nano_usd,
        "cache_discount_nano_usd": entry.price.cache_discount_nano_usd,
        "saved_nano_usd": entry.saving.nano_usd,
        "avoided_nano_usd": entry.saving.avoided_nano_usd,
        "savings_basis": _text("savings_basis", entry.saving.basis),
        "cache_outcome": entry.saving.cache_outcome,
        "price_source": entry.price.source,
        "price_version": entry.price.version,
        "latency_ms": _duration(settlement.latency_ms),
        "overhead_ms": _duration(settlement.overhead_ms),
        "ttfb_ms": _duration(settlement.ttfb_ms),
        "admitted_at": datetime.fromtimestamp(admission.admitted_at, UTC),
        "settled_at": datetime.fromtimestamp(settlement.settled_at, UTC),
    }


def _text(column: str, value: str) -> str:
    """Clipped to its column, and without the one character that PostgreSQL cannot store."""
    if "\x00" in value:
        value = value.replace("\x00", "")
    return value[: _MAX_CHARS[column]]


def _count(tokens: int | None) -> int | None:
    return tokens if type(tokens) is int and 0 <= tokens < 2**53 else None


def _duration(milliseconds: float | None) -> float | None:
    return milliseconds if isinstance(milliseconds, float | int) and math.isfinite(milliseconds) else None
