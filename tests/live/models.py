"""A provider with a mind: it checks what it is sent as strictly as it can, and calls tools as a test tells it to.

An answer is a list of parts: `("think", text)`, `("say", text)` and `("call", id, name, arguments)`, which each dialect
spells its own way, streamed or whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.live import answers, rules
from tests.live.answers import Answer
from tests.live.provider import Received

Part = tuple[Any, ...]
Mind = Callable[[dict[str, Any]], list[Part]]
"""What to answer to a request body."""


def script(mind: Mind) -> Callable[[Received], Answer]:
    """A provider's script that answers in the dialect of the path."""
    number = 0

    def answer(received: Received) -> Answer:
        nonlocal number
        number += 1
        document = received.json
        try:
            rules.check(received.path, document)
        except AssertionError as exc:
            return answers.json_answer(answers.openai_error(f"refused: {exc}"), 400)
        whole, events = _SPELLED[received.path]
        parts = mind(document)
        if document.get("stream"):
            return answers.chunked(answers.recut(events(parts, number), 37))
        return answers.json_answer(whole(parts, number))

    return answer


def spelled(path: str, parts: list[Part], number: int) -> list[bytes]:
    """An answer as the events of a route."""
    return _SPELLED[path][1](parts, number)


def _blocks(parts: list[Part]) -> list[dict[str, Any]]:
    spelled: dict[str, Callable[..., dict[str, Any]]] = {
        "think": lambda text: {"type": "thinking", "thinking": text, "signature": f"signed:{text}"},
        "say": lambda text: {"type": "text", "text": text},
        "call": lambda call_id, name, arguments: {"type": "tool_use", "id": call_id, "name": name, "input": arguments},
    }
    return [spelled[part[0]](*part[1:]) for part in parts]


def _stop(parts: list[Part]) -> str:
    return "tool_use" if any(part[0] == "call" for part in parts) else "end_turn"


def _message(parts: list[Part], number: int) -> dict[str, Any]:
    return answers.message(content=_blocks(parts), stop_reason=_stop(parts), id=f"msg_{number}")


def _message_events(parts: list[Part], number: int) -> list[bytes]:
    usage = {**answers.ANTHROPIC_USAGE, "output_tokens": 1}
    start = answers.message(content=[], stop_reason=None, id=f"msg_{number}", usage=usage)
    events: list[dict[str, Any]] = [{"type": "message_start", "message": start}, {"type": "ping"}]
    for index, block in enumerate(_blocks(parts)):
        empty = {"thinking": {"thinking": "", "signature": ""}, "text": {"text": ""}, "tool_use": {"input": {}}}
        events.append(
            {"type": "content_block_start", "index": index, "content_block": {**block, **empty[block["type"]]}}
        )
        for delta in _deltas(block):
            events.append({"type": "content_block_delta", "index": index, "delta": delta})
        events.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": _stop(parts), "stop_sequence": None}
    events += [{"type": "message_delta", "delta": delta, "usage": {"output_tokens": 20}}, {"type": "message_stop"}]
    return [answers.event(one, one["type"]) for one in events]


def _deltas(block: dict[str, Any]) -> list[dict[str, Any]]:
    if block["type"] == "thinking":
        return [
            {"type": "thinking_delta", "thinking": block["thinking"]},
            {"type": "signature_delta", "signature": block["signature"]},
        ]
    if block["type"] == "text":
        half = len(block["text"]) // 2
        return [{"type": "text_delta", "text": text} for text in (block["text"][:half], block["text"][half:])]
    spelled = json.dumps(block["input"])
    return [{"type": "input_json_delta", "partial_json": text} for text in ("", spelled[:5], spelled[5:])]


def _chat_message(parts: list[Part]) -> dict[str, Any]:
    text = "".join(part[1] for part in parts if part[0] == "say")
    calls = [
        {"id": part[1], "type": "function", "function": {"name": part[2], "arguments": json.dumps(part[3])}}
        for part in parts
        if part[0] == "call"
    ]
    return {"role": "assistant", "content": text or None, **({"tool_calls": calls} if calls else {})}


