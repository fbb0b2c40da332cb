"""Anthropic Messages: https://docs.anthropic.com/en/api/messages and …/messages-streaming."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from proxy import histories, splice
from proxy.providers import bodies
from proxy.providers.bodies import Said
from proxy.sse import JsonEvents
from proxy.values import Call, Dialect, Outline, Path, Plan, Reader, Reading
from savings.receipts import Usage

NAME = "anthropic"
DIALECT: Dialect = "anthropic"


def parse(body: bytes, read: Reader = histories.read) -> Call:
    """Understand a Messages request."""
    history = read(body, "messages")
    if history is None:
        return Call(body)
    document, said = history.document, history.told(_said)
    begins = [one.is_answer for one in said]
    metadata = document.get("metadata")
    user = metadata.get("user_id") if isinstance(metadata, dict) else None
    return Call(
        body,
        document,
        model=bodies.text(document.get("model")),
        is_streaming=document.get("stream") is True,
        results=bodies.results(history, said, begins),
        turns=sum(begins),
        user_hint=bodies.text(user),
        history=history,
    )


def outline(call: Call) -> Outline:
    """Tools, system blocks and message blocks, in the order in which the provider renders them."""
    document = call.document or {}
    drawn = Outline([], {}, [])
    for part in (*_listed(document.get("tools")), *_listed(document.get("system"))):
        _draw(drawn, part)
    for n, message in enumerate(bodies.told(call, "messages", _drawn)):
        start = len(drawn.chars)
        if message.turn_ends:
            drawn.turn_ends.append(start)
        for path, block in message.results.items():
            drawn.results["messages", n, *path] = start + block
        if message.marks:
            drawn.marks.extend((start + blocks, ttl) for blocks, ttl in message.marks)
        drawn.chars.extend(message.chars)
    drawn.marks.extend((len(drawn.chars), ttl) for ttl in automatic(document))
    return drawn


def marks(call: Call) -> list[str]:
    """The ttls of the client's cache marks, in order."""
    document = call.document or {}
    ahead = chain.from_iterable(map(ttls, (*_listed(document.get("tools")), *_listed(document.get("system")))))
    return [*ahead, *chain.from_iterable(bodies.told(call, "messages", _marked)), *automatic(document)]


def automatic(document: dict[str, Any]) -> list[str]:
    """The ttl of the mark that the provider itself puts on the last block, if it is asked to and that one has none."""
    if not isinstance(document.get("cache_control"), dict):
        return []
    last = next(iter(bodies.items(document.get("messages"))[-1:]), None)
    blocks = bodies.items(last.get("content")) if isinstance(last, dict) else []
    return [] if blocks and ttls(blocks[-1]) else _ttl(document)


def ttls(block: Any) -> list[str]:
    """The ttls of the marks on a block: those on parts of a tool result, and its own."""
    if not isinstance(block, dict):
        return []
    if block.get("type") == "tool_result" and isinstance(block.get("content"), list):
        return [*chain.from_iterable(map(_ttl, block["content"])), *_ttl(block)]
    return _ttl(block)


def _ttl(marked: Any) -> list[str]:
    mark = marked.get("cache_control") if isinstance(marked, dict) else None
    return [bodies.text(mark.get("ttl")) or "5m"] if isinstance(mark, dict) else []


def _marked(message: Any) -> list[str]:
    return list(chain.from_iterable(map(ttls, _listed(message.get("content"))))) if isinstance(message, dict) else []


def _drawn(message: Any) -> Outline:
    """The outline of one message, with paths from it on."""
    drawn = Outline([], {}, [])
    if not isinstance(message, dict):
        return drawn
    if message.get("role") == "assistant":
        drawn.turn_ends.append(0)
    for k, block in enumerate(_listed(message.get("content"))):
        _draw(drawn, block, ("content", k, "content"))
    return drawn


def _draw(drawn: Outline, block: Any, path: Path = ()) -> None:
    is_result = isinstance(block, dict) and block.get("type") == "tool_result"
    if is_result and isinstance(block.get("content"), str):
        drawn.results[path] = len(drawn.chars)
        drawn.chars.append(len(block["content"]))
    else:
        for part_path, _ in _texts(block.get("content"), path) if is_result else ():
            drawn.results[part_path] = len(drawn.chars)
        drawn.chars.append(bodies.size(block))
    drawn.marks.extend((len(drawn.chars), ttl) for ttl in ttls(block))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if isinstance(value, str) and value else []


