"""Make room on the road: before a prompt that is clearly too long goes out, and after a provider said that it was."""

from __future__ import annotations

import logging

from headroom.values import Policy
from proxy import exchange, worker
from proxy.upstream import Answer
from proxy.values import Call, Exchange, Plan, Provider
from proxy.window import limits, refusals
from proxy.window.fitting import Look

logger = logging.getLogger(__name__)

MAX_ERROR_BYTES = 64 * 1024


def look(client: Exchange, call: Call, provider: Provider, *, upstream: str, owner: str, policy: Policy) -> Look:
    """A request as the window looks at it."""
    prices = worker.current().prices
    limit = limits.context_tokens(prices, client, provider=provider.DIALECT, upstream=upstream, model=call.model)
    return Look(call, owner, policy, limit)


async def before(look: Look, plan: Plan) -> Plan:
    """The plan, with what the context window's limit takes out of it. Never raises: the provider judges what goes out."""
    try:
        return await worker.current().conversations.window.fitted(look, plan)
    except Exception:
        logger.exception("a full context window could not be looked after; the request goes out without that")
        return plan


async def after(answer: Answer, look: Look, sent: Plan) -> Plan | None:
    """A shorter plan when this answer says that the prompt was too long, else `None`. The answer can be relayed still."""
    if answer.status not in refusals.STATUSES:
        return None
    try:
        body = await answer.peek(MAX_ERROR_BYTES)
        decode = exchange.decoder_for(answer.header(b"content-encoding"))
        said = refusals.read(answer.status, decode(body)) if decode is not None else None
        return await worker.current().conversations.window.after_refusal(look, sent, said) if said else None
    except Exception:
        logger.exception("a prompt that is too long could not be shortened; the client sees the provider's answer")
        return None
