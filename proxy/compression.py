"""`POST /v1/compress`: compression as a service; nothing is sent to a provider."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from django.db import DatabaseError
from django.http import HttpResponse, JsonResponse

from headroom.messages import Result, Scope
from headroom.values import Level, Policy
from proxy import database, decisions, errors, gateway, own_routes, worker
from proxy.decisions import Kept
from proxy.own_routes import BadRequest, field
from proxy.requests import OwnError, RoadRequest
from proxy.retrieval import words

MAX_MESSAGES = 10_000


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, checked. `name` is the field that the messages came in."""

    messages: list[Any]
    model: str
    token_budget: int | None
    target_ratio: float | None
    level: Level | None
    scope: Scope


async def compress(request: RoadRequest) -> HttpResponse:
    """Shorten messages, keep the originals for `/v1/retrieve`, and say what was done."""
    try:
        principal, document = await own_routes.read(request)
        asked = _asked(document)
    except tuple(errors.HTTP) as exc:
        return OwnError.of(exc, "openai")
    except BadRequest as exc:
        return _error(HTTPStatus.BAD_REQUEST, "invalid_request", str(exc))
    if request.exchange.header(b"x-headroom-bypass").lower() == "true":
        return JsonResponse(_report(await _compressed(asked, Policy(min_tokens=2**31))))
    result = await _compressed(asked, _policy(asked))
    notes: list[str] = []
    if asked.token_budget is not None and result.tokens_after > asked.token_budget:
        result = await _compressed(asked, _policy(asked, "deep"))
        notes = ["budget:deep" if result.tokens_after <= asked.token_budget else "budget:not_met"]
    try:
        await database.run(_keep_originals, principal.owner, result)
    except (DatabaseError, TimeoutError):
        return _error(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "compression_error",
            "the originals cannot be stored at the moment, so nothing was left out of them; try again",
        )
    return JsonResponse(_report(result, notes))


async def _compressed(asked: Asked, policy: Policy) -> Result:
    return await worker.current().conversations.offload.compress(asked.messages, asked.model, policy, asked.scope)


def _asked(document: dict[str, Any]) -> Asked:
    if "messages" not in document and "input" not in document:
        raise BadRequest("Missing required field: messages or input")
    messages = field(document, "messages", list) if "messages" in document else field(document, "input", list)
    if messages is None:
        raise BadRequest("messages must be a list")
    if len(messages) > MAX_MESSAGES:
        raise BadRequest(f"messages has {len(messages):,} entries; the limit is {MAX_MESSAGES:,}")
    if any(not isinstance(message, dict) for message in messages):
        raise BadRequest("each message must be an object")
    model = field(document, "model", str)
    if not model:
        raise BadRequest("Missing required field: model")
    config = field(document, "config", dict, {})
    ratio = field(config, "target_ratio", (int, float))
    if ratio is not None and not 0 < ratio <= 1:
        raise BadRequest("config.target_ratio must be above 0 and at most 1")
    return Asked(
        messages=messages,
        model=model,
        token_budget=_not_negative(document, "token_budget"),
        target_ratio=ratio,
        level="lossless" if field(config, "mode", str) == "lossless" else None,
        scope=Scope(
            user_text=field(config, "compress_user_messages", bool, False),
            system_text=field(config, "compress_system_messages", bool, False),
            frozen_messages=_not_negative(config, "frozen_message_count") or 0,
            recent_messages=_not_negative(config, "protect_recent") or 0,
        ),
    )


def _not_negative(document: dict[str, Any], name: str) -> int | None:
    value: int | None = field(document, name, int)
    if value is not None and value < 0:
        raise BadRequest(f"{name} must not be negative")
    return value


def _policy(asked: Asked, level: Level | None = None) -> Policy:
    # Whoever asks for a compressed text passes it on: who will read it, and where, is unknown, so no file is named.
    usual = gateway.policy()
    wanted = "lossless" if usual.level == "lossless" else asked.level or level or usual.level
    return replace(
        usual, level=wanted, target_ratio=asked.target_ratio or usual.target_ratio, retrieval=words.by_route("{hash}")
    )


def _keep_originals(owner: str, result: Result) -> None:
    kept = [
        Kept(
            block.original_hash,
            result.originals[block.original_hash],
            block.tool,
            block.tokens_before,
            block.tokens_after,
            block.lines_after,
        )
        for block in result.explain
        if block.original_hash
    ]
    if kept:
        decisions.keep_originals(owner, kept, datetime.now(UTC), decisions.lifetime())


def _report(result: Result, notes: list[str] | None = None) -> dict[str, Any]:
    return {
        "messages": result.messages,
        "tokens_before": result.tokens_before,
        "tokens_after": result.tokens_after,
        "tokens_saved": result.tokens_saved,
        "compression_ratio": result.compression_ratio,
        "transforms_applied": result.transforms_applied + (notes or []),
        "transforms_summary": result.transforms_summary,
        "ccr_hashes": result.ccr_hashes,
    }


def _error(status: HTTPStatus, kind: str, message: str) -> HttpResponse:
    return HttpResponse(
        json.dumps({"error": {"type": kind, "message": message}}), status=status, content_type="application/json"
    )
