"""One upstream call: admitted, sent and settled. A request is at least one of them; retries and rounds of ours are more."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterable
from dataclasses import dataclass, replace

from django.conf import settings

from budgets import gate, keys
from budgets.estimates import Demand
from budgets.till import NOTHING
from proxy import attribution, demands, ids, upstream, worker
from proxy.accounting import books
from proxy.accounting.books import Request
from proxy.exchange import ClientGone
from proxy.relay import Ticket, provider_request_id
from proxy.response_cache import Name
from proxy.retrieval.offers import Offered
from proxy.upstream import Answer
from proxy.values import Call, Exchange, Headers, Plan, Provider
from proxy.window import limits
from savings.journal import Journal, JournalFull, JournalUnwritable
from savings.receipts import Admission, Origin

logger = logging.getLogger(__name__)

NOT_FORWARDED = frozenset((b"host", b"content-length", b"expect"))
OWN_KEY = keys.MARK.encode()

_under_way: set[asyncio.Task[None]] = set()
"""The event loop itself holds its tasks loosely."""


@dataclass(frozen=True, slots=True)
class Journey:
    """Everything that is known about a request once it may pass."""

    exchange: Exchange
    provider: Provider
    principal: gate.Principal
    labels: attribution.Attribution
    route: str
    request_id: str
    base_url: str
    call: Call
    plan: Plan
    credential: Headers
    """The header line that takes the place of a key of ours, if any."""
    kept_as: Name | None
    """What the answer is to be kept under, if it may be given again."""
    offer: Offered | None = None
    """What is known of a conversation that is offered our tool."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """The body that is sent, and whether it differs from the client's. `why_not`: why a plan is not carried out."""

    body: bytes
    is_edited: bool = False
    why_not: str = ""


async def admit(journey: Journey, attempt: int, outgoing: Outgoing, origin: Origin = "client") -> Ticket:
    """Set aside what the call may cost and write it to the journal, before anything of it is sent."""
    call, plan, labels, principal = journey.call, journey.plan, journey.labels, journey.principal
    here, admitted_at, is_observed = worker.current(), time.time(), settings.OBSERVE and call.is_billable
    is_planned = outgoing.is_edited or is_observed
    hold = await here.till.admit(_demand(journey), principal, admitted_at) if here.till.counts(principal) else NOTHING
    call_id = journey.request_id if attempt == 0 else ids.uuid7()
    admission = Admission(
        call_id=call_id,
        request_id=journey.request_id,
        attempt=attempt,
        admitted_at=admitted_at,
        provider=journey.provider.NAME,
        upstream=journey.base_url,
        route=journey.route,
        model=attribution.clean(call.model),
        session=labels.session,
        agent=labels.agent,
        project=labels.project,
        user=labels.user,
        owner=principal.owner,
        key_id=principal.key_id,
        key_label=principal.key_label,
        team=principal.team,
        is_streaming=call.is_streaming,
        is_billable=call.is_billable,
        tokens_before=plan.tokens_before,
        tokens_after=plan.tokens_after if is_planned else plan.tokens_before,
        reason=plan.reason or outgoing.why_not,
        transforms=plan.transforms if is_planned else (),
        reserved=hold.reserved,
        at_most_nano_usd=hold.at_most_nano_usd,
        tier=demands.tier(call.document),
        holder=here.till.holder.name if hold.reserved else "",
        conversation=call.conversation,
        origin=origin,
        is_observed=is_observed,
    )
    try:
        _write_down(here.journal, admission, is_strict=hold.is_strict)
    except (JournalFull, JournalUnwritable):
        here.till.release(hold)
        raise
    entry, basis = None, ""
    if origin == "client":
        window_tokens = limits.context_tokens(
            here.prices,
            journey.exchange,
            provider=journey.provider.DIALECT,
            upstream=journey.base_url,
            model=call.model,
        )
        request = Request(
            call, journey.provider.DIALECT, plan, admitted_at, outgoing.is_edited, is_observed, window_tokens
        )
        entry, basis = here.books.open(admission.conversation, request), books.unknown(request)
    started = journey.exchange.started if attempt == 0 else time.perf_counter()
    return Ticket(here.journal, call_id, started, entry, basis)


