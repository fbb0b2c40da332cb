"""JSON files of messages, as the OpenAI and Anthropic APIs take them: a plain list, or an object that holds one."""

from __future__ import annotations

from typing import Any

from proxy.providers import bodies
from proxy.replay.values import Message, Session, Turn, Unreadable
from proxy.values import Dialect

ANTHROPIC_BLOCKS = frozenset({"tool_use", "tool_result", "thinking", "redacted_thinking"})


def read(document: Any, *, name: str) -> Session:
    """The session in a parsed file. Every answer of the assistant is a turn. Raises Unreadable."""
    fields = document if isinstance(document, dict) else {"messages": document}
    messages = fields.get("messages")
    if not isinstance(messages, list) or not messages or not all(_is_message(message) for message in messages):
        raise Unreadable("neither a list of messages nor an object with one under `messages`")
    model = bodies.text(fields.get("model"))
    dialect = _dialect(fields.get("format"), messages, model)
    system = _system(fields.get("system"))
    places = list(range(len(messages)))
    if dialect == "anthropic":
        places = [n for n, message in enumerate(messages) if message["role"] != "system"]
        system += [
            block for message in messages if message["role"] == "system" for block in _system(message.get("content"))
        ]
        messages = [_without_marks(message) for message in messages if message["role"] != "system"]
    turns = tuple(
        Turn(messages, n, model) for n, message in enumerate(messages) if n and message["role"] == "assistant"
    )
    if not turns:
        raise Unreadable("no answer of an assistant in it")
    needed = _needed(fields.get("needed"), {place: n for n, place in enumerate(places)})
    return Session(name, dialect, turns, system=system, tools=_unmarked(fields.get("tools")), needed=needed)


def _needed(facts: Any, places: dict[int, int]) -> dict[int, list[str]]:
    """What a transcript says of the texts that later answers made use of: `{"fact", "used_at"}`, weak ones left out."""
    found: dict[int, list[str]] = {}
    for one in bodies.items(facts):
        if isinstance(one, dict) and one.get("strength", "strong") == "strong" and one.get("used_at") in places:
            found.setdefault(places[one["used_at"]], []).append(bodies.text(one.get("fact")))
    return found


def _is_message(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("role"), str)


def _dialect(declared: Any, messages: list[Message], model: str) -> Dialect:
    if declared == "anthropic":
        return "anthropic"
    if declared == "openai" or any(
        message["role"] in ("tool", "function") or message.get("tool_calls") for message in messages
    ):
        return "openai"
    if any(_holds_anthropic_block(message) for message in messages) or model.startswith("claude"):
        return "anthropic"
    return "openai"


def _holds_anthropic_block(message: Message) -> bool:
    content = message.get("content")
    return isinstance(content, list) and any(
        isinstance(block, dict) and bodies.text(block.get("type")) in ANTHROPIC_BLOCKS for block in content
    )


def _system(value: Any) -> list[Message]:
    """A system prompt as text blocks."""
    if isinstance(value, str) and value:
        return [{"type": "text", "text": value}]
    return [block for block in _unmarked(value) if block.get("type") == "text"]


def _without_marks(message: Message) -> Message:
    """The message without cache marks: where they stand in a recording is where they stood in its last request."""
    content = message.get("content")
    return {**message, "content": _unmarked(content)} if isinstance(content, list) else message


def _unmarked(blocks: Any) -> list[Message]:
    if not isinstance(blocks, list):
        return []
    return [
        {key: value for key, value in block.items() if key != "cache_control"}
        for block in blocks
        if isinstance(block, dict)
    ]
