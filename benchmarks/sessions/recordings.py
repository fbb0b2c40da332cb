"""Recorded agent sessions as the requests that their agents sent, turn by turn."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Message = dict[str, Any]
MARK = {"type": "ephemeral"}
MIN_TOOLS = 24
"""A coding agent brings about so many."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that a tool result said at one message and that the agent wrote down in a later one."""

    text: str
    said_at: int
    used_at: int


@dataclass(slots=True)
class Recording:
    """A session: its messages, and the indices of the answers in it, each of which was asked for by one request."""

    name: str
    dialect: str
    messages: list[Message]
    answers: list[int]
    tools: list[Message]
    system: str
    facts: list[Fact] = field(default_factory=list)

    def request(self, answer: int) -> Message:
        """The body that asked for this answer."""
        past = self.messages[:answer]
        if self.dialect == "openai":
            lead = [{"role": "system", "content": self.system}] if self.system else []
            body: Message = {"model": "gpt-4o", "messages": [*lead, *past], "prompt_cache_key": self.name}
        else:
            system = self.system or "\n".join(visible(m["content"]) for m in past if m["role"] == "system")
            turns = merged([m for m in past if m["role"] in ("user", "assistant")])
            body = {"model": "claude-sonnet-4-5-20250929", "max_tokens": 1024, "messages": _marked(turns)}
            if system:
                body["system"] = [{"type": "text", "text": system, "cache_control": MARK}]
        return body | {"tools": self.tools} if self.tools else body


def read(paths: list[Path]) -> Iterator[tuple[str, Message]]:
    """Every transcript among these files and below these folders, by name."""
    for path in paths:
        for file in sorted(path.rglob("*.json*")) if path.is_dir() else [path]:
            raw = file.read_bytes()
            yield file.name, json.loads(gzip.decompress(raw) if file.suffix == ".gz" else raw)


def recorded(
    name: str, transcript: Message, *, as_anthropic: bool = False, prefix_tokens: int = 0, max_turns: int = 500
) -> Recording:
    """A transcript as a recording; with `prefix_tokens` of tools and system text in front of every request."""
    if as_anthropic and transcript["format"] == "openai":
        transcript = _to_anthropic(transcript)
    messages, dialect = transcript["messages"], transcript["format"]
    tools = transcript.get("tools") or []
    system = transcript.get("system") or ""
    system = system if isinstance(system, str) else visible(system)
    if dialect == "anthropic" and not tools and not prefix_tokens:
        tools = _prefix(messages, 0)[0][:1]
    if prefix_tokens:
        tools, text = _prefix(messages, prefix_tokens)
        system = f"{text}\n{system}"
        if dialect == "openai":
            tools = [_function(tool) for tool in tools]
    first = next((n for n, message in enumerate(messages) if message.get("role") == "user"), len(messages))
    answers = [n for n, message in enumerate(messages) if message.get("role") == "assistant" and n > first][:max_turns]
    facts = [
        Fact(one["fact"], one["message_index"], one["used_at"])
        for one in transcript.get("needed", [])
        if one.get("strength", "strong") == "strong"
    ]
    return Recording(name, dialect, messages, answers, tools, system, facts)


def without_results(recording: Recording) -> Recording:
    """The recording with every tool result deleted: the least that it could cost."""
    return Recording(
        recording.name,
        recording.dialect,
        [_emptied(message) for message in recording.messages],
        recording.answers,
        recording.tools,
        recording.system,
    )


def strings(value: Any) -> Iterator[str]:
    """Every string in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from strings(part)


def visible(value: Any) -> str:
    """All strings of a JSON value, one below the other."""
    return "\n".join(strings(value))


def merged(messages: list[Message]) -> list[Message]:
    """Neighbouring user messages as one, as the Messages API asks."""
    out: list[Message] = []
    for message in messages:
        if out and out[-1]["role"] == message["role"] == "user":
            out[-1] = {"role": "user", "content": _blocks(out[-1]["content"]) + _blocks(message["content"])}
        else:
            out.append(message)
    return out


def _blocks(content: Any) -> list[Message]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def _marked(messages: list[Message]) -> list[Message]:
    """A cache mark on the newest block, where coding agents put it."""
    blocks = _blocks(messages[-1]["content"])
    if blocks:
        blocks[-1] = {**blocks[-1], "cache_control": MARK}
    return [*messages[:-1], {**messages[-1], "content": blocks}]


def _to_anthropic(transcript: Message) -> Message:
    messages = [_as_blocks(message) for message in transcript["messages"]]
    functions = [tool["function"] for tool in transcript.get("tools") or [] if "function" in tool]
    tools = [_tool(f["name"], f.get("description", ""), f.get("parameters")) for f in functions]
    return {**transcript, "format": "anthropic", "messages": messages, "tools": tools}


def _as_blocks(message: Message) -> Message:
    role, content = message.get("role"), message.get("content")
    text = content if isinstance(content, str) else visible(content) if content else ""
    if role in ("tool", "function"):
        result = {"type": "tool_result", "tool_use_id": message.get("tool_call_id") or "t", "content": text}
        return {"role": "user", "content": [result]}
    if role != "assistant":
        return {"role": role, "content": text}
    blocks: list[Message] = [{"type": "text", "text": text}] if text.strip() else []
    for call in message.get("tool_calls") or []:
        function = call.get("function", {})
        try:
            given = json.loads(function.get("arguments") or "{}")
        except ValueError:
            given = {"raw": function.get("arguments")}
        given = given if isinstance(given, dict) else {"value": given}
        blocks.append(
            {"type": "tool_use", "id": call.get("id") or "t", "name": function.get("name", "tool"), "input": given}
        )
    return {"role": "assistant", "content": blocks or [{"type": "text", "text": "."}]}


def _prefix(messages: list[Message], tokens: int) -> tuple[list[Message], str]:
    """Tools (those that the session used, and fillers) and a system text of about so many tokens in all."""
    names = [*dict.fromkeys(_used(messages))]
    names += [f"Helper{n:02}" for n in range(MIN_TOOLS - len(names))]
    each = tokens * 2 // 3 // len(names)
    return [_tool(name, _rules(each, name)) for name in names], _rules(tokens // 3, "general")


def _used(messages: list[Message]) -> Iterator[str]:
    for message in messages:
        content = message.get("content")
        for block in content if isinstance(content, list) else []:
            if isinstance(block, dict) and block.get("type") == "tool_use":
                yield block["name"]
    for message in messages:
        for call in message.get("tool_calls") or []:
            if call.get("function", {}).get("name"):
                yield call["function"]["name"]


def _rules(tokens: int, seed: str) -> str:
    return " ".join(
        f"rule {seed} {n} applies when the user asks for step {n % 7}." for n in range(max(1, tokens // 13))
    )


def _tool(name: str, description: str, schema: Message | None = None) -> Message:
    anything = {"type": "object", "properties": {"input": {"type": "string"}}}
    return {"name": name, "description": description, "input_schema": schema or anything}


def _function(tool: Message) -> Message:
    function = {"name": tool["name"], "description": tool["description"], "parameters": tool["input_schema"]}
    return {"type": "function", "function": function}


def _emptied(message: Message) -> Message:
    content = message.get("content")
    if message.get("role") in ("tool", "function"):
        return {**message, "content": ""}
    if isinstance(content, list):
        blocks = [
            {**b, "content": ""} if isinstance(b, dict) and b.get("type") == "tool_result" else b for b in content
        ]
        return {**message, "content": blocks}
    return message
