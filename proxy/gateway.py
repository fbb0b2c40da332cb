"""The road of one request, from the client's bytes to the provider's answer. Read this file first."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterable
from dataclasses import dataclass, replace
from http import HTTPStatus

from django.conf import settings

from budgets import gate, keys
from budgets.estimates import Demand
from budgets.till import NOTHING
from headroom.values import Policy
from proxy import (
    attribution,
    cache_prices,
    cached_answers,
    conversations,
    credentials,
    demands,
    errors,
    exchange,
    ids,
    policies,
    rendering,
    splice,
    upstream,
    worker,
)
from proxy.accounting import identity
from proxy.accounting.books import Request
from proxy.exchange import BodyReader, ClientGone
from proxy.providers import passthrough
from proxy.relay import ChunkFilter, Relay, Ticket, provider_request_id
from proxy.requests import OwnError, Ready, RelayResponse, RoadRequest
from proxy.response_cache import Name
from proxy.retrieval import rounds, words
from proxy.retrieval.offers import Offered
from proxy.retrieval.rounds import Place, Rounds
from proxy.upstream import Answer
from proxy.values import Call, Exchange, Headers, Plan, Provider
from proxy.window import room
from savings.journal import Journal, JournalFull, JournalUnwritable
from savings.receipts import Admission, Origin

logger = logging.getLogger(__name__)

OTHER_PATHS = "*"
NOT_FORWARDED = frozenset((b"host", b"content-length", b"expect"))
OWN_KEY = keys.MARK.encode()
REFUSES_EDIT = frozenset((400, 413, 422))
"""Answers that an edit of ours may have caused: the client's own bytes are then sent, so that it sees what it would have
seen without us."""

HANDS_OFF = frozenset(("not_a_prompt", "disabled", "bypass"))
"""Reasons for which nothing of ours is done to a request, whatever its provider says."""


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


@dataclass(frozen=True, slots=True)
class Sent:
    """What went out, and the number of the attempt that would be next."""

    outgoing: Outgoing
    headers: Headers
    next_attempt: int


@dataclass(frozen=True, slots=True)
class Route:
    """A row of the route table. `is_streamed_up` sends the body on unread, as it arrives."""

    name: str
    provider: Provider
    is_streamed_up: bool = False
    is_billable: bool = True


def passthrough_route(request: RoadRequest) -> Route:
    """The route of a path that we do not know: streamed both ways, to the provider whose credentials it carries."""
    is_billable = request.method == "POST"
    return Route(OTHER_PATHS, passthrough.choose(request.exchange), is_streamed_up=True, is_billable=is_billable)


async def serve(request: RoadRequest, route: Route) -> RelayResponse | OwnError:
    """Carry one request to its provider and return the answer, or an error in the provider's dialect."""
    client, body, provider = request.exchange, request.body_reader, route.provider
    try:
        principal = _identified(client, request.project)
        credential = credentials.choose(client, principal, provider.DIALECT, is_known_route=not route.is_streamed_up)
        raw = (
            None if route.is_streamed_up else await body.read(settings.MAX_BODY_BYTES, client.header(b"content-length"))
        )
        call = _parsed(client, route, raw)
        _check(principal, client, route, call)
        request_id = ids.uuid7()
        await worker.current().throttle.admit(
            principal, request_id, peer=client.peer, estimated_tokens=len(call.body) // conversations.BYTES_PER_TOKEN
        )
        labels = attribution.attribute(client, call, request.project)
        asked = cached_answers.Asked(client, route.name, call, principal, provider.NAME, _base_url(provider))
        kept_as = cached_answers.name_of(asked)
        if (kept := await cached_answers.find(kept_as)) is not None:
            return cached_answers.replay(kept, asked, labels, request_id)
        plan, offer = await _plan(client, route, call, principal)
        journey = Journey(
            exchange=client,
            provider=provider,
            principal=principal,
            labels=labels,
            route=route.name,
            request_id=request_id,
            base_url=_base_url(provider),
            call=call,
            plan=plan,
            credential=credential,
            kept_as=kept_as if offer is None else None,
            offer=offer,
        )
        return await _forward(journey, raw, body)
    except tuple(errors.HTTP) as exc:
        return OwnError.of(exc, provider.DIALECT)


def _identified(client: Exchange, project: str) -> gate.Principal:
    if keys.IN_URL.search(client.target) or keys.IN_URL.search(project.encode("utf-8", "replace")):
        raise gate.KeyInUrl
    return gate.identify(client.headers, peer=client.peer, require_key=settings.REQUIRE_KEY)