def _completion(parts: list[Part], number: int) -> dict[str, Any]:
    document = answers.completion(message=_chat_message(parts))
    document["id"] = f"chatcmpl-{number}"
    document["choices"][0]["finish_reason"] = "tool_calls" if _stop(parts) == "tool_use" else "stop"
    return document


def _chat_events(parts: list[Part], number: int) -> list[bytes]:
    message = _chat_message(parts)
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": None}]
    if message["content"]:
        half = len(message["content"]) // 2
        deltas += [{"content": message["content"][:half]}, {"content": message["content"][half:]}]
    for index, call in enumerate(message.get("tool_calls", ())):
        spelled = call["function"]["arguments"]
        deltas.append({"tool_calls": [{**call, "index": index, "function": {**call["function"], "arguments": ""}}]})
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": text}}]} for text in (spelled[:7], spelled[7:])
        ]
    finish = "tool_calls" if message.get("tool_calls") else "stop"
    head = {"id": f"chatcmpl-{number}", "object": "chat.completion.chunk", "created": number, "model": "m"}
    chunks = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}], "usage": None} for delta in deltas
    ]
    chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}], "usage": None})
    chunks.append({**head, "choices": [], "usage": answers.CHAT_USAGE})
    return [*map(answers.event, chunks), answers.DONE]


def _response_items(parts: list[Part], number: int) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for n, part in enumerate(parts):
        name = f"{number}_{n}"
        if part[0] == "think":
            sealed = {"id": f"rs_{name}", "encrypted_content": f"sealed:rs_{name}", "summary": []}
            items.append({"type": "reasoning", **sealed})
        elif part[0] == "say":
            content = [{"type": "output_text", "text": part[1], "annotations": []}]
            about = {"id": f"msg_{name}", "role": "assistant", "status": "completed"}
            items.append({"type": "message", **about, "content": content})
        else:
            about = {"id": f"fc_{name}", "status": "completed"}
            call = {"call_id": part[1], "name": part[2], "arguments": json.dumps(part[3])}
            items.append({"type": "function_call", **about, **call})
    return items


def _response(parts: list[Part], number: int) -> dict[str, Any]:
    return {**answers.response(), "id": f"resp_{number}", "output": _response_items(parts, number)}


def _response_events(parts: list[Part], number: int) -> list[bytes]:
    begun = {**answers.response(status="in_progress"), "id": f"resp_{number}"}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
    ]
    for index, item in enumerate(_response_items(parts, number)):
        where = {"output_index": index, "item_id": item["id"]}
        opened = {**item, **({"content": []} if item["type"] == "message" else {})}
        if item["type"] == "function_call":
            opened["arguments"] = ""
        events.append({"type": "response.output_item.added", "output_index": index, "item": opened})
        if item["type"] == "message":
            part = item["content"][0]
            at = {**where, "content_index": 0}
            events.append({"type": "response.content_part.added", **at, "part": {**part, "text": ""}})
            events.append({"type": "response.output_text.delta", **at, "delta": part["text"], "logprobs": []})
            events.append({"type": "response.output_text.done", **at, "text": part["text"], "logprobs": []})
            events.append({"type": "response.content_part.done", **at, "part": part})
        elif item["type"] == "function_call":
            events.append({"type": "response.function_call_arguments.delta", **where, "delta": item["arguments"]})
            done = {"arguments": item["arguments"], "name": item["name"]}
            events.append({"type": "response.function_call_arguments.done", **where, **done})
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    events.append({"type": "response.completed", "response": _response(parts, number)})
    return [answers.event({**one, "sequence_number": n}, one["type"]) for n, one in enumerate(events)]


_SPELLED: dict[str, tuple[Callable[..., Any], Callable[..., list[bytes]]]] = {
    "/v1/messages": (_message, _message_events),
    "/v1/chat/completions": (_completion, _chat_events),
    "/v1/responses": (_response, _response_events),
}
