"""The request of a turn, as the agent of a recording sends it to its provider."""

from __future__ import annotations

from typing import Any

from proxy.providers import bodies
from proxy.replay.values import Message, Session, Turn

MAX_OUTPUT_TOKENS = 32_000
UNMARKABLE = frozenset({"thinking", "redacted_thinking"})


def request(session: Session, turn: Turn, *, model: str) -> bytes:
    """The body of a turn's request. Anthropic: marks on the system prompt and on the newest block, moved every turn."""
    is_messages = session.dialect == "anthropic"
    return bodies.dumped((_messages_request if is_messages else _chat_request)(session, turn, model)).encode()


def _messages_request(session: Session, turn: Turn, model: str) -> Message:
    mark = {"type": "ephemeral"} if session.ttl == "5m" else {"type": "ephemeral", "ttl": session.ttl}
    system = list(session.system) or _stand_in(session, turn)
    messages = [{"role": message["role"], "content": message.get("content")} for message in turn.history[: turn.length]]
    if system:
        system[-1] = {**system[-1], "cache_control": mark}
    messages[-1] = {**messages[-1], "content": _marked(messages[-1]["content"], mark)}
    body: Message = {"model": model, "max_tokens": MAX_OUTPUT_TOKENS}
    if session.tools:
        body["tools"] = session.tools
    if system:
        body["system"] = system
    return body | {"messages": messages, "stream": True}


def _stand_in(session: Session, turn: Turn) -> list[Message]:
    """A system prompt in the place of the one that was not recorded; each agent of a session has its own."""
    if not session.leaves_out_prefix:
        return []
    return [{"type": "text", "text": f"(not recorded: tools and system prompt of agent {turn.thread or 'main'})"}]


def _marked(content: Any, mark: Message) -> Any:
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else bodies.items(content)[:]
    for n in range(len(blocks) - 1, -1, -1):
        block = blocks[n]
        if isinstance(block, dict) and bodies.text(block.get("type")) not in UNMARKABLE and block.get("text") != "":
            blocks[n] = {**block, "cache_control": mark}
            return blocks
    return content


def _chat_request(session: Session, turn: Turn, model: str) -> Message:
    system = list(session.system) or _stand_in(session, turn)
    lead = [{"role": "system", "content": "\n".join(str(block.get("text", "")) for block in system)}] if system else []
    body: Message = {
        "model": model,
        "messages": [*lead, *turn.history[: turn.length]],
        "prompt_cache_key": session.name,
    }
    return body | {"tools": session.tools} if session.tools else body
