"""`POST /v1/compress`: compression as a service; nothing is sent to a provider."""

from __future__ import annotations

import json
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from django.db import DatabaseError, transaction
from django.http import HttpResponse, JsonResponse

from headroom import walk
from headroom.messages import Block, Result
from headroom.values import Level, Policy, Scope, Shrunk
from proxy import compress_sessions, database, decisions, errors, own_routes, policies, worker
from proxy.decisions import Kept
from proxy.learning import uses
from proxy.learning.uses import Sent
from proxy.offload import Busy
from proxy.own_routes import BadRequest, field
from proxy.requests import OwnError, RoadRequest
from proxy.retrieval import words

MAX_MESSAGES = 10_000
MAX_SESSION_CHARS = 256
NEVER = 2**31
"""More tokens than any text has."""

INLINE = "lossy_inline"
MODES: dict[str, Level | None] = {
    "ccr": None,
    "lossless_then_lossy": None,
    INLINE: None,
    "lossless": "lossless",
    "balanced": "balanced",
    "deep": "deep",
}
"""What `config.mode` may be, and the level that it asks for, `None` for the usual one. `lossy_inline` keeps no originals."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, checked."""

    messages: list[Any]
    model: str
    token_budget: int | None
    policy: Policy
    is_inline: bool
    session: str
    scope: Scope


async def compress(request: RoadRequest) -> HttpResponse:
    """Shorten messages, keep the originals for `/v1/retrieve`, and say what was done."""
    try:
        principal, document = await own_routes.read(request)
        asked = _asked(document)
        if request.exchange.header(b"x-headroom-bypass").lower() == "true":
            asked = replace(asked, policy=Policy(min_tokens=NEVER), token_budget=None, session="")
        return JsonResponse(_report(await _kept(principal.owner, asked), asked))
    except tuple(errors.HTTP) as exc:
        return OwnError.of(exc, "openai")
    except BadRequest as exc:
        return _error(HTTPStatus.BAD_REQUEST, "invalid_request", str(exc))
    except RecursionError:
        return _error(HTTPStatus.BAD_REQUEST, "invalid_request", "the messages are nested too deeply")
    except (DatabaseError, TimeoutError):
        return _error(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "compression_error",
            "the originals cannot be stored at the moment, so nothing was left out of them; try again",
        )
    except Busy as exc:
        return _error(HTTPStatus.SERVICE_UNAVAILABLE, "compression_error", str(exc))
    except BrokenProcessPool:
        worker.current().conversations.offload.close()
        return _error(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "compression_error",
            "the process that shortens large inputs died of this one; send the messages as they are",
        )


async def _kept(owner: str, asked: Asked) -> Result:
    """The shorter messages, once everything is stored that they refer to."""
    if not asked.session:
        result = await _compressed(asked, {})
        if not asked.is_inline:
            await database.run(_keep_originals, owner, result)
        return result
    texts = walk.texts(asked.messages, asked.scope)
    settled, version = await database.run(compress_sessions.load, owner, asked.session, texts, asked.policy)
    asked = replace(asked, policy=policies.pinned(asked.policy, version))
    result = await _compressed(asked, settled)
    others = await database.run(compress_sessions.store, owner, asked.session, texts, result, asked.policy)
    # Another call of the session was quicker with some of them: what it answered holds.
    return await _compressed(asked, settled | others) if others else result


async def _compressed(asked: Asked, settled: dict[int, Shrunk]) -> Result:
    return await worker.current().conversations.offload.compress(
        asked.messages,
        asked.model,
        asked.policy,
        replace(asked.scope, settled=settled),
        token_budget=asked.token_budget,
    )


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
    mode = field(config, "mode", str, "ccr")
    if mode not in MODES:
        raise BadRequest(f"config.mode must be one of {', '.join(MODES)}")
    session = field(config, "session_id", str, "")
    if len(session) > MAX_SESSION_CHARS:
        raise BadRequest(f"config.session_id must have at most {MAX_SESSION_CHARS} characters")
    return Asked(
        messages=messages,
        model=model,
        token_budget=_not_negative(document, "token_budget"),
        policy=_policy(mode, _ratio(config)),
        is_inline=mode == INLINE,
        session=session,
        scope=Scope(
            user_text=field(config, "compress_user_messages", bool, False),
            system_text=field(config, "compress_system_messages", bool, False),
            frozen_messages=_not_negative(config, "frozen_message_count") or 0,
            recent_messages=_not_negative(config, "protect_recent") or 0,
        ),
    )


def _ratio(config: dict[str, Any]) -> float | None:
    ratio: float | None = field(config, "target_ratio", (int, float))
    if ratio is not None and not 0 < ratio <= 1:
        raise BadRequest("config.target_ratio must be above 0 and at most 1")
    return ratio


def _not_negative(document: dict[str, Any], name: str) -> int | None:
    value: int | None = field(document, name, int)
    if value is not None and value < 0:
        raise BadRequest(f"{name} must not be negative")
    return value


def _policy(mode: str, ratio: float | None) -> Policy:
    """What the settings allow, and of that what was asked for."""
    # Whoever asks for a compressed text passes it on: who will read it, and where, is unknown, so no file is named.
    usual = policies.usual("" if mode == INLINE else words.by_route("{hash}"))
    level = usual.level if usual.level == "lossless" else MODES[mode] or usual.level
    usual = replace(usual, level=level, target_ratio=ratio or usual.target_ratio)
    return usual if MODES[mode] is None else replace(usual, tool_levels=(), unwanted_forms=frozenset())


def _keep_originals(owner: str, result: Result) -> None:
    now = datetime.now(UTC)
    lossy = [block for block in result.explain if block.original_hash]
    if not lossy:
        return
    kept = [
        Kept(
            block.original_hash,
            result.originals[block.original_hash],
            block.tool,
            block.tokens_before,
            block.tokens_after,
            block.lines_after,
        )
        for block in lossy
    ]
    with transaction.atomic():
        decisions.keep_originals(owner, kept, now, decisions.lifetime())
        uses.note_sent(owner, (_sent(owner, block) for block in lossy if block.tool), now)


def _sent(owner: str, block: Block) -> Sent:
    return Sent(
        key=uses.key_of(owner, block.original_hash, block.tool),
        hash=block.original_hash,
        tool=block.tool,
        form=block.form,
        level=uses.DROPPED if block.form == uses.DROPPED else block.level,
        is_file=False,
        tokens_before=block.tokens_before,
        tokens_after=block.tokens_after,
    )


def _report(result: Result, asked: Asked) -> dict[str, Any]:
    return {
        "messages": result.messages,
        "tokens_before": result.tokens_before,
        "tokens_after": result.tokens_after,
        "tokens_saved": result.tokens_saved,
        "compression_ratio": result.compression_ratio,
        "transforms_applied": result.transforms_applied + [f"budget:{step}" for step in result.budget],
        "transforms_summary": result.transforms_summary,
        "ccr_hashes": [] if asked.is_inline else result.ccr_hashes,
    }


def _error(status: HTTPStatus, kind: str, message: str) -> HttpResponse:
    return HttpResponse(
        json.dumps({"error": {"type": kind, "message": message}}), status=status, content_type="application/json"
    )
