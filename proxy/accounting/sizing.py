"""A prompt in the pieces that its provider caches, and how long each is to the model, in o200k tokens."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import orjson

from headroom import tokens
from proxy.providers import bodies
from proxy.values import Dialect, Path

FRAME_TOKENS = 4
"""What a provider puts around each block: its role and delimiters."""
MEDIA_TOKENS = 1600
"""An image of about a megapixel, or a page of a document. Their bytes are not text, so nothing can be counted."""
MEDIA = frozenset({"image", "document", "image_url", "input_image", "input_file", "file", "input_audio"})
CALLS = frozenset({"tool_use", "server_tool_use", "function", "function_call", "custom_tool_call", "local_shell_call"})
"""Calls of tools are written out for the model with all their fields, about as long as their JSON."""
PARTS = (
    "text",
    "thinking",
    "content",
    "refusal",
    "reasoning_content",
    "name",
    "arguments",
    "tool_calls",
    "output",
)
"""The fields of blocks and messages that a model reads. Signatures, ids and encrypted items are not among them."""
EXACT_CHARS = 2000
SAMPLES = 4
SAMPLE_CHARS = 500
"""Of longer texts some samples are counted: 1 or 2 % off, at a bounded cost."""
MARK = re.compile(rb',"cache_control":\{[^{}]*\}|"cache_control":\{[^{}]*\},?')


@dataclass(frozen=True, slots=True)
class Layout:
    """A prompt as a row of units: Anthropic caches by content blocks, OpenAI (as far as we look) by messages.

    `lead` are the units before the messages; `starts` has the number of units before each message, and last their total.
    """

    lead: list[Any]
    messages: list[Any]
    starts: list[int]
    is_blockwise: bool
    lead_schemas: int
    """How many units of the lead are definitions of tools."""

    @property
    def units(self) -> int:
        return self.starts[-1]

    def unit_of(self, path: Path) -> int:
        """The unit that a text of a message is in."""
        message, step = path[1], path[3] if self.is_blockwise and len(path) > 3 else 0
        return self.starts[int(message)] + (int(step) if self.is_blockwise else 0)

    def values(self, first: int) -> Iterator[Any]:
        """The units from one on."""
        yield from self.lead[first:]
        for message, start, end in zip(self.messages, self.starts, self.starts[1:], strict=False):
            if end > first:
                yield from self._blocks(message)[max(0, first - start) :]

    def marks(self) -> list[tuple[int, str]]:
        """The client's cache marks: units up to and with the marked one, and the ttl."""
        if not self.is_blockwise:
            return []
        found = [(n + 1, _ttl(unit)) for n, unit in enumerate(self.lead) if _is_marked(unit)]
        for message, start in zip(self.messages, self.starts, strict=False):
            content = message.get("content") if isinstance(message, dict) else None
            if isinstance(content, list):
                found += [(start + k + 1, _ttl(block)) for k, block in enumerate(content) if _is_marked(block)]
        return found

    def turn_ends(self) -> list[int]:
        """Numbers of units that earlier requests ended with: those before each answer of the model."""
        return [
            start
            for message, start in zip(self.messages, self.starts, strict=False)
            if isinstance(message, dict) and _is_answer(message)
        ]

    def _blocks(self, message: Any) -> list[Any]:
        if not self.is_blockwise or not isinstance(message, dict):
            return [message]
        content = message.get("content")
        return content if isinstance(content, list) else [{"type": "text", "text": content}]


def layout(document: dict[str, Any], dialect: Dialect) -> Layout:
    """The units of a request that was parsed."""
    tools = bodies.items(document.get("tools"))
    if dialect == "anthropic":
        system = document.get("system")
        rest = [system] if isinstance(system, str) and system else bodies.items(system)
    else:
        rest = [document["instructions"]] if document.get("instructions") else []
    asked = document.get("messages", document.get("input"))
    messages = [asked] if isinstance(asked, str) else bodies.items(asked)
    lead = [*tools, *rest]
    is_blockwise = dialect == "anthropic"
    lengths = (_length(message) for message in messages) if is_blockwise else [1] * len(messages)
    return Layout(lead, messages, list(accumulate(lengths, initial=len(lead))), is_blockwise, len(tools))


def _length(message: Any) -> int:
    content = message.get("content") if isinstance(message, dict) else None
    return len(content) if isinstance(content, list) else 1


def _is_marked(block: Any) -> bool:
    return isinstance(block, dict) and isinstance(block.get("cache_control"), dict)


def _ttl(block: dict[str, Any]) -> str:
    return "1h" if block["cache_control"].get("ttl") == "1h" else "5m"


def _is_answer(message: dict[str, Any]) -> bool:
    return message.get("role") == "assistant" or message.get("type") in (
        "function_call",
        "custom_tool_call",
        "local_shell_call",
        "reasoning",
    )


def size_of(value: Any, *, is_schema: bool = False, count: Callable[[str], int] = tokens.count) -> int:
    """o200k tokens of one block or message, its frame included. Definitions of tools are read as JSON."""
    if is_schema:
        return FRAME_TOKENS + count(encoded(value).decode())
    return FRAME_TOKENS + sum(MEDIA_TOKENS if text is None else count(text) for text in texts(value))


def sampled(text: str) -> int:
    """About how many tokens a text is, at a cost that does not grow with it."""
    if len(text) <= EXACT_CHARS:
        return tokens.count(text)
    step = len(text) // SAMPLES
    counted = sum(tokens.count(text[start : start + SAMPLE_CHARS]) for start in range(0, step * SAMPLES, step))
    return counted * len(text) // (SAMPLES * SAMPLE_CHARS)


def fingerprint(value: Any) -> int:
    """A checksum of a JSON value in which cache marks do not count."""
    return checksum(unmarked(value))


def unmarked(value: Any) -> bytes:
    """Compact JSON without cache marks."""
    return MARK.sub(b"", encoded(value))


def checksum(spelled: bytes, start: int = 0) -> int:
    """A checksum of bytes, perhaps going on from one of the bytes before."""
    return zlib.crc32(spelled, start)


def texts(value: Any) -> Iterator[str | None]:
    """The texts that a model reads in a block; None stands for an image or a document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from texts(part)
    elif isinstance(value, dict):
        if bodies.text(value.get("type")) in MEDIA:
            yield None
            return
        if bodies.text(value.get("type")) in CALLS:
            yield encoded(value).decode()
            return
        for key in PARTS:
            if value.get(key):
                yield from texts(value[key])


def encoded(value: Any) -> bytes:
    """Compact JSON, as JavaScript clients write it."""
    try:
        return orjson.dumps(value)
    except TypeError:  # lone surrogates and integers over 64 bits
        return json.dumps(value, separators=(",", ":")).encode("ascii")
