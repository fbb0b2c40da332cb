"""The provider's answer on its way to the client, and the rounds of ours behind it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from http import HTTPStatus

from django.conf import settings

from proxy import cached_answers, calls, exchange, rendering, upstream, worker
from proxy.calls import Journey, Outgoing
from proxy.providers import passthrough
from proxy.relay import ChunkFilter, Relay, Ticket
from proxy.requests import Ready, RelayResponse
from proxy.retrieval import rounds
from proxy.retrieval.rounds import Place, Rounds
from proxy.upstream import Answer
from proxy.values import Headers


@dataclass(frozen=True, slots=True)
class Sent:
    """What went out, and the number of the attempt that would be next."""

    outgoing: Outgoing
    headers: Headers
    next_attempt: int


async def relayed(journey: Journey, answer: Answer, ticket: Ticket, sent: Sent) -> RelayResponse:
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
        place=Place(
            journey.principal.owner,
            journey.route,
            dialect=journey.provider.DIALECT,
            call=journey.call,
            known=journey.offer,
            helper=worker.current().conversations.offload,
        ),
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
        self._before = self._body

    async def __call__(self, behind: list[object], *, is_instead: bool = False) -> tuple[Answer, Ticket]:
        journey = self._journey
        self._before = self._before if is_instead else self._body
        self._body = rendering.with_more(self._before, journey.call, behind)
        plan = rendering.round_plan(journey.plan, behind)
        journey = replace(journey, call=replace(journey.call, body=self._body), plan=plan)
        tries = 0
        while True:
            ticket = await calls.admit(journey, self._attempt, Outgoing(self._body, is_edited=True), "retrieval")
            self._attempt += 1
            may_retry = tries + 1 < settings.RETRY_MAX_ATTEMPTS
            answer = await calls.send(journey, ticket, self._headers, self._body, may_retry=may_retry)
            wait_s = upstream.backoff_s(tries) if answer is None else upstream.retry_wait_s(answer, tries)
            if answer is not None and (wait_s is None or not may_retry):
                return answer, ticket
            if answer is not None:
                await calls.discard(answer, ticket)
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
    if settings.OBSERVE and plan.tokens_saved:
        lines.append((b"x-headroom-tokens-would-save", b"%d" % plan.tokens_saved))
    if plan.transforms and is_edited:
        lines.append((b"x-headroom-transforms", ",".join(plan.transforms).encode()))
    reason = plan.reason or outgoing.why_not
    return lines + ([(b"x-headroom-reason", reason.encode())] if reason else [])
