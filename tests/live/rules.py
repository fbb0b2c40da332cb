"""What providers refuse in a conversation, checked as strictly as they do: pairing, order, roles, untouched signatures."""

from __future__ import annotations

from typing import Any


def check_messages(document: dict[str, Any]) -> None:
    """Anthropic: every call is answered in the very next message, results come first, signatures are as they were given."""
    messages = document["messages"]
    assert messages[0]["role"] == "user"
    asked: list[str] = []
    for message in messages:
        blocks = message["content"] if isinstance(message["content"], list) else []
        assert message["content"], "empty content"
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        assert sorted(results) == sorted(asked), f"calls {asked} answered by {results}"
        kinds = [block["type"] == "tool_result" for block in blocks]
        assert kinds == sorted(kinds, reverse=True), "tool results must come first"
        if message["role"] == "assistant":
            kinds = [block["type"] for block in blocks]
            assert "thinking" not in kinds or kinds[0] == "thinking", "thinking comes first"
            for block in blocks:
                if block["type"] == "thinking":
                    assert block["signature"] == f"signed:{block['thinking']}", "a signature does not fit"
        asked = [block["id"] for block in blocks if block["type"] == "tool_use"]
    assert not asked, f"calls {asked} without results"
    ids = [block["id"] for block in _all(messages) if block["type"] == "tool_use"]
    assert len(ids) == len(set(ids)), "two calls with one id"
    marks = [
        b
        for b in (*document.get("tools", []), *_blocks(document.get("system")), *_all(messages))
        if b.get("cache_control")
    ]
    assert len(marks) <= 4, "more than four cache marks"


def check_chat(document: dict[str, Any]) -> None:
    """Chat Completions: the messages behind an answer with calls are its results, all of them and nothing else."""
    asked: set[str] = set()
    for message in document["messages"]:
        if message["role"] == "tool":
            assert message["tool_call_id"] in asked, "a result without its call"
            asked.remove(message["tool_call_id"])
            continue
        assert not asked, f"calls {asked} without results"
        asked = {call["id"] for call in message.get("tool_calls") or []}
    assert not asked, f"calls {asked} without results"


def check_responses(document: dict[str, Any]) -> None:
    """Responses: every output has its call before it and every call its output; reasoning is followed by what it led to."""
    asked: set[str] = set()
    for n, item in enumerate(document["input"]):
        kind = item.get("type")
        if kind == "function_call":
            asked.add(item["call_id"])
        elif kind == "function_call_output":
            assert item["call_id"] in asked, "an output without its call"
            asked.remove(item["call_id"])
        elif kind == "reasoning":
            assert item["encrypted_content"] == f"sealed:{item['id']}"
            following = document["input"][n + 1 : n + 2]
            assert following, "reasoning without what it led to"
            assert following[0].get("type") in ("reasoning", "function_call", "message"), (
                "reasoning without what it led to"
            )
    assert not asked, f"calls {asked} without outputs"


def check(path: str, document: dict[str, Any]) -> None:
    """Whatever the route's provider would check."""
    {"/v1/messages": check_messages, "/v1/chat/completions": check_chat, "/v1/responses": check_responses}[path](
        document
    )


def _blocks(content: Any) -> list[dict[str, Any]]:
    return content if isinstance(content, list) else []


def _all(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [block for message in messages for block in _blocks(message["content"])]
