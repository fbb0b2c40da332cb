"""Make room on the road: before a prompt that is clearly too long goes out, and after a provider said that it was."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus

from headroom.values import Policy
from proxy import exchange, worker
from proxy.upstream import Answer
from proxy.values import Call, Exchange, Plan, Provider
from proxy.window import limits, refusals
from proxy.window.fitting import Look

logger = logging.getLogger(__name__)

MAX_ERROR_BYTES = 64 * 1024
NEAR_SHARE = 0.6
"""Our estimate may be that far below what the provider counts."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How a request is planned: with which policy, and by whom, given the keys of results that will not be seen in full."""

    policy: Policy
    planned: Callable[[frozenset[str]], Awaitable[Plan]]


def look(client: Exchange, call: Call, provider: Provider, *, upstream: str, owner: str, asked: Asked) -> Look:
    """A request as the window looks at it."""
    prices = worker.current().prices
    limit = limits.context_tokens(prices, client, provider=provider.DIALECT, upstream=upstream, model=call.model)
    return Look(call, owner, asked.policy, asked.planned, limit)


async def plan(look: Look) -> Plan:
    """The plan, with what the context window's limit takes out of it. Raises what planning raises, and nothing else: the
    provider judges what is too long."""
    try:
        return await worker.current().conversations.window.fitted(look)
    except Exception:
        logger.exception("a full context window could not be looked after; the request goes out without that")
        return await look.planned(frozenset())


def may_refuse(answer: Answer, call: Call) -> bool:
    """Whether an answer may be one that says that the prompt was too long: cheap, and asked of every answer."""
    return answer.status in refusals.STATUSES or (_is_stream(answer) and "input" in (call.document or {}))


async def after(answer: Answer, look: Look, sent: Plan) -> Plan | None:
    """A shorter plan when this answer says that the prompt was too long, else `None`. The answer can be relayed still."""
    if answer.status not in refusals.STATUSES and not _may_fail_yet(answer, look, sent):
        return None
    try:
        said = await _said(answer)
        return await worker.current().conversations.window.after_refusal(look, sent, said) if said else None
    except Exception:
        logger.exception("a prompt that is too long could not be shortened; the client sees the provider's answer")
        return None


def _may_fail_yet(answer: Answer, look: Look, sent: Plan) -> bool:
    """Responses says inside of a stream that a prompt is too long. Only near a known limit is it worth holding back the
    first two events, which say nothing."""
    return (
        look.key == "input"
        and _is_stream(answer)
        and look.limit is not None
        and sent.tokens_after >= NEAR_SHARE * look.limit
    )


def _is_stream(answer: Answer) -> bool:
    return answer.status == HTTPStatus.OK and answer.header(b"content-type").startswith("text/event-stream")


async def _said(answer: Answer) -> refusals.TooLong | None:
    encoding = answer.header(b"content-encoding")
    if answer.status != HTTPStatus.OK:
        body = await answer.peek(MAX_ERROR_BYTES)
        decode = exchange.decoder_for(encoding)
        return refusals.read(answer.status, decode(body)) if decode is not None else None
    if encoding not in ("", "identity"):  # no provider compresses streams
        return None
    return refusals.read_stream(await answer.peek(MAX_ERROR_BYTES, refusals.has_begun))
