"""The road of one request, from the client's bytes to the provider's answer. Read this file first."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterable, Awaitable
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus

from django.conf import settings

from budgets import gate, keys
from headroom.values import Policy
from proxy import (
    answering,
    attribution,
    cache_prices,
    cached_answers,
    calls,
    conversations,
    credentials,
    demands,
    errors,
    exchange,
    first_sight,
    ids,
    policies,
    rendering,
    splice,
    upstream,
    worker,
)
from proxy.accounting import books, identity
from proxy.calls import Journey, Outgoing
from proxy.exchange import BodyReader
from proxy.providers import passthrough
from proxy.relay import Ticket
from proxy.requests import OwnError, RelayResponse, RoadRequest
from proxy.retrieval import words
from proxy.retrieval.offers import Offered
from proxy.upstream import Answer
from proxy.values import Call, Exchange, Plan, Provider
from proxy.window import room
from proxy.window.fitting import Look

logger = logging.getLogger(__name__)

OTHER_PATHS = "*"
OBSERVED = "observed:"
"""Whose plans are made and not carried out: their decisions are kept apart from those of requests that were shortened."""
REFUSES_EDIT = frozenset((400, 413, 422))
"""Answers that an edit of ours may have caused: the client's own bytes are then sent, so that it sees what it would have
seen without us."""

EDIT_REFUSED = "edit_refused"
HANDS_OFF = frozenset(("not_a_prompt", "disabled", books.BYPASS, EDIT_REFUSED))
"""Reasons for which nothing of ours is done to a request, whatever its provider says."""


@dataclass(frozen=True, slots=True)
class Route:
    """A row of the route table. `is_streamed_up` sends the body on unread, as it arrives."""

    name: str
    provider: Provider
    is_streamed_up: bool = False
    is_billable: bool = True


def passthrough_route(request: RoadRequest) -> Route:
    """The route of a path that we do not know: streamed both ways, to the provider whose credentials it carries."""
    is_billable = request.method == "POST" and not demands.is_free(request.exchange.path)
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
        call = _parsed(client, route, raw, principal.owner)
        _check(principal, client, route, call)
        request_id = ids.uuid7()
        await worker.current().throttle.admit(
            principal, request_id, peer=client.peer, estimated_tokens=len(call.body) // first_sight.BYTES_PER_TOKEN
        )
        labels = attribution.attribute(client, call, request.project)
        call = replace(call, conversation=identity.of(call, principal.owner, labels))
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


def _parsed(client: Exchange, route: Route, raw: bytes | None, owner: str) -> Call:
    if raw is None:
        return Call(b"", is_billable=route.is_billable)
    encoding = client.header(b"content-encoding")
    plain = exchange.unpack(raw, encoding, settings.MAX_BODY_BYTES) if encoding else raw
    if not route.is_billable:
        return Call(plain, is_billable=False)
    try:
        return route.provider.parse(plain, partial(worker.current().histories.read, owner))
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
        return conversations.untouched(call, books.BYPASS), None
    try:
        if settings.OBSERVE:
            return await _look(client, route.provider, call, principal, None).planned(frozenset()), None
        if worker.current().refused_edits.has(call, principal.owner):
            return conversations.untouched(call, EDIT_REFUSED), None
        offer = await worker.current().offers.find(call, route.name, principal.owner)
        plan = await room.plan(_look(client, route.provider, call, principal, offer))
        return (plan if offer is None else offer.added_to(plan)), offer
    except Exception:
        logger.exception("a request could not be shortened; it goes out as it came")
        return conversations.untouched(call, "failed:plan"), None


def _look(client: Exchange, provider: Provider, call: Call, principal: gate.Principal, offer: Offered | None) -> Look:
    """The request as its conversation and its context window are looked after."""
    here, upstream_url = worker.current(), _base_url(provider)
    owner = OBSERVED + principal.owner if settings.OBSERVE else principal.owner
    usual = policy(owner, has_tool=offer is not None)
    rates = cache_prices.billing(here.prices, provider.DIALECT, upstream_url, call.model, time.time())

    def planned(hidden: frozenset[str]) -> Awaitable[Plan]:
        billing = rates if settings.MODE == "token" else None
        return here.conversations.plan(call, provider, owner=owner, policy=usual, billing=billing, hidden=hidden)

    return room.look(client, call, provider, upstream=upstream_url, owner=owner, asked=room.Asked(usual, planned))


def policy(owner: str = "local", *, has_tool: bool = False) -> Policy:
    """The policy for what is new in a conversation of this owner."""
    return policies.usual(words.by_tool("{hash}") if has_tool else words.way_back(owner))


async def _forward(journey: Journey, raw: bytes | None, body: BodyReader) -> RelayResponse:
    """Send, and send again where that is safe: nothing was sent, or the provider asks for it before any answer."""
    outgoing = _rendered(journey)
    headers = calls.outgoing_headers(journey, drops_encoding=outgoing.is_edited)
    content: bytes | AsyncIterable[bytes] | None = outgoing.body if outgoing.is_edited else raw
    if raw is None and journey.exchange.has_body:
        content = body
        headers += calls.declared_length(journey.exchange)
    attempt, tries, is_shorter, is_refused = 0, 0, False, False
    while True:
        ticket = await calls.admit(journey, attempt, outgoing)
        if (kept := worker.current().bodies) is not None:
            edited = outgoing.body if outgoing.is_edited else b""
            ticket.bodies = kept.expect(ticket.call_id, journey.call.body, edited)
        answer = await calls.send(
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
            await calls.discard(answer, ticket)
            journey, is_shorter = shorter, True
            outgoing = _rendered(journey)
            content, headers = outgoing.body, calls.outgoing_headers(journey, drops_encoding=True)
            continue
        if outgoing.is_edited and answer.status in REFUSES_EDIT:
            await calls.discard(answer, ticket)
            is_refused = True
            outgoing = Outgoing(journey.call.body, why_not=EDIT_REFUSED)
            content, headers = raw, calls.outgoing_headers(journey, drops_encoding=False)
            continue
        wait_s = (
            upstream.retry_wait_s(answer, tries)
            if tries + 1 < settings.RETRY_MAX_ATTEMPTS and not isinstance(content, AsyncIterable)
            else None
        )
        if wait_s is None:
            goes_on = journey.plan.reason == EDIT_REFUSED and journey.call.is_continued
            if answer.status < HTTPStatus.MULTIPLE_CHOICES and (is_refused or goes_on or outgoing.is_edited):
                await _note_edits(journey, answer, ticket, are_taken=outgoing.is_edited)
            return await answering.relayed(journey, answer, ticket, answering.Sent(outgoing, headers, attempt))
        tries += 1
        await calls.discard(answer, ticket)
        await upstream.pause(wait_s)


async def _made_shorter(journey: Journey, answer: Answer, ticket: Ticket) -> Journey | None:
    """The journey with a shorter plan, where the provider says that the prompt is too long and something can go."""
    if settings.OBSERVE or journey.plan.reason in HANDS_OFF or not room.may_refuse(answer, journey.call):
        return None
    look = _look(journey.exchange, journey.provider, journey.call, journey.principal, journey.offer)
    try:
        plan = await room.after(answer, look, journey.plan)
    except asyncio.CancelledError:
        await calls.discard(answer, ticket)
        raise
    return replace(journey, plan=plan) if plan is not None else None


async def _note_edits(journey: Journey, answer: Answer, ticket: Ticket, *, are_taken: bool) -> None:
    """Take note whether the provider takes our edits of this conversation, or the client's own bytes only."""
    known, owner = worker.current().refused_edits, journey.principal.owner
    try:
        if are_taken:
            await known.forget(journey.call, owner)
        else:
            logger.warning("request %s is one whose edits were refused", journey.request_id)
            await known.note(journey.call, owner, answer)
    except asyncio.CancelledError:  # unlike a refusal, this answer is billed
        await calls.abandon(answer, ticket)
        raise


def _rendered(journey: Journey) -> Outgoing:
    """The body to send."""
    call, plan = journey.call, journey.plan
    if call.document is None:
        return Outgoing(call.body)
    if settings.OBSERVE:
        return Outgoing(call.body, why_not="observed")
    if plan.reason == EDIT_REFUSED:
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
