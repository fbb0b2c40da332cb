"""OpenAI Chat Completions and Embeddings: https://platform.openai.com/docs/api-reference/chat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from proxy import histories, splice
from proxy.providers import bodies
from proxy.providers.bodies import Said
from proxy.sse import DONE, END_OF_EVENT, JsonEvents
from proxy.values import Call, Dialect, Outline, Path, Plan, Reader, Reading
from savings.receipts import Usage

NAME = "openai"
DIALECT: Dialect = "openai"


def parse(body: bytes, read: Reader = histories.read) -> Call:
    """Understand a Chat Completions request."""
    history = read(body, "messages")
    if history is None:
        return Call(body)
    document, said = history.document, history.told(_said)
    begins = [one.is_answer for one in said]
    options = document.get("stream_options")
    return Call(
        body,
        document,
        model=bodies.text(document.get("model")),
        is_streaming=document.get("stream") is True,
        asks_for_usage=isinstance(options, dict) and options.get("include_usage") is True,
        results=bodies.results(history, said, begins),
        turns=sum(begins),
        session_hint=bodies.text(document.get("prompt_cache_key")),
        user_hint=bodies.text(document.get("user")),
        history=history,
    )


def outline(call: Call) -> Outline:
    """Tools and messages; any prefix of them may be cached, so nothing finer is needed."""
    document = call.document or {}
    drawn = Outline([bodies.size(document["tools"])] if "tools" in document else [], {}, [])
    for n, (message, chars) in enumerate(
        zip(bodies.told(call, "messages", _said), bodies.told(call, "messages", bodies.size), strict=True)
    ):
        if message.is_answer:
            drawn.turn_ends.append(len(drawn.chars))
        for path, *_ in message.answers:
            drawn.results["messages", n, *path] = len(drawn.chars)
        drawn.chars.append(chars)
    return drawn


def marks(call: Call) -> list[str]:
    """None: every prefix is cached without them."""
    return []


def render(call: Call, plan: Plan) -> bytes:
    """The client's bytes with the planned strings exchanged, and usage asked for where a stream would not report it."""
    body = histories.edited(call, plan.replacements)
    if not call.is_streaming or call.asks_for_usage or call.document is None:
        return body
    if "stream_options" in call.document:
        return _with_option(body, call.document)
    end = body.rindex(b"}")
    return body[:end].rstrip() + b',"stream_options":{"include_usage":true}' + body[end:]


def _with_option(body: bytes, document: dict[str, Any]) -> bytes:
    """The client gave `stream_options` of its own: add ours inside, or leave it alone when that is not plain to do."""
    options = document["stream_options"]
    if not isinstance(options, dict) or "include_usage" in options:
        return body
    start = body.find(b'"stream_options"')
    opening = body.find(b"{", start)
    added = b'"include_usage":true' + (b"," if options else b"")
    changed = body[: opening + 1] + added + body[opening + 1 :]
    try:
        parsed, before = splice.loads(changed), splice.loads(body)
    except ValueError:
        return body
    before["stream_options"] = {"include_usage": True, **options}
    return changed if parsed == before else body


def stream_filter(call: Call) -> UsageChunkFilter | None:
    """What to take out of a stream again: the usage chunk, when it is we who asked for it."""
    return None if call.asks_for_usage else UsageChunkFilter()


def meter(is_event_stream: bool) -> StreamMeter | bodies.JsonMeter:
    """A meter for one answer."""
    return StreamMeter() if is_event_stream else bodies.JsonMeter(read_completion)


def read_completion(answer: dict[str, Any]) -> Reading:
    """The account of a complete (not streamed) completion, or of embeddings."""
    usage = answer.get("usage")
    choices = answer.get("choices")
    texts = (
        [_generated(choice.get("message")) for choice in choices if isinstance(choice, dict)]
        if isinstance(choices, list)
        else []
    )
    return Reading(
        usage=read_usage(usage) if isinstance(usage, dict) else Usage(),
        model=bodies.text(answer.get("model")),
        is_complete=True,
        text="".join(texts),
        tier=bodies.tier(answer.get("service_tier")),
    )


def read_usage(usage: dict[str, Any]) -> Usage:
    """Token classes from a `usage` object. `prompt_tokens` includes what was read from or written to the cache."""
    details = usage.get("prompt_tokens_details")
    details = details if isinstance(details, dict) else {}
    generated = usage.get("completion_tokens_details")
    prompt = bodies.count(usage.get("prompt_tokens"))
    read = bodies.count(details.get("cached_tokens"))
    written = bodies.count(details.get("cache_write_tokens"))
    output = bodies.count(usage.get("completion_tokens"))
    if output is None and prompt is not None and usage.get("total_tokens") == prompt:
        output = 0  # embeddings report no completion at all
    return Usage(
        input_fresh=None if prompt is None else max(0, prompt - (read or 0) - (written or 0)),
        cache_read=read,
        cache_write_5m=written,
        output=output,
        reasoning=bodies.count(generated.get("reasoning_tokens")) if isinstance(generated, dict) else None,
    )


