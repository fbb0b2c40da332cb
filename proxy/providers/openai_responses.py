"""OpenAI Responses over HTTP: https://platform.openai.com/docs/api-reference/responses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from proxy import histories
from proxy.providers import bodies
from proxy.providers.bodies import Said
from proxy.sse import JsonEvents
from proxy.values import Call, Dialect, Outline, Path, Plan, Reader, Reading
from savings.receipts import Usage

NAME = "openai"
DIALECT: Dialect = "openai"

_OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output", "local_shell_call_output"})
_CALLS = frozenset({"function_call", "custom_tool_call", "local_shell_call"})
_FAILED = frozenset({"failed", "cancelled", "queued", "in_progress"})
_FINAL = frozenset({"response.completed", "response.incomplete", "response.failed"})
# Items that the model produced, or may have: a tool output before one of these was already answered.
_ANSWERS = _CALLS | {"reasoning", "item_reference"}


def parse(body: bytes, read: Reader = histories.read) -> Call:
    """Understand a Responses request. Neighbouring items of the model's are one answer."""
    history = read(body, "input")
    if history is None:
        return Call(body)
    document, said = history.document, history.told(_said)
    begins = [one.is_answer and not (n and said[n - 1].is_answer) for n, one in enumerate(said)]
    return Call(
        body,
        document,
        model=bodies.text(document.get("model")),
        is_streaming=document.get("stream") is True,
        results=bodies.results(history, said, begins),
        turns=sum(begins),
        is_continued=bool(document.get("previous_response_id") or document.get("conversation")),
        session_hint=bodies.text(document.get("prompt_cache_key")),
        user_hint=bodies.text(document.get("user")),
        history=history,
    )


def outline(call: Call) -> Outline:
    """Instructions, tools and items; any prefix of them may be cached, so nothing finer is needed."""
    document = call.document or {}
    drawn = Outline([bodies.size(document[key]) for key in ("instructions", "tools") if key in document], {}, [])
    said = bodies.told(call, "input", _said)
    for n, (item, chars) in enumerate(zip(said, bodies.told(call, "input", bodies.size), strict=True)):
        if item.is_answer and not (n and said[n - 1].is_answer):
            drawn.turn_ends.append(len(drawn.chars))
        for path, *_ in item.answers:
            drawn.results["input", n, *path] = len(drawn.chars)
        drawn.chars.append(chars)
    return drawn


def marks(call: Call) -> list[str]:
    """None: every prefix is cached without them."""
    return []


def render(call: Call, plan: Plan) -> bytes:
    """The client's bytes with the planned strings exchanged."""
    return histories.edited(call, plan.replacements)


def meter(is_event_stream: bool) -> StreamMeter | bodies.JsonMeter:
    """A meter for one answer."""
    return StreamMeter() if is_event_stream else bodies.JsonMeter(read_response)


def read_response(response: dict[str, Any]) -> Reading:
    """The account of a complete response object."""
    usage = response.get("usage")
    return Reading(
        usage=read_usage(usage) if isinstance(usage, dict) else Usage(),
        model=bodies.text(response.get("model")),
        is_complete=True,
        text="".join(_generated(item) for item in bodies.items(response.get("output")) if isinstance(item, dict)),
        has_failed=bodies.text(response.get("status")) in _FAILED,
        tier=bodies.tier(response.get("service_tier")),
    )


def read_usage(usage: dict[str, Any]) -> Usage:
    """Token classes from a `usage` object. `input_tokens` includes what was read from or written to the cache."""
    details = usage.get("input_tokens_details")
    details = details if isinstance(details, dict) else {}
    generated = usage.get("output_tokens_details")
    given = bodies.count(usage.get("input_tokens"))
    read = bodies.count(details.get("cached_tokens"))
    written = bodies.count(details.get("cache_write_tokens"))
    return Usage(
        input_fresh=None if given is None else max(0, given - (read or 0) - (written or 0)),
        cache_read=read,
        cache_write_5m=written,
        output=bodies.count(usage.get("output_tokens")),
        reasoning=bodies.count(generated.get("reasoning_tokens")) if isinstance(generated, dict) else None,
    )


class StreamMeter:
    """Collects text deltas until the final event brings the whole response with its usage."""

    def __init__(self) -> None:
        self._events = JsonEvents()
        self._texts: list[str] = []
        self._final: Reading | None = None
        self._model = ""
        self._is_complete = False

    def feed(self, chunk: bytes) -> None:
        for event in self._events.feed(chunk):
            self._read(event)

    def _read(self, event: dict[str, Any]) -> None:
        kind = bodies.text(event.get("type"))
        if kind.endswith(".delta"):
            self._texts.append(bodies.text(event.get("delta")))
        elif isinstance(response := event.get("response"), dict):
            self._model = bodies.text(response.get("model")) or self._model
            if kind in _FINAL:
                self._final = read_response(response)
        elif kind == "error":
            self._is_complete = True

    def reading(self) -> Reading:
        return self._final or Reading(Usage(), self._model, self._is_complete, "".join(self._texts), self._is_complete)


def _generated(item: dict[str, Any]) -> str:
    parts = [bodies.text(item.get("arguments")), bodies.text(item.get("input"))]
    for part in bodies.items(item.get("content")):
        if isinstance(part, dict):
            parts.append(bodies.text(part.get("text")) or bodies.text(part.get("refusal")))
    return "".join(parts)


def _said(item: Any) -> Said:
    """What an item calls and answers."""
    said = Said(_is_answer(item))
    kind = bodies.text(item.get("type")) if isinstance(item, dict) else ""
    if kind in _CALLS:
        arguments = item.get("arguments", item.get("input", item.get("action")))
        spelled = arguments if isinstance(arguments, str) else bodies.dumped(arguments)
        said.call(bodies.text(item.get("call_id")), bodies.text(item.get("name")) or kind, spelled)
    elif kind in _OUTPUTS:
        call_id = bodies.text(item.get("call_id")) or bodies.text(item.get("id"))
        for path, text in _texts(item.get("output"), ("output",)):
            said.answer(path, text, call_id)
    return said


def _is_answer(item: Any) -> bool:
    return isinstance(item, dict) and (bodies.text(item.get("type")) in _ANSWERS or item.get("role") == "assistant")


def _texts(output: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(output, str):
        yield path, output
    elif isinstance(output, list):
        for k, part in enumerate(output):
            if isinstance(part, dict) and part.get("type") == "input_text" and isinstance(part.get("text"), str):
                yield (*path, k, "text"), part["text"]
