"""Agents over both SDKs, as they meet a proxy that offers the retrieve tool: each keeps its history as its SDK gives it."""

from __future__ import annotations

import json
import re
import uuid
from abc import ABC, abstractmethod
from typing import Any

import anthropic
import openai
import pytest

from tests.live.proxies import Proxy

NAME = "headroom_retrieve"
HASH = re.compile(NAME + r", hash ([0-9a-f]{24})")


def log(name: str) -> str:
    return "\n".join(f"12:00:{n % 60:02} INFO {name} run {n} took {n % 7} ms, nothing else to say" for n in range(800))


class Client(ABC):
    """An agent over one of the SDKs: it keeps its history as the SDK gives it, and runs one tool of its own."""

    path = ""

    def __init__(self, proxy: Proxy, *, is_streaming: bool) -> None:
        self.is_streaming = is_streaming
        self.history: list[Any] = []
        self.session = uuid.uuid4().hex
        usual: Any = {"max_retries": 0, "timeout": 60, "default_headers": {"x-headroom-session-id": self.session}}
        self.anthropic = anthropic.Anthropic(base_url=proxy.url, api_key="k", **usual)
        self.openai = openai.OpenAI(base_url=proxy.v1, api_key="k", **usual)

    def close(self) -> None:
        self.anthropic.close()
        self.openai.close()

    def ask(self, text: str) -> Any:
        self.history.append({"role": "user", "content": text})
        return self.send()

    @abstractmethod
    def send(self) -> Any:
        """Send the history, and keep the answer in it."""

    @abstractmethod
    def give(self, **results: str) -> Any:
        """Answer calls by their ids, and send."""


class Messages(Client):
    path = "/v1/messages"
    tools: Any = [{"name": "Bash", "description": "Run.", "input_schema": {"type": "object"}}]

    def send(self) -> Any:
        asked: Any = {"model": "m", "max_tokens": 99, "tools": self.tools, "messages": self.history}
        if self.is_streaming:
            with self.anthropic.messages.stream(**asked) as stream:
                answer = stream.get_final_message()
        else:
            answer = self.anthropic.messages.create(**asked)
        self.history.append({"role": "assistant", "content": [b.model_dump(exclude_none=True) for b in answer.content]})
        return answer

    def give(self, **results: str) -> Any:
        blocks = [{"type": "tool_result", "tool_use_id": name, "content": text} for name, text in results.items()]
        self.history.append({"role": "user", "content": blocks})
        return self.send()


class Chat(Client):
    path = "/v1/chat/completions"
    tools: Any = [{"type": "function", "function": {"name": "Bash", "parameters": {"type": "object"}}}]

    def send(self) -> Any:
        asked: Any = {"model": "m", "tools": self.tools, "messages": self.history}
        if self.is_streaming:
            asked["stream_options"] = {"include_usage": True}
            with self.openai.chat.completions.stream(**asked) as stream:
                answer = stream.get_final_completion()
        else:
            answer = self.openai.chat.completions.create(**asked)
        self.history.append(answer.choices[0].message.to_dict())
        self.history[-1].pop("parsed", None)
        return answer

    def give(self, **results: str) -> Any:
        self.history += [{"role": "tool", "tool_call_id": name, "content": text} for name, text in results.items()]
        return self.send()


class Responses(Client):
    path = "/v1/responses"
    tools: Any = [{"type": "function", "name": "Bash", "parameters": {"type": "object"}, "strict": False}]

    def send(self) -> Any:
        asked: Any = {"model": "m", "store": False, "tools": self.tools, "input": self.history}
        if self.is_streaming:
            with self.openai.responses.stream(**asked) as stream:
                events = list(stream)
                answer = stream.get_final_response()
            assert [event.sequence_number for event in events] == list(range(len(events)))
            assert len({event.response.id for event in events if hasattr(event, "response")}) == 1
        else:
            answer = self.openai.responses.create(**asked)
        self.history += [item.to_dict() for item in answer.output]
        for item in self.history:
            for part in item.get("content") or () if isinstance(item.get("content"), list) else ():
                part.pop("parsed", None)
            item.pop("parsed_arguments", None)
        return answer

    def give(self, **results: str) -> Any:
        self.history += [
            {"type": "function_call_output", "call_id": name, "output": text} for name, text in results.items()
        ]
        return self.send()


def texts(client: Client, answer: Any) -> str:
    if client.path == "/v1/messages":
        return "".join(block.text for block in answer.content if block.type == "text")
    return str(answer.choices[0].message.content if client.path == "/v1/chat/completions" else answer.output_text)


def used(client: Client, answer: Any) -> tuple[int, int]:
    names = ("prompt_tokens", "completion_tokens") if "chat" in client.path else ("input_tokens", "output_tokens")
    return getattr(answer.usage, names[0]), getattr(answer.usage, names[1])


def hash_in(document: dict[str, Any]) -> str:
    return HASH.findall(json.dumps(document))[-1]


def own_results(document: dict[str, Any]) -> list[str]:
    """What was answered to calls of ours, in order; their ids begin with `own`."""
    found = []
    for item in document.get("messages", document.get("input")):
        blocks = item.get("content") if isinstance(item.get("content"), list) else []
        for part in (item, *blocks):
            if str(part.get("tool_use_id") or part.get("tool_call_id") or part.get("call_id")).startswith("own"):
                found += [part[name] for name in ("content", "output") if isinstance(part.get(name), str)]
    return found


def key_of(client: Client) -> str:
    return "input" if client.path == "/v1/responses" else "messages"


ALL = pytest.mark.parametrize("is_streaming", [False, True], ids=["whole", "streamed"])
EACH = pytest.mark.parametrize("kind", [Messages, Chat, Responses])
