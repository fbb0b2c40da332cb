"""Everything that is forwarded without being understood: model lists, files, batches, whatever comes next.

Two providers in one module: `anthropic` and `openai` differ in the dialect of our own errors and in where they live.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from proxy import histories
from proxy.providers import anthropic as messages
from proxy.providers import bodies, openai_chat, openai_responses
from proxy.values import Call, Dialect, Exchange, Meter, Outline, Plan, Reader, Reading


@dataclass(frozen=True, slots=True)
class Passthrough:
    """Forwards untouched; reads `usage` from the answer if there is one to read."""

    NAME: str
    DIALECT: Dialect

    def parse(self, body: bytes, read: Reader = histories.read) -> Call:
        document = bodies.load_object(body)
        return Call(body, document, model=bodies.text(document.get("model")) if document else "")

    def outline(self, call: Call) -> Outline:
        return Outline([], {}, [])

    def marks(self, call: Call) -> list[str]:
        return []

    def render(self, call: Call, plan: Plan) -> bytes:
        return call.body

    def meter(self, is_event_stream: bool) -> Meter:
        if is_event_stream:
            return messages.StreamMeter() if self.DIALECT == "anthropic" else openai_chat.StreamMeter()
        return bodies.JsonMeter(messages.read_message if self.DIALECT == "anthropic" else _read_openai)


anthropic = Passthrough("anthropic", "anthropic")
openai = Passthrough("openai", "openai")


def _read_openai(answer: dict[str, Any]) -> Reading:
    if answer.get("object") == "batch":  # its usage is that of calls to come, and grows
        return Reading(is_complete=True)
    usage = answer.get("usage")
    if isinstance(usage, dict) and "input_tokens" in usage:
        return openai_responses.read_response(answer)
    return openai_chat.read_completion(answer)


def choose(exchange: Exchange) -> Passthrough:
    """The provider whose credentials the request carries."""
    for key, value in exchange.headers:
        if key in (b"x-api-key", b"anthropic-version", b"anthropic-beta"):
            return anthropic
        if key == b"authorization" and value[:14].lower() == b"bearer sk-ant-":
            return anthropic
        if key == b"user-agent" and value.lower().startswith((b"claude-cli/", b"claude-code/")):
            return anthropic
    return openai
