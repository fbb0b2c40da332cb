"""Anthropic Messages, woven: https://docs.anthropic.com/en/api/messages-streaming."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from proxy import splice
from proxy.providers import bodies
from proxy.retrieval.turns import Turn
from proxy.retrieval.weaving.base import Events, OwnCall, Said, error_of, event, loaded, recorded, retold, summed
from proxy.retrieval.words import TOOL_NAME


class _Message:
    """The rounds of one answer, block by block."""

    def __init__(self) -> None:
        self.calls: list[OwnCall] = []
        self.has_client_calls = False
        self._blocks: list[dict[str, Any]] = []
        self._rounds: list[tuple[Any, ...]] = []
        self._shown: list[int] = []
        self._seen: list[dict[str, Any]] = []  # blocks of earlier rounds that the client has
        self._usages: list[dict[str, Any]] = []

    @property
    def is_held(self) -> bool:
        return bool(self.calls or self._rounds or any(map(_is_own, self._blocks)))

    def _own(self, stop_reason: Any) -> None:
        """Note whose calls the blocks of this round are. A call that was cut short is nobody's."""
        if stop_reason != "tool_use":
            return
        for place, block in enumerate(self._blocks):
            if _is_own(block):
                self.calls.append(OwnCall(place, bodies.text(block.get("id")), block.get("input"), block))
            elif block.get("type") == "tool_use":
                self.has_client_calls = True

    def _visible(self) -> list[dict[str, Any]]:
        return [block for block in self._blocks if not _is_own(block)]

    def _stop_reason(self, given: Any) -> Any:
        """Without a call of the client's there is nothing that it could go on with."""
        return "end_turn" if self.calls and not self.has_client_calls else given

    def next_round(self, said: Sequence[Said]) -> list[Any]:
        sent = [
            {"role": "assistant", "content": [block for block in self._blocks if not _is_empty(block)]},
            {"role": "user", "content": self._results(said)},
        ]
        self._rounds.append(tuple(sent))
        self._shown.append(len(self._visible()))
        self._seen += self._visible()
        self._blocks, self.calls, self.has_client_calls = [], [], False
        return sent

    def retold(self, text: str) -> list[Any]:
        return retold(self._rounds, text)

    def _results(self, said: Sequence[Said]) -> list[dict[str, Any]]:
        return [
            {"type": "tool_result", "tool_use_id": call.call_id, "content": one.text}
            | ({"is_error": True} if one.is_error else {})
            for call, one in zip(self.calls, said, strict=True)
        ]

    def turn(self, said: Sequence[Said]) -> tuple[Turn, list[Any]]:
        return (
            recorded(self._rounds, self._shown, self.calls, self._results(said)),
            [{"role": "assistant", "content": [*self._seen, *self._visible()]}],
        )


