"""Which requests may be answered out of the response cache, and how: found, replayed, recorded, kept."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from typing import Any

import orjson
from django.conf import settings
from django.http import HttpResponse, JsonResponse

from budgets.gate import Principal
from proxy import attribution, demands, errors, own_routes, response_cache, worker
from proxy.attribution import Attribution
from proxy.first_sight import BYTES_PER_TOKEN
from proxy.requests import OwnError, RelayResponse, RoadRequest
from proxy.response_cache import MAX_ENTRY_BYTES, Kept, Name
from proxy.sse import END_OF_EVENT
from proxy.upstream import Answer
from proxy.values import Call, Exchange, Headers, Reading
from savings.journal import JournalFull, JournalUnwritable
from savings.receipts import Admission, Settlement

# Whether a route's answers are drawn at random, unless a temperature of 0 says otherwise.
ROUTES = {"/v1/messages": True, "/v1/chat/completions": True, "/v1/responses": True, "/v1/embeddings": False}
# What else an answer depends on: things that may change, or that the request itself changes.
_STATEFUL = ("previous_response_id", "conversation", "prompt", "container")
_CHANGING_HEADERS = (b"anthropic-", b"openai-")
_KEPT_HEADERS = frozenset((b"content-type", b"request-id", b"x-request-id", b"openai-version"))
_PIECE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that may pass."""

    client: Exchange
    route: str
    call: Call
    principal: Principal
    provider: str
    upstream: str


def name_of(asked: Asked) -> Name | None:
    """What the answer to a request would be kept under; `None` for requests whose answers are not kept."""
    call, principal = asked.call, asked.principal
    if worker.current().answers is None or settings.OBSERVE or not _may_repeat(asked.route, call):
        return None
    changing = []
    for key, value in asked.client.headers:
        if key.startswith(_CHANGING_HEADERS):
            changing.append(key + b":" + value)
        elif key.startswith(b"x-headroom-") and _says_bypass(key, value):
            return None
    try:
        # Two spellings that mean the same are the same.
        canonical = orjson.dumps(call.document, option=orjson.OPT_SORT_KEYS)
    except (TypeError, ValueError):
        return None
    digest = sha256(canonical)
    # A provider's credential says whose account it is; where a key of ours does, it may be another one every hour.
    credential = "" if principal.key_id else principal.credential_fingerprint
    for part in (
        asked.provider.encode(),
        asked.upstream.encode(),
        asked.client.target,
        credential.encode(),
        *sorted(changing),
    ):
        digest.update(b"\x00%d:" % len(part) + part)
    return Name(principal.owner, digest.hexdigest())


def _may_repeat(route: str, call: Call) -> bool:
    """Whether asking again may be answered with the same words."""
    document = call.document
    if document is None or route not in ROUTES:
        return False
    if (call.results or document.get("tools") or document.get("functions")) and not settings.CACHE_TOOLS:
        return False
    if demands.has_open_end(document) or any(document.get(field) for field in _STATEFUL):
        return False
    if not _is_certain(document):
        return False
    temperature = document.get("temperature")
    if temperature is None:
        return not (settings.CACHE_STRICT and ROUTES[route])
    return temperature == 0 and not isinstance(temperature, bool)


def _is_certain(value: Any) -> bool:
    """Whether every number in it is what was sent: what is too long for one, or none, may have been something else."""
    if isinstance(value, str):
        return True
    if isinstance(value, dict):
        return all(map(_is_certain, value.values()))
    if isinstance(value, list):
        return all(map(_is_certain, value))
    return not isinstance(value, float) or abs(value) < 2**53


def _says_bypass(key: bytes, value: bytes) -> bool:
    return (key == b"x-headroom-bypass" and value.lower() == b"true") or (
        key == b"x-headroom-mode" and value.lower() == b"passthrough"
    )


async def find(wanted: Name | None) -> Kept | None:
    """The answer that is kept under a name, if any."""
    answers = worker.current().answers
    return await answers.get(wanted) if answers is not None and wanted is not None else None


def replay(kept: Kept, asked: Asked, labels: Attribution, request_id: str) -> RelayResponse:
    """Answer with what is kept, and write it down as a call that cost nothing."""
    _write_down(kept, asked, labels, request_id)
    headers: Headers = [(key.encode("latin-1"), value.encode("latin-1")) for key, value in kept.headers]
    headers += [(b"x-headroom-request-id", request_id.encode()), (b"x-headroom-cached", b"true")]
    is_stream = asked.call.is_streaming
    if not is_stream:
        headers.append((b"content-length", b"%d" % len(kept.body)))
    return RelayResponse(HTTPStatus.OK, headers, Replay(kept.body, is_stream=is_stream))


