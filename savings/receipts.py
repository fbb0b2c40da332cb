"""What the road reports of one upstream call: an `Admission` before the first byte leaves, a `Settlement` when it ended.

Both are plain values, so that a line of the journal, a row of the ledger and a test all say the same thing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Status = Literal["complete", "partial", "interrupted", "void"]
"""`complete`: the answer ended as the provider meant it to (errors of the provider's included). `partial`: it broke off,
or the client hung up. `interrupted`: sent, but no answer was seen. `void`: nothing was sent."""

Basis = Literal["measured", "partial", "estimated"]
"""Who counted the billed tokens: the provider in full, the provider in part, or we."""


Origin = Literal["client", "retrieval", "response_cache"]
"""Why there is a call: the client's own request (retries included), a retrieval round of ours, or a request that was
answered from our response cache and never left."""

CacheOutcome = Literal["", "hit", "ttl_expiry", "prefix_change", "own_change", "cold_start", "unknown"]
"""What became of the provider's prompt cache: read as expected, or why not. "" where nothing was to be read or known."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Billed tokens in five classes that never overlap; `None` is "not reported", 0 is zero.

    `input_fresh` excludes everything read from or written to the provider's cache. `reasoning` is a part of `output`.
    """

    input_fresh: int | None = None
    cache_read: int | None = None
    cache_write_5m: int | None = None
    cache_write_1h: int | None = None
    output: int | None = None
    reasoning: int | None = None


@dataclass(frozen=True, slots=True)
class Reserved:
    """Money of one budget's period that was set aside for a call, out of a worker's lease or for this call alone."""

    period: int
    nano_usd: int
    is_leased: bool


@dataclass(frozen=True, slots=True)
class Admission:
    """One upstream call as it is about to be sent. `call_id` is a UUIDv7 of ours, one for each (request_id, attempt).

    Tokens here are our own o200k estimates of the whole request. `is_billable` is False for calls that no provider bills
    (token counting, model lists). `reserved` is what budgets set aside for it, in the name of `holder`. `conversation` is
    the identity of the conversation that it belongs to. `is_observed`: it went out as it came, and what is said of
    savings is what would have been.
    """

    call_id: str
    request_id: str
    attempt: int
    admitted_at: float
    provider: str
    upstream: str
    route: str
    model: str = ""
    session: str = ""
    agent: str = ""
    project: str = ""
    user: str = ""
    owner: str = ""
    key_id: str = ""
    key_label: str = ""
    team: str = ""
    is_streaming: bool = False
    is_billable: bool = True
    tokens_before: int | None = None
    tokens_after: int | None = None
    reason: str = ""
    transforms: tuple[str, ...] = ()
    reserved: tuple[Reserved, ...] = ()
    holder: str = ""
    origin: Origin = "client"
    conversation: str = ""
    is_observed: bool = False
    tier: str = ""
    """The service tier that was asked for, "" for the provider's usual one."""
    at_most_nano_usd: int | None = None
    """What a strict budget takes the call to cost at most: what is booked where nobody saw how it ended."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """How one upstream call ended. Milliseconds; `None` where there was nothing to measure.

    `overhead_ms` is the time the request spent in this process before it was sent; `ttfb_ms` counts from sending to the
    provider's first byte. `estimated_output` is what we counted in the relayed text when the provider reported nothing.
    `counterfactual` is what the call would have been billed without us (with `Admission.is_observed`: with us), `None`
    where that is not known, and `savings_basis` names the arithmetic behind it.
    """

    call_id: str
    settled_at: float
    status: Status
    http_status: int | None = None
    model: str = ""
    usage: Usage = field(default_factory=Usage)
    estimated_output: int | None = None
    latency_ms: float | None = None
    overhead_ms: float | None = None
    ttfb_ms: float | None = None
    provider_request_id: str = ""
    error: str = ""
    counterfactual: Usage | None = None
    savings_basis: str = ""
    cache_outcome: CacheOutcome = ""
    tier: str = ""
    """The service tier that the provider says it used, "" where it says nothing."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """One upstream call with its end: what the journal hands to the ledger."""

    admission: Admission
    settlement: Settlement
