"""What a provider says, as the bytes on the wire: JSON and event streams in three dialects, and the ways they go wrong.

An answer is a sequence of pieces: bytes to write, `Pause`s, and one of the ends (`CLOSE`, `RESET`, `FOREVER`). Without an
end the connection stays open for the next request, as a provider's does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait before the next piece."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Until:
    """Wait until something is so that only the other side can bring about: no clock decides what a test sees."""

    is_true: Callable[[], bool]


class End(Enum):
    """How a connection ends when it does not end well."""

    CLOSE = "close"  # a FIN in the middle of whatever it is
    RESET = "reset"  # an RST
    FOREVER = "forever"  # silence, until the other side goes


CLOSE, RESET, FOREVER = End.CLOSE, End.RESET, End.FOREVER
Piece = bytes | Pause | Until | End
Answer = Sequence[Piece]
Lines = Sequence[tuple[str, str]]

REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}


def head(status: int = 200, lines: Lines = ()) -> bytes:
    """A status line and header lines, spelled as given."""
    text = f"HTTP/1.1 {status} {REASONS.get(status, 'Whatever')}\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines)
    return text.encode("latin-1") + b"\r\n"


def whole(body: bytes, status: int = 200, lines: Lines = (), content_type: str = "application/json") -> Answer:
    """An answer in one piece, with its length."""
    return [head(status, [("Content-Type", content_type), *lines, ("Content-Length", str(len(body)))]), body]


def json_answer(document: Any, status: int = 200, lines: Lines = ()) -> Answer:
    """A JSON answer with the request id that both providers send."""
    return whole(
        json.dumps(document).encode(),
        status,
        [("request-id", "req_scripted"), ("x-request-id", "req_scripted"), *lines],
    )


def chunk(data: bytes) -> bytes:
    """One chunk of the chunked transfer coding."""
    return b"%x\r\n%s\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"


def chunked(
    parts: Iterable[Piece],
    status: int = 200,
    lines: Lines = (),
    content_type: str = "text/event-stream",
    end: Iterable[Piece] = (LAST_CHUNK,),
) -> Answer:
    """An answer of unknown length: each part is one chunk."""
    start = head(
        status,
        [("Content-Type", content_type), ("Transfer-Encoding", "chunked"), ("request-id", "req_scripted"), *lines],
    )
    return [start, *(chunk(part) if isinstance(part, bytes) else part for part in parts), *end]


def event(document: Any, name: str = "") -> bytes:
    """One server-sent event."""
    lead = f"event: {name}\n" if name else ""
    return f"{lead}data: {json.dumps(document)}\n\n".encode()


def spaced(events: Iterable[bytes], gap_s: float) -> list[bytes | Pause]:
    """The same events with a pause after each."""
    return [piece for one in events for piece in (one, Pause(gap_s))]


def recut(events: Iterable[bytes], size: int) -> list[bytes]:
    """The same bytes cut every `size` bytes: in the middle of events, lines and characters."""
    joined = b"".join(events)
    return [joined[start : start + size] for start in range(0, len(joined), size)]


# --- Anthropic -------------------------------------------------------------------------------------------------------
ANTHROPIC_USAGE = {
    "input_tokens": 100,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
    "output_tokens": 20,
}


def message(
    text: str = "Hello",
    *,
    usage: dict[str, Any] | None = None,
    model: str = "claude-sonnet-4-5-20250929",
    content: Any = None,
    **more: Any,
) -> dict[str, Any]:
    """A Messages answer."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content if content is not None else [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": ANTHROPIC_USAGE if usage is None else usage,
        **more,
    }


def message_events(
    texts: Sequence[str] = ("Hel", "lo"),
    *,
    usage: dict[str, Any] | None = None,
    model: str = "claude-sonnet-4-5-20250929",
) -> list[bytes]:
    """A Messages answer as events. The start carries the input side of `usage`, the final delta all of it."""
    total = ANTHROPIC_USAGE if usage is None else usage
    start = message(usage={**total, "output_tokens": 1}, model=model, content=[], stop_reason=None)
    return [
        event({"type": "message_start", "message": start}, "message_start"),
        event(
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            "content_block_start",
        ),
        event({"type": "ping"}, "ping"),
        *(
            event(
                {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
                "content_block_delta",
            )
            for text in texts
        ),
        event({"type": "content_block_stop", "index": 0}, "content_block_stop"),
        event(
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                "usage": {"output_tokens": total.get("output_tokens")},
            },
            "message_delta",
        ),
        event({"type": "message_stop"}, "message_stop"),
    ]


def anthropic_error(kind: str, text: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": text}, "request_id": "req_scripted"}


# --- OpenAI chat -----------------------------------------------------------------------------------------------------
CHAT_USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}


def completion(
    text: str = "Hello", *, usage: dict[str, Any] | None = None, model: str = "gpt-4o-2024-08-06", message: Any = None
) -> dict[str, Any]:
    """A Chat Completions answer. `usage={}` leaves usage out."""
    document = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": message or {"role": "assistant", "content": text},
                "finish_reason": "stop",
                "logprobs": None,
            }
        ],
    }
    reported = CHAT_USAGE if usage is None else usage
    return document | ({"usage": reported} if reported else {})


def chat_chunk(
    delta: dict[str, Any] | None,
    *,
    finish: str | None = None,
    usage: dict[str, Any] | None = None,
    model: str = "gpt-4o-2024-08-06",
) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return event(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": model,
            "choices": choices,
            "usage": usage,
        }
    )


DONE = b"data: [DONE]\n\n"


def chat_events(
    texts: Sequence[str] = ("Hel", "lo"),
    *,
    usage: dict[str, Any] | None = None,
    model: str = "gpt-4o-2024-08-06",
    has_usage: bool = True,
) -> list[bytes]:
    """A Chat Completions answer as events, with the usage chunk that `include_usage` asks for."""
    events = [chat_chunk({"role": "assistant", "content": ""}, model=model)]
    events += [chat_chunk({"content": text}, model=model) for text in texts]
    events.append(chat_chunk({}, finish="stop", model=model))
    if has_usage:
        events.append(chat_chunk(None, usage=CHAT_USAGE if usage is None else usage, model=model))
    return [*events, DONE]


def openai_error(text: str, kind: str = "invalid_request_error", code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": text, "type": kind, "param": None, "code": code}}


# --- OpenAI Responses ------------------------------------------------------------------------------------------------
RESPONSES_USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 20,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 120,
}


def response(
    text: str = "Hello",
    *,
    usage: dict[str, Any] | None = None,
    status: str = "completed",
    model: str = "gpt-4o-2024-08-06",
) -> dict[str, Any]:
    """A Responses object."""
    output = {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": text, "annotations": []}],
    }
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": status,
        "model": model,
        "output": [output] if status != "in_progress" else [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": (RESPONSES_USAGE if usage is None else usage) if status != "in_progress" else None,
    }


def response_events(
    texts: Sequence[str] = ("Hel", "lo"), *, usage: dict[str, Any] | None = None, final: str = "completed"
) -> list[bytes]:
    """A Responses answer as events."""
    where = {"item_id": "msg_1", "output_index": 0}
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []}
    part = {"type": "output_text", "text": "", "annotations": []}
    documents: list[dict[str, Any]] = [
        {"type": "response.created", "response": response(status="in_progress")},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **where, "content_index": 0, "part": part},
        *({"type": "response.output_text.delta", **where, "content_index": 0, "delta": text} for text in texts),
        {"type": f"response.{final}", "response": response("".join(texts), usage=usage, status=final)},
    ]
    return [event({**one, "sequence_number": n}, one["type"]) for n, one in enumerate(documents)]