def _write_down(kept: Kept, asked: Asked, labels: Attribution, request_id: str) -> None:
    call, principal = asked.call, asked.principal
    now_s, estimated_tokens = time.time(), len(call.body) // BYTES_PER_TOKEN
    admission = Admission(
        call_id=request_id,
        request_id=request_id,
        attempt=0,
        admitted_at=now_s,
        provider=asked.provider,
        upstream=asked.upstream,
        route=asked.route,
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
        tokens_before=estimated_tokens,
        tokens_after=estimated_tokens,
        reason="cached",
        origin="response_cache",
    )
    elapsed_ms = 1000 * (time.perf_counter() - asked.client.started)
    settlement = Settlement(
        call_id=request_id,
        settled_at=now_s,
        status="complete",
        http_status=HTTPStatus.OK,
        model=kept.model,
        usage=kept.usage,
        latency_ms=elapsed_ms,
        overhead_ms=elapsed_ms,
    )
    journal = worker.current().journal
    try:
        journal.admit(admission)
    except (JournalFull, JournalUnwritable):
        journal.remember(admission)  # it cost nothing: no reason to refuse it before memory is full too
    journal.settle(settlement)


class Replay:
    """A kept answer on its way to the client; a stream goes out as one, cut between events."""

    def __init__(self, body: bytes, *, is_stream: bool) -> None:
        self._pieces = _pieces(body) if is_stream else iter((body,))

    def __aiter__(self) -> Replay:
        return self

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration

    async def close(self) -> None:
        """There is nothing to let go of."""


def _pieces(body: bytes) -> Iterator[bytes]:
    start = 0
    for match in END_OF_EVENT.finditer(body):
        if match.end() - start >= _PIECE_BYTES:
            yield body[start : match.end()]
            start = match.end()
    if start < len(body):
        yield body[start:]


def recorder(wanted: Name | None, answer: Answer) -> Recorder | None:
    """What takes down an answer while it is relayed, if it is one to keep."""
    answers = worker.current().answers
    if wanted is None or answers is None or answer.status != HTTPStatus.OK:
        return None
    headers = tuple(
        (key.lower().decode("latin-1"), value.decode("latin-1"))
        for key, value in answer.headers
        if key.lower() in _KEPT_HEADERS
    )
    return Recorder(answers, wanted, headers)


class Recorder:
    """Takes down one answer as its client gets it, decoded, up to a size."""

    def __init__(self, answers: response_cache.Answers, name: Name, headers: tuple[tuple[str, str], ...]) -> None:
        self._answers = answers
        self._name = name
        self._headers = headers
        self._chunks: list[bytes] | None = []
        self._bytes = 0

    def feed(self, chunk: bytes) -> None:
        """The next bytes of it."""
        if self._chunks is None:
            return
        self._chunks.append(chunk)
        self._bytes += len(chunk)
        if self._bytes > MAX_ENTRY_BYTES:
            self._chunks = None

    def spoil(self) -> None:
        """It could not be read: it is not kept."""
        self._chunks = None

    def end(self, reading: Reading) -> None:
        """The answer is whole. It is kept if the provider said what it counted, and did not fail in the middle."""
        if self._chunks is None or reading.usage.output is None or reading.has_failed:
            return
        body = b"".join(self._chunks)
        self._answers.put(self._name, Kept(self._headers, body, reading.model, reading.usage))


async def clear(request: RoadRequest) -> HttpResponse:
    """`POST /cache/clear`: forget the caller's answers."""
    try:
        principal, _ = await own_routes.read(request)
    except tuple(errors.HTTP) as exc:
        return OwnError.of(exc, "openai")
    except own_routes.BadRequest:
        return JsonResponse(
            {"error": {"type": "invalid_request", "message": "the body must be JSON, or empty"}}, status=400
        )
    answers = worker.current().answers
    if answers is None:
        return JsonResponse({"status": "cache disabled"})
    try:
        return JsonResponse({"status": "cleared", "entries": await answers.clear(principal.owner)})
    except response_cache.Away as exc:
        return OwnError.of(exc, "openai")
