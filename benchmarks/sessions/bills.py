"""What a provider bills for a request, and what is found in its cache. Bodies in, dollars out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from benchmarks.sessions.recordings import Message
from headroom import tokens

PRICES = {"anthropic": (3.0, 3.75, 0.30, 15.0), "openai": (2.5, 2.5, 1.25, 10.0)}
"""Dollars for a million tokens: fresh, written, read, output."""
OUTPUT_TOKENS = 20
LOOKBACK_BLOCKS = 20
MIN_PREFIX_TOKENS = 1024
STEP_TOKENS = 128
PLAIN = frozenset(["text", "tool_result", "input_text", "output_text", "function_call_output", "message"])


@dataclass(slots=True)
class Bill:
    """One request: dollars and tokens by class."""

    cost: float
    fresh: int
    read: int
    written: int

    @property
    def prompt_tokens(self) -> int:
        return self.fresh + self.read + self.written


@dataclass(slots=True)
class Provider:
    """One account at a provider: what its prompt cache holds until when."""

    dialect: str
    life_s: float = 300.0
    cache: dict[bytes, float] = field(default_factory=dict)
    _known: dict[int, tuple[Any, bytes, int]] = field(default_factory=dict)
    _blocks: dict[str, Message] = field(default_factory=dict)

    def bill(self, body: Message, now_s: float) -> Bill:
        """Bill a request at a time and keep its prefixes."""
        return self._anthropic(body, now_s) if self.dialect == "anthropic" else self._openai(body, now_s)

    def _anthropic(self, body: Message, now_s: float) -> Bill:
        link, total = b"", 0
        chain: list[bytes] = []
        ends: list[int] = []
        marks: list[int] = []
        for part, role in self._anthropic_parts(body):
            bare = {k: v for k, v in part.items() if k != "cache_control"} if "cache_control" in part else part
            digest, size = self._measured(bare)
            link = blake2b(link + role.encode() + digest, digest_size=16).digest()
            total += size
            chain.append(link)
            ends.append(total)
            if "cache_control" in part:
                marks.append(len(chain) - 1)
        hit = max((self._found(chain, mark, now_s) for mark in marks), default=-1)
        read = ends[hit] if hit >= 0 else 0
        if hit >= 0:
            self.cache[chain[hit]] = now_s + self.life_s
        billed = read
        for mark in marks:
            if mark > hit and ends[mark] >= MIN_PREFIX_TOKENS:
                self.cache[chain[mark]] = now_s + self.life_s
                billed = ends[mark]
        return self._priced(total - billed, read, billed - read)

    def _anthropic_parts(self, body: Message) -> Iterator[tuple[Message, str]]:
        for tool in body.get("tools") or []:
            yield tool, ""
        for block in body.get("system") or []:
            yield block, "system"
        for message in body["messages"]:
            for block in self._listed(message["content"]):
                yield block, message["role"]

    def _listed(self, content: Any) -> list[Message]:
        """A text as the one block that it is, the same object every time."""
        if isinstance(content, str):
            return [self._blocks.setdefault(content, {"type": "text", "text": content})]
        return content or []

    def _found(self, chain: list[bytes], mark: int, now_s: float) -> int:
        return next(
            (n for n in range(mark, max(-1, mark - LOOKBACK_BLOCKS), -1) if self.cache.get(chain[n], 0.0) > now_s), -1
        )

    def _openai(self, body: Message, now_s: float) -> Bill:
        link, total, shared, is_alive = b"", 0, 0, True
        for part in [*(body.get("tools") or []), *body["messages"]]:
            digest, size = self._measured(part)
            link = blake2b(link + digest, digest_size=16).digest()
            total += size
            is_alive = is_alive and self.cache.get(link, 0.0) > now_s
            shared = total if is_alive else shared
            self.cache[link] = now_s + self.life_s
        read = shared // STEP_TOKENS * STEP_TOKENS if total >= MIN_PREFIX_TOKENS else 0
        return self._priced(total - read, read, 0)

    def _priced(self, fresh: int, read: int, written: int) -> Bill:
        for_fresh, for_written, for_read, for_output = PRICES[self.dialect]
        dollars = fresh * for_fresh + written * for_written + read * for_read + OUTPUT_TOKENS * for_output
        return Bill(dollars / 1e6, fresh, read, written)

    def _measured(self, part: Message) -> tuple[bytes, int]:
        """Digest and tokens of one part; an object that was seen before is not looked into again."""
        known = self._known.get(id(part))
        if known is not None and known[0] is part:
            return known[1], known[2]
        text = json.dumps(part, ensure_ascii=False, separators=(",", ":"))
        digest = blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
        size = _TOKENS.get(digest)
        if size is None:
            size = _TOKENS[digest] = _size(part, text)
        self._known[id(part)] = (part, digest, size)
        return digest, size


_TOKENS: dict[bytes, int] = {}


def _size(part: Message, text: str) -> int:
    """Tokens of prose and tool results as the model reads them, of everything else as JSON."""
    if part.get("type") in PLAIN or (part.get("role") and not part.get("tool_calls")):
        return sum(counted(one) for one in _shown(part)) + 8
    return counted(text)


def counted(text: str) -> int:
    """Exact o200k tokens, as the provider counts."""
    return tokens.count(text)


def _shown(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from _shown(part)
    elif isinstance(value, dict):
        yield from _shown(value.get("text") or value.get("content") or value.get("output") or [])
