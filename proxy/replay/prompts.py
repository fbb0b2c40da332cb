"""A request body as the row of blocks that its provider bills."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

from proxy.accounting.sizing import size_of
from proxy.providers import bodies
from proxy.replay.billing import Block, Ttl
from proxy.values import Dialect


class Prompts:
    """Reads bodies; remembers the size of every block that it has seen, since agents send each one again every turn."""

    def __init__(self) -> None:
        self._sizes: dict[bytes, int] = {}

    def blocks(self, document: dict[str, Any], dialect: Dialect) -> list[Block]:
        """The blocks of a parsed body in the order in which the provider caches them. Marks are not part of a digest."""
        pieces = _messages_pieces(document) if dialect == "anthropic" else _chat_pieces(document)
        return [self._block(place, value) for place, value in pieces]

    def _block(self, place: str, value: Any) -> Block:
        mark = None
        if isinstance(value, dict) and "cache_control" in value:
            mark = _ttl(value["cache_control"])
            value = {key: field for key, field in value.items() if key != "cache_control"}
        digest = blake2b(f"{place}\0{bodies.dumped(value)}".encode(), digest_size=16).digest()
        size = self._sizes.get(digest)
        if size is None:
            size = self._sizes[digest] = size_of(value, is_schema=place == "tools")
        return Block(digest, size, mark)


def _messages_pieces(document: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for tool in bodies.items(document.get("tools")):
        yield "tools", tool
    for block in _blocks(document.get("system")):
        yield "system", block
    for message in bodies.items(document.get("messages")):
        for block in _blocks(message.get("content")):
            yield message["role"], block


def _blocks(content: Any) -> list[Any]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else bodies.items(content)


def _chat_pieces(document: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for tool in bodies.items(document.get("tools")):
        yield "tools", tool
    for message in bodies.items(document.get("messages")):
        yield message["role"], message


def _ttl(mark: Any) -> Ttl | None:
    if not isinstance(mark, dict):
        return None
    return "1h" if mark.get("ttl") == "1h" else "5m"
