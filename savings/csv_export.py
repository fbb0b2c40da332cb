"""CSV that a spreadsheet likes: streamed, one header row, UTC times in ISO 8601, dollars with all nine decimals.

A cell that a spreadsheet would take for a formula begins with an apostrophe (OWASP, CSV injection): names come from clients.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from django.db.models import Q, QuerySet
from django.http import StreamingHttpResponse

from savings.models import LedgerEntry

CHUNK_ROWS = 500
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


class _Echo:
    """A file for `csv.writer` that hands every line back."""

    def write(self, line: str) -> str:
        return line


def lines(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """The header, then a line for each row, as they come."""
    writer = csv.writer(_Echo())
    yield writer.writerow(header)
    for row in rows:
        yield writer.writerow([cell(value) for value in row])


def cell(value: Any) -> Any:
    """What stands in a cell: nothing for `None`, text that no spreadsheet computes.

    >>> cell("=1+1"), cell(-3), cell(None), cell("plain")
    ("'=1+1", -3, '', 'plain')
    """
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA) else value
    if isinstance(value, list | tuple):
        return cell(" ".join(map(str, value)))
    return value


def dollars(nano_usd: int | None) -> Decimal | None:
    """Nano-dollars as dollars, with all nine decimals.

    >>> str(dollars(1_500_000_000)), str(cell(dollars(-5)))
    ('1.500000000', '-0.000000005')
    """
    return None if nano_usd is None else Decimal(nano_usd).scaleb(-9)


ENTRY_COLUMNS: dict[str, Callable[[LedgerEntry], Any]] = {
    "admitted_at": lambda e: e.admitted_at,
    "settled_at": lambda e: e.settled_at,
    "call_id": lambda e: str(e.id),
    "request_id": lambda e: str(e.request_id),
    "attempt": lambda e: e.attempt,
    "origin": lambda e: e.origin,
    "provider": lambda e: e.provider,
    "model": lambda e: e.model_answered or e.model_asked,
    "route": lambda e: e.route,
    "status": lambda e: e.status,
    "http_status": lambda e: e.http_status,
    "error": lambda e: e.error,
    "key": lambda e: e.key_label,
    "key_id": lambda e: e.key_id,
    "team": lambda e: e.team,
    "user": lambda e: e.user,
    "agent": lambda e: e.agent,
    "project": lambda e: e.project,
    "session": lambda e: e.session,
    "conversation": lambda e: e.conversation,
    "input_fresh_tokens": lambda e: e.input_fresh_tokens,
    "cache_read_tokens": lambda e: e.cache_read_tokens,
    "cache_write_5m_tokens": lambda e: e.cache_write_5m_tokens,
    "cache_write_1h_tokens": lambda e: e.cache_write_1h_tokens,
    "output_tokens": lambda e: e.output_tokens,
    "basis": lambda e: e.basis,
    "tokens_before": lambda e: e.tokens_before,
    "tokens_after": lambda e: e.tokens_after,
    "tokens_saved": lambda e: e.tokens_saved,
    "cost_usd": lambda e: dollars(e.cost_nano_usd),
    "saved_usd": lambda e: dollars(e.saved_nano_usd),
    "avoided_usd": lambda e: dollars(e.avoided_nano_usd),
    "is_observed": lambda e: e.is_observed,
    "price_source": lambda e: e.price_source,
    "cache_outcome": lambda e: e.cache_outcome,
    "reason": lambda e: e.reason,
    "transforms": lambda e: e.transforms,
    "latency_ms": lambda e: e.latency_ms,
    "overhead_ms": lambda e: e.overhead_ms,
    "ttfb_ms": lambda e: e.ttfb_ms,
}


def entries(found: QuerySet[LedgerEntry], name: str, day: date) -> StreamingHttpResponse:
    """Ledger entries as a download, read in chunks by key so that neither memory nor a long transaction grows."""
    rows = ([read(entry) for read in ENTRY_COLUMNS.values()] for entry in _in_chunks(found))
    return download(lines(tuple(ENTRY_COLUMNS), rows), f"headroom-{name}-{day.isoformat()}.csv")


def download(body: Iterator[str], file_name: str) -> StreamingHttpResponse:
    """CSV lines as a download of that name."""
    response = StreamingHttpResponse(body, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{file_name}"'
    return response


def _in_chunks(found: QuerySet[LedgerEntry]) -> Iterator[LedgerEntry]:
    """Newest first, each chunk a query of its own that begins where the last one ended."""
    ordered = found.order_by("-admitted_at", "-id")
    rows = list(ordered[:CHUNK_ROWS])
    while rows:
        yield from rows
        last = rows[-1]
        rest = Q(admitted_at__lt=last.admitted_at) | Q(admitted_at=last.admitted_at, id__lt=last.id)
        rows = list(ordered.filter(rest, admitted_at__lte=last.admitted_at)[:CHUNK_ROWS])