def _write_down(journal: Journal, admission: Admission, *, is_strict: bool) -> None:
    try:
        journal.admit(admission)
    except (JournalFull, JournalUnwritable) as exc:
        if is_strict:
            raise
        # The agent goes on. Memory keeps the call until there is room again, and refuses once it has its share too.
        logger.error("call %s is kept in memory: %s", admission.call_id, exc)
        journal.remember(admission)


def _demand(journey: Journey) -> Demand:
    plan = journey.plan
    return demands.demand(
        journey.call,
        replace(plan, tokens_after=plan.tokens_before) if settings.OBSERVE else plan,
        provider=journey.provider.NAME,
        upstream=journey.base_url,
        route=journey.route,
        path=journey.exchange.path,
    )


async def send(
    journey: Journey, ticket: Ticket, headers: Headers, content: bytes | AsyncIterable[bytes] | None, *, may_retry: bool
) -> Answer | None:
    """The answer, or `None` when nothing could be sent and it may be tried again. Settles what it raises for."""
    meanwhile = asyncio.get_running_loop().create_task(_meanwhile(ticket))
    _under_way.add(meanwhile)
    meanwhile.add_done_callback(_under_way.discard)
    try:
        answer = await worker.current().pool.send(
            journey.exchange.method, journey.base_url, journey.exchange.target, headers, content
        )
    except upstream.UpstreamUnreachable as exc:
        ticket.settle("void", error=str(exc))
        if may_retry:
            return None
        raise
    except (upstream.UpstreamBroke, upstream.UpstreamTimeout, ClientGone) as exc:
        ticket.settle("interrupted", error=str(exc) or "the client hung up")
        raise
    except asyncio.CancelledError:
        ticket.settle("interrupted", error="the client hung up before the provider answered")
        raise
    ticket.first_byte()
    return answer


async def _meanwhile(ticket: Ticket) -> None:
    """What can wait until the request is on its way, and is best done before the client asks again."""
    await asyncio.sleep(0)  # what writes the request may be a task that was begun after this one
    ticket.note()
    await worker.current().conversations.aging.look_ahead()


async def discard(answer: Answer, ticket: Ticket) -> None:
    """Settle an answer that the client will not see."""
    ticket.settle("complete", http_status=answer.status, provider_request_id=provider_request_id(answer))
    await answer.close()


async def abandon(answer: Answer, ticket: Ticket) -> None:
    """Settle an answer whose client is gone before any of it was passed on."""
    ticket.settle(
        "partial",
        http_status=answer.status,
        provider_request_id=provider_request_id(answer),
        error="the client hung up",
    )
    await answer.close()


def outgoing_headers(journey: Journey, *, drops_encoding: bool) -> Headers:
    """The client's header lines without those that concern this hop, our own, and any key of ours."""
    dropped = (
        NOT_FORWARDED | {journey.principal.presented_in.encode()} | ({b"content-encoding"} if drops_encoding else set())
    )
    lines = upstream.end_to_end(journey.exchange.headers)
    return [
        (key, value)
        for key, value in lines
        if key not in dropped and not key.startswith(b"x-headroom-") and not _holds_own_key(key, value)
    ] + journey.credential


def _holds_own_key(name: bytes, value: bytes) -> bool:
    """A key of ours in a provider's place, beside the one that let the caller in."""
    if name == b"x-api-key":
        return value.startswith(OWN_KEY)
    return name == b"authorization" and value[:7].lower() == b"bearer " and value[7:].strip().startswith(OWN_KEY)


def declared_length(client: Exchange) -> Headers:
    """The length of a body that is passed on as it arrives: a provider may refuse one that is of unknown length."""
    if any(key == b"transfer-encoding" for key, _ in client.headers):
        return []
    return [(key, value) for key, value in client.headers if key == b"content-length"][:1]