def _check(principal: gate.Principal, client: Exchange, route: Route, call: Call) -> None:
    """Whether the caller's key is for this; listing models is for every key."""
    if client.method == "POST" or route.name != OTHER_PATHS:
        provider = route.provider
        gate.check(
            principal,
            route=route.name,
            path=client.path,
            model=call.model,
            upstream=_base_url(provider),
            provider=provider.NAME,
        )


def _parsed(client: Exchange, route: Route, raw: bytes | None) -> Call:
    if raw is None:
        return Call(b"", is_billable=route.is_billable)
    encoding = client.header(b"content-encoding")
    plain = exchange.unpack(raw, encoding, settings.MAX_BODY_BYTES) if encoding else raw
    if not route.is_billable:
        return Call(plain, is_billable=False)
    try:
        return route.provider.parse(plain)
    except Exception:
        logger.exception("a request of %s could not be read; it goes out as it came", route.name)
        return Call(plain)


def _base_url(provider: Provider) -> str:
    url: str = settings.ANTHROPIC_API_URL if provider.DIALECT == "anthropic" else settings.OPENAI_API_URL
    return url


async def _plan(client: Exchange, route: Route, call: Call, principal: gate.Principal) -> tuple[Plan, Offered | None]:
    """What to send instead of what, and whether our tool is offered beside it."""
    if not call.is_billable:
        return Plan(reason="not_a_prompt"), None
    if not settings.OPTIMIZE:
        return conversations.untouched(call, "disabled"), None
    if (
        client.header(b"x-headroom-bypass").lower() == "true"
        or client.header(b"x-headroom-mode").lower() == "passthrough"
    ):
        return conversations.untouched(call, "bypass"), None
    provider, owner, upstream_url = route.provider, principal.owner, _base_url(route.provider)
    try:
        here = worker.current()
        offer = await here.offers.find(call, route.name, owner)
        rates = cache_prices.billing(here.prices, provider.DIALECT, upstream_url, call.model, time.time())
        usual = policy(owner, has_tool=offer is not None)
        plan = await here.conversations.plan(
            call,
            provider,
            owner=owner,
            policy=usual,
            billing=rates if settings.MODE == "token" else None,
        )
        look = room.look(client, call, provider, upstream=upstream_url, owner=owner, policy=usual)
        plan = await room.before(look, plan)
        return (plan if offer is None else offer.added_to(plan)), offer
    except Exception:
        logger.exception("a request could not be shortened; it goes out as it came")
        return conversations.untouched(call, "failed:plan"), None


def policy(owner: str = "local", *, has_tool: bool = False) -> Policy:
    """The policy for what is new in a conversation of this owner."""
    return policies.usual(words.by_tool("{hash}") if has_tool else words.way_back(owner))


async def _forward(journey: Journey, raw: bytes | None, body: BodyReader) -> RelayResponse:
    """Send, and send again where that is safe: nothing was sent, or the provider asks for it before any answer."""
    outgoing = _rendered(journey)
    headers = _outgoing_headers(journey, drops_encoding=outgoing.is_edited)
    content: bytes | AsyncIterable[bytes] | None = outgoing.body if outgoing.is_edited else raw
    if raw is None and journey.exchange.has_body:
        content = body
        headers += _declared_length(journey.exchange)
    attempt, tries, is_shorter = 0, 0, False
    while True:
        ticket = await _admit(journey, attempt, outgoing)
        if (kept := worker.current().bodies) is not None:
            edited = outgoing.body if outgoing.is_edited else b""
            ticket.bodies = kept.expect(ticket.call_id, journey.call.body, edited)
        answer = await _send(
            journey,
            ticket,
            headers,
            content,
            may_retry=tries + 1 < settings.RETRY_MAX_ATTEMPTS and not isinstance(content, AsyncIterable),
        )
        attempt += 1
        if answer is None:
            tries += 1
            await upstream.pause(upstream.backoff_s(tries))
            continue
        shorter = await _made_shorter(journey, answer, ticket) if not is_shorter else None
        if shorter is not None:
            await _discard(answer, ticket)
            journey, is_shorter = shorter, True
            outgoing = _rendered(journey)
            content, headers = outgoing.body, _outgoing_headers(journey, drops_encoding=True)
            continue
        if outgoing.is_edited and answer.status in REFUSES_EDIT:
            await _discard(answer, ticket)
            outgoing = Outgoing(journey.call.body, why_not="edit_refused")
            content, headers = raw, _outgoing_headers(journey, drops_encoding=False)
            continue
        wait_s = (
            upstream.retry_wait_s(answer, tries)
            if tries + 1 < settings.RETRY_MAX_ATTEMPTS and not isinstance(content, AsyncIterable)
            else None
        )
        if wait_s is None:
            return await _relayed(journey, answer, ticket, Sent(outgoing, headers, attempt))
        tries += 1
        await _discard(answer, ticket)
        await upstream.pause(wait_s)


