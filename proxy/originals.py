"""`/v1/retrieve`: the originals behind shortened texts, for those who own them."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from django.db import DatabaseError
from django.db.models import Count, Sum
from django.http import HttpResponse, JsonResponse

from headroom.retrieval import Excerpt
from proxy import database, decisions, errors, own_routes, worker
from proxy.models import Original
from proxy.offload import Busy
from proxy.own_routes import BadRequest, field
from proxy.requests import OwnError, RoadRequest
from proxy.retrieval import lookup, words
from proxy.retrieval.lookup import Found, Gone, Wanted


async def retrieve(request: RoadRequest, hash: str = "") -> HttpResponse:
    """`GET /v1/retrieve/{hash}` and `POST /v1/retrieve`."""
    try:
        principal, document = await own_routes.read(request)
        wanted = _wanted(document | ({"hash": hash} if hash else {}))
        found = await database.run(lookup.fetch, principal.owner, wanted)
        if isinstance(found, Gone):
            return _detail(HTTPStatus.NOT_FOUND, str(found))
        return JsonResponse(lookup.report(found, await _excerpt(found, wanted) if wanted.is_partial else None))
    except tuple(errors.HTTP) as exc:
        return OwnError.of(exc, "openai")
    except BadRequest as exc:
        return _detail(HTTPStatus.BAD_REQUEST, str(exc))
    except (DatabaseError, TimeoutError):
        return _detail(HTTPStatus.SERVICE_UNAVAILABLE, AWAY)
    except Busy as exc:
        return _detail(HTTPStatus.SERVICE_UNAVAILABLE, str(exc))


async def answer_tool_call(request: RoadRequest) -> HttpResponse:
    """`POST /v1/retrieve/tool_call`: the result of a `headroom_retrieve` call that a client got from its model."""
    try:
        principal, document = await own_routes.read(request)
        provider = field(document, "provider", str, "anthropic")
        call_id, wanted = _tool_call(field(document, "tool_call", dict, {}))
        found = await database.run(lookup.fetch, principal.owner, wanted)
        part = None if isinstance(found, Gone) else await _excerpt(found, wanted)
    except tuple(errors.HTTP) as exc:
        return OwnError.of(exc, "openai")
    except BadRequest as exc:
        return _detail(HTTPStatus.BAD_REQUEST, str(exc))
    except (DatabaseError, TimeoutError):
        return _detail(HTTPStatus.SERVICE_UNAVAILABLE, AWAY)
    except Busy as exc:
        return _detail(HTTPStatus.SERVICE_UNAVAILABLE, str(exc))
    content = str(found) if part is None else part.content
    if provider == "openai":
        result: dict[str, Any] = {"role": "tool", "tool_call_id": call_id, "content": content}
    else:
        result = {"type": "tool_result", "tool_use_id": call_id, "content": content, "is_error": part is None}
    if isinstance(found, Gone):
        answer: dict[str, Any] = {"hash": found.hash, "error": content}
    else:
        answer = lookup.report(found, part if wanted.is_partial else None)
    return JsonResponse({"tool_result": result, "success": part is not None, "data": answer})


async def stats(request: RoadRequest) -> HttpResponse:
    """`GET /v1/retrieve/stats`: how many originals this owner has, and how often they were asked for."""
    try:
        principal, _ = await own_routes.read(request)
        return JsonResponse(await database.run(_stats, principal.owner))
    except tuple(errors.HTTP) as exc:
        return OwnError.of(exc, "openai")
    except (DatabaseError, TimeoutError):
        return _detail(HTTPStatus.SERVICE_UNAVAILABLE, AWAY)


AWAY = "the originals cannot be read at the moment: the database does not answer. Try again."


async def _excerpt(found: Found, wanted: Wanted) -> Excerpt:
    return await lookup.excerpt(found, wanted, worker.current().conversations.offload)


def _detail(status: HTTPStatus, text: str) -> HttpResponse:
    return JsonResponse({"detail": text}, status=status)


def _wanted(document: dict[str, Any]) -> Wanted:
    hash = field(document, "hash", str, "")
    if not hash:
        raise BadRequest("hash is required")
    return Wanted(
        hash=hash.strip().lower(),
        query=field(document, "query", str, ""),
        start_line=_line(document, "start_line"),
        end_line=_line(document, "end_line"),
    )


def _line(document: dict[str, Any], name: str) -> int | None:
    value = field(document, name, (int, str))
    if isinstance(value, str):
        if not value.isdecimal() or len(value) > 12:
            raise BadRequest(f"{name} must be a whole number, not {value[:40]!r}")
        value = int(value)
    return value if value is None else max(1, int(value))


def _tool_call(call: dict[str, Any]) -> tuple[str, Wanted]:
    """A call as Anthropic (`name`, `input`), Chat Completions (`function.name`, `function.arguments`) or Responses
    (`call_id`, `name`, `arguments`) word it."""
    function = call.get("function") if isinstance(call.get("function"), dict) else call
    assert isinstance(function, dict)
    arguments = function.get("arguments", call.get("input"))
    if isinstance(arguments, str):
        arguments = own_routes.loads_object(arguments)
    if function.get("name") != words.TOOL_NAME or not isinstance(arguments, dict):
        raise BadRequest(f"tool_call must be a call of {words.TOOL_NAME} with its arguments")
    return field(call, "call_id", str, "") or field(call, "id", str, ""), _wanted(arguments)


def _stats(owner: str) -> dict[str, Any]:
    mine = Original.objects.filter(owner=owner, expires_at__gt=datetime.now(UTC))
    sums = mine.aggregate(
        entries=Count("id"), tokens=Sum("tokens"), sent=Sum("tokens_sent"), retrievals=Sum("retrieval_count")
    )
    recent = mine.filter(retrieval_count__gt=0).order_by("-expires_at")[:20]
    return {
        "store": {
            "entry_count": sums["entries"],
            "default_ttl_seconds": int(decisions.lifetime().total_seconds()),
            "total_original_tokens": sums["tokens"] or 0,
            "total_compressed_tokens": sums["sent"] or 0,
            "total_retrievals": sums["retrievals"] or 0,
        },
        "recent_retrievals": [
            {"hash": row.hash, "tool_name": row.tool, "retrieval_count": row.retrieval_count} for row in recent
        ],
    }