class StreamMeter:
    """Reads deltas and the usage chunk; `[DONE]` or a usage chunk says that the answer is complete."""

    def __init__(self) -> None:
        self._events = JsonEvents()
        self._usage: dict[str, Any] = {}
        self._model = ""
        self._texts: list[str] = []
        self._is_complete = False
        self._has_failed = False
        self._tier = ""

    def feed(self, chunk: bytes) -> None:
        for event in self._events.feed(chunk):
            self._read(event)

    def _read(self, event: dict[str, Any]) -> None:
        self._is_complete = self._is_complete or event is DONE
        self._has_failed = self._has_failed or bool(event.get("error"))
        self._model = self._model or bodies.text(event.get("model"))
        self._tier = bodies.tier(event.get("service_tier")) or self._tier
        if isinstance(usage := event.get("usage"), dict):
            self._usage = usage
        for choice in bodies.items(event.get("choices")):
            if isinstance(choice, dict):
                self._texts.append(_generated(choice.get("delta")))

    def reading(self) -> Reading:
        return Reading(
            read_usage(self._usage), self._model, self._is_complete, "".join(self._texts), self._has_failed, self._tier
        )


class UsageChunkFilter:
    """Takes the usage chunk out of a stream whose client did not ask for it, and lets everything else by at once.

    The chunk is the one with empty `choices` and a `usage` object. Only the start of an event that may still turn out
    to be it is held back, until `choices` has shown itself: some dozens of bytes.
    """

    def __init__(self) -> None:
        self._held = b""
        self._tail = b""  # the last bytes let by of an event that has not ended; "" between events

    def feed(self, chunk: bytes) -> bytes:
        """Return what may go on to the client."""
        buffer, self._held = self._held + chunk, b""
        passed: list[bytes] = []
        while buffer:
            end = END_OF_EVENT.search(self._tail + buffer)
            if end is None:
                break
            cut = end.end() - len(self._tail)
            event, buffer = buffer[:cut], buffer[cut:]
            if self._tail or not _is_usage_chunk(event):
                passed.append(event)
            self._tail = b""
        if buffer and (self._tail or _cannot_be_usage_chunk(buffer)):
            passed.append(buffer)
            self._tail = (self._tail + buffer)[-3:]
        else:
            self._held = buffer
        return b"".join(passed)

    def flush(self) -> bytes:
        """What is still held when the stream ended."""
        held, self._held = self._held, b""
        return b"" if held and _is_usage_chunk(held) else held


def _is_usage_chunk(event: bytes) -> bool:
    if b'"usage"' not in event or not event.startswith(b"data:"):
        return False
    try:
        payload = orjson.loads(event[5:])
    except ValueError:
        return False
    return isinstance(payload, dict) and payload.get("choices") == [] and isinstance(payload.get("usage"), dict)


def _cannot_be_usage_chunk(start: bytes) -> bool:
    if not b"data:".startswith(start[:5]):
        return True
    choices = start.find(b'"choices"')
    if choices < 0:
        return len(start) > 4096 or start.strip() == b"data: [DONE]"
    value = start[choices + 9 :].lstrip(b" \t:")
    return len(value) > 1 and value[:1] == b"[" and value[1:].lstrip()[:1] not in (b"", b"]")


def _generated(message: Any) -> str:
    """Text, reasoning, refusal and tool arguments of a message or delta."""
    if not isinstance(message, dict):
        return ""
    parts = [message[key] for key in ("content", "reasoning_content", "refusal") if isinstance(message.get(key), str)]
    for call in bodies.items(message.get("tool_calls")):
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            parts += [function[key] for key in ("name", "arguments") if isinstance(function.get(key), str)]
    return "".join(parts)


def _said(message: Any) -> Said:
    """What a message calls and answers."""
    if not isinstance(message, dict):
        return Said()
    said = Said(is_answer=message.get("role") == "assistant")
    for call in bodies.items(message.get("tool_calls")):
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            called = bodies.text(function.get("name")), bodies.text(function.get("arguments"))
            said.call(bodies.text(call.get("id")), *called)
    if message.get("role") in ("tool", "function"):
        call_id, tool = bodies.text(message.get("tool_call_id")), bodies.text(message.get("name"))
        for path, text in _texts(message.get("content"), ("content",)):
            said.answer(path, text, call_id, tool)
    return said


def _texts(content: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(content, str):
        yield path, content
    elif isinstance(content, list):
        for k, part in enumerate(content):
            if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str):
                yield (*path, k, "text"), part["text"]