class MessageStream(_Message):
    """An answer as events. Blocks of ours are left out, and the indices of the others closed up."""

    def __init__(self) -> None:
        super().__init__()
        self._events = Events()
        self._json: dict[int, list[str]] = {}
        self._places: dict[int, int | None] = {}  # index as the client sees it, by the provider's in this round
        self._index = 0
        self._delta: dict[str, Any] = {}

    def feed(self, chunk: bytes) -> bytes:
        return b"".join(self._passed(raw, document) for raw, document in self._events.feed(chunk))

    def flush(self) -> bytes:
        return self._events.flush()

    def _passed(self, raw: bytes, document: dict[str, Any] | None) -> bytes:
        kind = (document or {}).get("type")
        if document is None or not isinstance(kind, str):
            return raw
        if kind == "message_start":
            message = document.get("message")
            usage = message.get("usage") if isinstance(message, dict) else None
            self._usages.append(dict(usage) if isinstance(usage, dict) else {})
            return b"" if self._rounds else raw
        if kind.startswith("content_block_"):
            return self._block_event(kind, raw, document)
        if kind == "message_delta":
            return self._ended(raw, document)
        return b"" if kind == "message_stop" and self.is_held else raw

    def _block_event(self, kind: str, raw: bytes, document: dict[str, Any]) -> bytes:
        index = document.get("index")
        if not isinstance(index, int):
            return raw
        if kind == "content_block_start":
            block = document.get("content_block")
            self._blocks.append(dict(block) if isinstance(block, dict) else {})
            self._places[index] = None if _is_own(self._blocks[-1]) else self._index
            self._index += self._places[index] is not None
        elif kind == "content_block_delta" and self._blocks:
            self._add(index, document.get("delta"))
        elif kind == "content_block_stop" and index in self._json:
            self._blocks[-1]["input"] = loaded("".join(self._json.pop(index)).encode() or b"{}") or {}
        place = self._places.get(index, index)
        if place is None:
            return b""
        return raw if place == index else event({**document, "index": place})

    def _add(self, index: int, delta: Any) -> None:
        """Let a delta grow the block that it belongs to, so that the next round can send the block back."""
        block = self._blocks[-1]
        if not isinstance(delta, dict):
            return
        if delta.get("type") == "input_json_delta":
            self._json.setdefault(index, []).append(bodies.text(delta.get("partial_json")))
        elif delta.get("type") == "citations_delta":
            block["citations"] = [*bodies.items(block.get("citations")), delta.get("citation")]
        else:
            for name in ("text", "thinking", "signature"):
                if isinstance(delta.get(name), str):
                    block[name] = bodies.text(block.get(name)) + delta[name]

    def _ended(self, raw: bytes, document: dict[str, Any]) -> bytes:
        usage = document.get("usage")
        if isinstance(usage, dict) and self._usages:
            self._usages[-1].update({key: value for key, value in usage.items() if value is not None})
        delta = document.get("delta")
        self._own(delta.get("stop_reason") if isinstance(delta, dict) else None)
        self._delta = document
        return b"" if self.is_held else raw

    def next_round(self, said: Sequence[Said]) -> list[Any]:
        self._places, self._json = {}, {}
        return super().next_round(said)

    def ending(self) -> bytes:
        delta = dict(self._delta.get("delta") or {})
        delta["stop_reason"] = self._stop_reason(delta.get("stop_reason"))
        last = {**self._delta, "type": "message_delta", "delta": delta, "usage": summed(self._usages)}
        return event(last) + event({"type": "message_stop"})

    def refused(self, body: bytes) -> bytes:
        return event({"type": "error", "error": error_of(body)})


class MessageJson(_Message):
    """An answer in one piece."""

    def __init__(self) -> None:
        super().__init__()
        self._body = b""
        self._message: dict[str, Any] = {}
        self._id: Any = None

    def feed(self, chunk: bytes) -> bytes:
        self._body += chunk
        return b""

    def flush(self) -> bytes:
        body, self._body = self._body, b""
        message = loaded(body) if body else None
        if message is None or not isinstance(message.get("content"), list):
            return body
        self._message = message
        self._blocks = [block for block in message["content"] if isinstance(block, dict)]
        usage = message.get("usage")
        self._usages.append(usage if isinstance(usage, dict) else {})
        self._id = self._id or message.get("id")
        self._own(message.get("stop_reason"))
        return b"" if self.is_held else body

    def ending(self) -> bytes:
        return splice.spelled(
            {
                **self._message,
                "id": self._id,
                "content": [*self._seen, *self._visible()],
                "stop_reason": self._stop_reason(self._message.get("stop_reason")),
                "usage": summed(self._usages),
            }
        )

    def refused(self, body: bytes) -> bytes:
        return body


def _is_own(block: dict[str, Any]) -> bool:
    return block.get("type") == "tool_use" and block.get("name") == TOOL_NAME


def _is_empty(block: dict[str, Any]) -> bool:
    """A text without text, which providers write and do not read."""
    return block.get("type") == "text" and not block.get("text")