async def _made_shorter(journey: Journey, answer: Answer, ticket: Ticket) -> Journey | None:
    """The journey with a shorter plan, where the provider says that the prompt is too long and something can go."""
    if journey.plan.reason in HANDS_OFF:
        return None
    client, call, owner = journey.exchange, journey.call, journey.principal.owner
    look = room.look(client, call, journey.provider, upstream=journey.base_url, owner=owner, policy=policy(owner))
    try:
        plan = await room.after(answer, look, journey.plan)
    except asyncio.CancelledError:
        await _discard(answer, ticket)
        raise
    return replace(journey, plan=plan) if plan is not None else None


def _declared_length(client: Exchange) -> Headers:
    """The length of a body that is passed on as it arrives: a provider may refuse one that is of unknown length."""
    if any(key == b"transfer-encoding" for key, _ in client.headers):
        return []
    return [(key, value) for key, value in client.headers if key == b"content-length"][:1]


async def _send(
    journey: Journey, ticket: Ticket, headers: Headers, content: bytes | AsyncIterable[bytes] | None, *, may_retry: bool
) -> Answer | None:
    """The answer, or `None` when nothing could be sent and it may be tried again. Settles what it raises for."""
    asyncio.get_running_loop().call_soon(ticket.note)
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


async def _discard(answer: Answer, ticket: Ticket) -> None:
    """Settle an answer that the client will not see."""
    ticket.settle("complete", http_status=answer.status, provider_request_id=provider_request_id(answer))
    await answer.close()


def _rendered(journey: Journey) -> Outgoing:
    """The body to send."""
    call, plan = journey.call, journey.plan
    if call.document is None:
        return Outgoing(call.body)
    try:
        body = rendering.render(call, journey.provider, plan, journey.route, journey.offer)
    except splice.Unspliceable:
        logger.info("request %s goes out as it came: its strings cannot be told apart", journey.request_id)
        return Outgoing(call.body, why_not="unspliceable")
    except Exception:
        logger.exception("request %s could not be edited; it goes out as it came", journey.request_id)
        return Outgoing(call.body, why_not="failed:edit")
    return Outgoing(body, is_edited=body is not call.body)


def _outgoing_headers(journey: Journey, *, drops_encoding: bool) -> Headers:
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


async def _admit(journey: Journey, attempt: int, outgoing: Outgoing, origin: Origin = "client") -> Ticket:
    """Set aside what the call may cost and write it to the journal, before anything of it is sent."""
    call, plan, labels, principal = journey.call, journey.plan, journey.labels, journey.principal
    here, admitted_at, is_edited = worker.current(), time.time(), outgoing.is_edited
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
        tokens_after=plan.tokens_after if is_edited else plan.tokens_before,
        reason=plan.reason or outgoing.why_not,
        transforms=plan.transforms if is_edited else (),
        reserved=hold.reserved,
        holder=here.till.holder.name if hold.reserved else "",
        conversation=identity.of(call, principal.owner, labels),
        origin=origin,
    )
    try:
        _write_down(here.journal, admission, is_strict=hold.is_strict)
    except (JournalFull, JournalUnwritable):
        here.till.release(hold)
        raise
    entry = None
    if origin == "client":
        request = Request(call, journey.provider.DIALECT, plan, admitted_at, is_edited=is_edited)
        entry = here.books.open(admission.conversation, request)
    return Ticket(here.journal, call_id, journey.exchange.started if attempt == 0 else time.perf_counter(), entry)


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
    return demands.demand(
        journey.call,
        journey.plan,
        provider=journey.provider.NAME,
        upstream=journey.base_url,
        route=journey.route,
        path=journey.exchange.path,
    )