def render(call: Call, plan: Plan) -> bytes:
    """The client's bytes with the planned strings exchanged, and our one cache mark on the block it belongs to."""
    if plan.mark is None:
        return histories.edited(call, plan.replacements)
    path, ttl = plan.mark
    block = path[:4]
    if "cache_control" in splice.at(call.document, block):
        return histories.edited(call, plan.replacements)
    mark = {"type": "ephemeral"} if ttl == "5m" else {"type": "ephemeral", "ttl": ttl}
    return histories.edited(call, plan.replacements, beside={(*block, "tool_use_id"): {"cache_control": mark}})


def meter(is_event_stream: bool) -> StreamMeter | bodies.JsonMeter:
    """A meter for one answer."""
    return StreamMeter() if is_event_stream else bodies.JsonMeter(read_message)


def read_message(message: dict[str, Any]) -> Reading:
    """The account of a complete (not streamed) message."""
    content = message.get("content")
    texts = [_generated(block) for block in content] if isinstance(content, list) else []
    usage = message.get("usage")
    return Reading(
        usage=read_usage(usage) if isinstance(usage, dict) else Usage(),
        model=bodies.text(message.get("model")),
        is_complete=True,
        text="".join(texts),
        tier=_tier(usage),
    )


def read_usage(usage: dict[str, Any]) -> Usage:
    """Five classes from `usage`; the 5-minute and 1-hour writes come apart where the provider tells them apart."""
    written = bodies.count(usage.get("cache_creation_input_tokens"))
    buckets = usage.get("cache_creation")
    one_hour = bodies.count(buckets.get("ephemeral_1h_input_tokens")) if isinstance(buckets, dict) else None
    five_minutes = bodies.count(buckets.get("ephemeral_5m_input_tokens")) if isinstance(buckets, dict) else None
    if five_minutes is None and written is not None:
        five_minutes = written - (one_hour or 0)
    return Usage(
        input_fresh=bodies.count(usage.get("input_tokens")),
        cache_read=bodies.count(usage.get("cache_read_input_tokens")),
        cache_write_5m=five_minutes,
        cache_write_1h=one_hour,
        output=bodies.count(usage.get("output_tokens")),
    )


def _tier(usage: Any) -> str:
    return bodies.tier(usage.get("speed"), usage.get("service_tier")) if isinstance(usage, dict) else ""


class StreamMeter:
    """Reads `message_start`, the deltas and `message_delta`; later usage figures are cumulative and replace earlier."""

    def __init__(self) -> None:
        self._events = JsonEvents()
        self._usage: dict[str, Any] = {}
        self._model = ""
        self._texts: list[str] = []
        self._is_complete = False
        self._has_failed = False

    def feed(self, chunk: bytes) -> None:
        for event in self._events.feed(chunk):
            self._read(event)

    def _read(self, event: dict[str, Any]) -> None:
        kind = event.get("type")
        if kind == "content_block_delta":
            self._texts.append(_generated(event.get("delta")))
        elif kind == "message_start" and isinstance(message := event.get("message"), dict):
            self._model = bodies.text(message.get("model"))
            self._note(message.get("usage"))
            # Its output count is a placeholder; the true one comes with message_delta.
            self._usage.pop("output_tokens", None)
        elif kind == "message_delta":
            self._note(event.get("usage"))
        elif kind in ("message_stop", "error"):
            self._is_complete = True
            self._has_failed = self._has_failed or kind == "error"

    def _note(self, usage: Any) -> None:
        if isinstance(usage, dict):
            self._usage.update((key, value) for key, value in usage.items() if value is not None)

    def reading(self) -> Reading:
        return Reading(
            read_usage(self._usage),
            self._model,
            self._is_complete,
            "".join(self._texts),
            self._has_failed,
            _tier(self._usage),
        )


def _generated(part: Any) -> str:
    """Text, thinking or tool input of a content block or delta."""
    if not isinstance(part, dict):
        return ""
    for key in ("text", "thinking", "partial_json"):
        if isinstance(value := part.get(key), str):
            return value
    return bodies.dumped(part["input"]) if "input" in part else ""


def _said(message: Any) -> Said:
    """What a message calls and answers."""
    if not isinstance(message, dict):
        return Said()
    said = Said(is_answer=message.get("role") == "assistant")
    for k, block in enumerate(bodies.items(message.get("content"))):
        kind = block.get("type") if isinstance(block, dict) else None
        if kind == "tool_use":
            said.call(bodies.text(block.get("id")), bodies.text(block.get("name")), bodies.dumped(block.get("input")))
        elif kind == "tool_result":
            call_id = bodies.text(block.get("tool_use_id"))
            for path, text in _texts(block.get("content"), ("content", k, "content")):
                said.answer(path, text, call_id)
    return said


def _texts(content: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(content, str):
        yield path, content
    elif isinstance(content, list):
        for k, part in enumerate(content):
            if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str):
                yield (*path, k, "text"), part["text"]
