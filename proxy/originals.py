"""`/v1/retrieve`: the originals behind shortened texts, for those who own them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import Count, F, Sum
from django.http import HttpResponse, JsonResponse

from headroom import retrieval
from proxy import database, decisions, errors, own_routes
from proxy.models import Original
from proxy.own_routes import BadRequest, field
from proxy.requests import OwnError, RoadRequest

TOOL_NAME = "headroom_retrieve"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which part of which original: all of it, the lines of a range, or what matches a query."""

    hash: str
    query: str = ""
    start_line: int | None = None
    end_line: int | None = None

    @property
    def is_partial(self) -> bool:
        return bool(self.query) or self.start_line is not None or self.end_line is not None


async def retrieve(request: RoadRequest, hash: str = "") -> HttpResponse:
    """`GET /v1/retrieve/{hash}` and `POST /v1/retrieve`."""
    try:
        principal, document = await own_routes.read(request)
        wanted = _wanted(document | ({"hash": hash} if hash else {}))
    except tuple(errors.HTTP) as exc:
        return OwnError.of(exc, "openai")
    except BadRequest as exc:
        return JsonResponse({"detail": str(exc)}, status=400)
    found = await database.run(_fetch, principal.owner, wanted.hash)
    if found is None:
        return JsonResponse({"detail": _gone(wanted.hash)}, status=404)
    return JsonResponse(_answer(found, wanted))


async def answer_tool_call(request: RoadRequest) -> HttpResponse:
    """`POST /v1/retrieve/tool_call`: the result of a `headroom_retrieve` call that a client got from its model."""
    try:
        principal, document = await own_routes.read(request)
        provider = field(document, "provider", str, "anthropic")
        call_id, wanted = _tool_call(field(document, "tool_call", dict, {}))
    except tuple(errors.HTTP) as exc:
        return OwnError.of(exc, "openai")
    except BadRequest as exc:
        return JsonResponse({"detail": str(exc)}, status=400)
    found = await database.run(_fetch, principal.owner, wanted.hash)
    answer = _answer(found, wanted) if found is not None else {"hash": wanted.hash, "error": _gone(wanted.hash)}
    content = answer.get("content") or answer.get("original_content") or answer.get("error", "")
    if provider == "openai":
        result: dict[str, Any] = {"role": "tool", "tool_call_id": call_id, "content": content}
    else:
        result = {"type": "tool_result", "tool_use_id": call_id, "content": content, "is_error": found is None}
    return JsonResponse({"tool_result": result, "success": found is not None, "data": answer})


async def stats(request: RoadRequest) -> HttpResponse:
    """`GET /v1/retrieve/stats`: how many originals this owner has, and how often they were asked for."""
    try:
        principal, _ = await own_routes.read(request)
    except tuple(errors.HTTP) as exc:
        return OwnError.of(exc, "openai")
    return JsonResponse(await database.run(_stats, principal.owner))


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
        if not value.isdigit():
            raise BadRequest(f"{name} must be a whole number, not {value[:40]!r}")
        value = int(value)
    return value if value is None else max(1, int(value))


def _tool_call(call: dict[str, Any]) -> tuple[str, Wanted]:
    """A call as Anthropic (`name`, `input`) or OpenAI (`function.name`, `function.arguments`) word it."""
    function = call.get("function") if isinstance(call.get("function"), dict) else call
    assert isinstance(function, dict)
    arguments = function.get("arguments", call.get("input"))
    if isinstance(arguments, str):
        arguments = own_routes.loads_object(arguments)
    if function.get("name") != TOOL_NAME or not isinstance(arguments, dict):
        raise BadRequest(f"tool_call must be a call of {TOOL_NAME} with its arguments")
    return field(call, "id", str, ""), _wanted(arguments)


def _fetch(owner: str, hash: str) -> tuple[Original, str] | None:
    now = datetime.now(UTC)
    row = Original.objects.filter(owner=owner, hash=hash, expires_at__gt=now).first()
    if row is None:
        return None
    Original.objects.filter(pk=row.pk).update(
        retrieval_count=F("retrieval_count") + 1, expires_at=now + decisions.lifetime()
    )
    row.retrieval_count += 1
    return row, decisions.unpack(row.content)


def _answer(found: tuple[Original, str], wanted: Wanted) -> dict[str, Any]:
    row, text = found
    lines = text.count("\n") + 1
    answer: dict[str, Any] = {
        "hash": row.hash,
        "original_content": text,
        "original_tokens": row.tokens,
        "original_item_count": lines,
        "compressed_item_count": row.lines_sent,
        "tool_name": row.tool,
        "retrieval_count": row.retrieval_count,
    }
    if wanted.is_partial:
        excerpt = retrieval.answer(text, query=wanted.query, start_line=wanted.start_line, end_line=wanted.end_line)
        answer |= {"content": excerpt.content, "matches": list(excerpt.matches), "total_lines": excerpt.total_lines}
    return answer


def _gone(hash: str) -> str:
    hours = decisions.lifetime().total_seconds() / 3600
    return f"no original with hash {hash[:64]!r} is kept for you: it never was, or it expired ({hours:.0f} hours after its last use). Run the tool again to see its output."


def _stats(owner: str) -> dict[str, Any]:
    mine = Original.objects.filter(owner=owner)
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