async def _relayed(journey: Journey, answer: Answer, ticket: Ticket, sent: Sent) -> RelayResponse:
    """The answer on its way to the client; with our tool offered, joined with the rounds that its calls need."""
    outgoing, is_event_stream = sent.outgoing, answer.header(b"content-type").startswith("text/event-stream")
    chunk_filter = _filter(journey, answer, outgoing.is_edited) if is_event_stream else None
    weaver = rounds.weaver(journey.route, answer) if journey.offer is not None and outgoing.is_edited else None
    headers = upstream.end_to_end(answer.headers)
    if chunk_filter is not None or weaver is not None:
        headers = [(key, value) for key, value in headers if key not in (b"content-length", b"content-encoding")]
    elif answer.status == HTTPStatus.NOT_MODIFIED:
        # It would announce a body that does not come, and the server insists on one.
        headers = [(key, value) for key, value in headers if key != b"content-length"]
    headers += _own_headers(journey, outgoing)
    if weaver is None or journey.offer is None:
        return RelayResponse(answer.status, headers, _opened(journey, answer, ticket, chunk_filter))
    woven = Rounds(
        answer,
        ticket,
        weaver,
        again=Again(journey, sent),
        opened=lambda answer, ticket, weaver: _opened(journey, answer, ticket, weaver),
        place=Place(journey.principal.owner, journey.route, journey.provider.DIALECT, journey.call, journey.offer),
        last_filter=chunk_filter,
    )
    if is_event_stream:
        return RelayResponse(answer.status, headers, woven)
    body = await woven.whole()
    return RelayResponse(woven.status, headers, Ready(body))


def _opened(journey: Journey, answer: Answer, ticket: Ticket, chunk_filter: ChunkFilter | None) -> Relay:
    is_event_stream = answer.header(b"content-type").startswith("text/event-stream")
    return Relay(
        answer,
        ticket,
        journey.provider.meter(is_event_stream),
        chunk_filter=chunk_filter,
        recorder=cached_answers.recorder(journey.kept_as, answer),
        has_unknown_end=isinstance(journey.provider, passthrough.Passthrough),
    )


class Again:
    """Sends a request once more, with messages behind those of the last time: a round of its own, in the ledger too."""

    def __init__(self, journey: Journey, sent: Sent) -> None:
        self._journey, self._body, self._headers, self._attempt = (
            journey,
            sent.outgoing.body,
            sent.headers,
            sent.next_attempt,
        )

    async def __call__(self, behind: list[object]) -> tuple[Answer, Ticket]:
        journey = self._journey
        self._body = rendering.with_more(self._body, journey.call, behind)
        plan = rendering.round_plan(journey.plan, behind)
        journey = replace(journey, call=replace(journey.call, body=self._body), plan=plan)
        tries = 0
        while True:
            ticket = await _admit(journey, self._attempt, Outgoing(self._body, is_edited=True), "retrieval")
            self._attempt += 1
            may_retry = tries + 1 < settings.RETRY_MAX_ATTEMPTS
            answer = await _send(journey, ticket, self._headers, self._body, may_retry=may_retry)
            wait_s = upstream.backoff_s(tries) if answer is None else upstream.retry_wait_s(answer, tries)
            if answer is not None and (wait_s is None or not may_retry):
                return answer, ticket
            if answer is not None:
                await _discard(answer, ticket)
            tries += 1
            await upstream.pause(wait_s or 0.0)


def _filter(journey: Journey, answer: Answer, is_edited: bool) -> ChunkFilter | None:
    make = getattr(journey.provider, "stream_filter", None)
    if make is None or not is_edited or exchange.decoder_for(answer.header(b"content-encoding")) is None:
        return None
    chosen: ChunkFilter | None = make(journey.call)
    return chosen


def _own_headers(journey: Journey, outgoing: Outgoing) -> Headers:
    plan, is_edited = journey.plan, outgoing.is_edited
    lines = [(b"x-headroom-request-id", journey.request_id.encode())]
    if not journey.call.is_billable:
        return lines
    after = plan.tokens_after if is_edited else plan.tokens_before
    lines += [
        (b"x-headroom-tokens-before", b"%d" % plan.tokens_before),
        (b"x-headroom-tokens-after", b"%d" % after),
        (b"x-headroom-tokens-saved", b"%d" % (plan.tokens_before - after)),
    ]
    if plan.transforms and is_edited:
        lines.append((b"x-headroom-transforms", ",".join(plan.transforms).encode()))
    reason = plan.reason or outgoing.why_not
    return lines + ([(b"x-headroom-reason", reason.encode())] if reason else [])
