"""OpenAI Responses, woven: https://platform.openai.com/docs/api-reference/responses-streaming.

Only conversations that the client keeps by itself (`store: false`) come here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from proxy import splice
from proxy.providers import bodies
from proxy.retrieval.turns import Turn
from proxy.retrieval.weaving.base import Events, OwnCall, Said, error_of, event, loaded, recorded, retold, summed
from proxy.retrieval.words import TOOL_NAME

_FINAL = frozenset({"response.completed", "response.incomplete", "response.failed"})
_CALLS = frozenset({"function_call", "custom_tool_call", "local_shell_call", "computer_call", "shell_call"})


class _Response:
    """The rounds of one answer, item by item."""

    def __init__(self) -> None:
        self.calls: list[OwnCall] = []
        self.has_client_calls = False
        self._items: list[dict[str, Any]] = []
        self._rounds: list[tuple[Any, ...]] = []
        self._shown: list[int] = []
        self._seen: list[dict[str, Any]] = []
        self._usages: list[dict[str, Any]] = []
        self._id: Any = None

    @property
    def is_held(self) -> bool:
        return bool(self.calls or self._rounds or any(map(_is_own, self._items)))

    def _own(self, response: dict[str, Any]) -> None:
        """Take over what a response ended with. Calls count where it is complete."""
        self._items = [item for item in bodies.items(response.get("output")) if isinstance(item, dict)] or self._items
        usage = response.get("usage")
        self._usages.append(usage if isinstance(usage, dict) else {})
        if response.get("status") != "completed":
            return
        for place, item in enumerate(self._items):
            if _is_own(item):
                call = OwnCall(place, bodies.text(item.get("call_id")), item.get("arguments"), _sendable(item))
                self.calls.append(call)
            elif item.get("type") in _CALLS:
                self.has_client_calls = True

    def _visible(self) -> list[dict[str, Any]]:
        return [item for item in self._items if not _is_own(item)]

    def next_round(self, said: Sequence[Said]) -> list[Any]:
        sent = [_sendable(item) for item in self._items if not _is_lost(item)] + self._results(said)
        self._rounds.append(tuple(sent))
        self._shown.append(len(self._visible()))
        self._seen += self._visible()
        self._items, self.calls, self.has_client_calls = [], [], False
        return sent

    def retold(self, text: str) -> list[Any]:
        return retold(self._rounds, text)

    def _results(self, said: Sequence[Said]) -> list[dict[str, Any]]:
        return [
            {"type": "function_call_output", "call_id": call.call_id, "output": one.text}
            for call, one in zip(self.calls, said, strict=True)
        ]

    def turn(self, said: Sequence[Said]) -> tuple[Turn, list[Any]]:
        return (
            recorded(self._rounds, self._shown, self.calls, self._results(said)),
            [*self._seen, *self._visible()],
        )

    def _whole(self, response: dict[str, Any]) -> dict[str, Any]:
        """The response of all rounds, as the client gets it."""
        return {
            **response,
            "id": self._id,
            "output": [*self._seen, *self._visible()],
            "usage": summed(self._usages) if any(self._usages) else response.get("usage"),
        }


class ResponseStream(_Response):
    """An answer as events. Items of ours are left out; places and sequence numbers are closed up."""

    def __init__(self) -> None:
        super().__init__()
        self._events = Events()
        self._places: dict[int, int | None] = {}
        self._place = 0
        self._sequence = 0
        self._final: dict[str, Any] = {}

    def feed(self, chunk: bytes) -> bytes:
        return b"".join(self._passed(raw, document) for raw, document in self._events.feed(chunk))

    def flush(self) -> bytes:
        return self._events.flush()

    def _passed(self, raw: bytes, document: dict[str, Any] | None) -> bytes:
        kind = (document or {}).get("type")
        if document is None or not isinstance(kind, str):
            return raw
        response = document.get("response")
        if isinstance(response, dict):
            self._id = self._id or response.get("id")
            if kind in _FINAL:
                self._own(response)
                if self.is_held:
                    self._final = document
                    return b""
            elif self._rounds:
                return b""  # it begins again, and the client knows that it has begun
        index = document.get("output_index")
        if isinstance(index, int):
            return self._item_event(kind, index, raw, document)
        return self._numbered(raw, document)

    def _item_event(self, kind: str, index: int, raw: bytes, document: dict[str, Any]) -> bytes:
        item = document.get("item")
        if index not in self._places:
            is_own = isinstance(item, dict) and _is_own(item)
            self._places[index] = None if is_own else self._place
            self._place += not is_own
        if kind == "response.output_item.done" and isinstance(item, dict):
            self._items.append(item)
        place = self._places[index]
        if place is None:
            return b""
        return self._numbered(raw if place == index else b"", {**document, "output_index": place})

    def _numbered(self, raw: bytes, document: dict[str, Any]) -> bytes:
        """The event with its number in the sequence: its own bytes (`raw`) where they are right as they are."""
        number, self._sequence = self._sequence, self._sequence + 1
        given = document.get("sequence_number")
        if raw and given in (None, number):
            return raw
        return event(document if given is None else {**document, "sequence_number": number})

    def next_round(self, said: Sequence[Said]) -> list[Any]:
        self._places = {}
        return super().next_round(said)

    def ending(self) -> bytes:
        last = {**self._final, "response": self._whole(self._final.get("response") or {})}
        return self._numbered(b"", {**last, "sequence_number": -1})

    def refused(self, body: bytes) -> bytes:
        error = error_of(body)
        said = {"type": "error", "code": error.get("code") or error.get("type"), "message": error.get("message")}
        return self._numbered(b"", {**said, "param": None, "sequence_number": -1})


class ResponseJson(_Response):
    """An answer in one piece."""

    def __init__(self) -> None:
        super().__init__()
        self._body = b""
        self._response: dict[str, Any] = {}

    def feed(self, chunk: bytes) -> bytes:
        self._body += chunk
        return b""

    def flush(self) -> bytes:
        body, self._body = self._body, b""
        response = loaded(body) if body else None
        if response is None or not isinstance(response.get("output"), list):
            return body
        self._response = response
        self._id = self._id or response.get("id")
        self._own(response)
        return b"" if self.is_held else body

    def ending(self) -> bytes:
        return splice.spelled(self._whole(self._response))

    def refused(self, body: bytes) -> bytes:
        return body


def _is_own(item: dict[str, Any]) -> bool:
    return item.get("type") == "function_call" and item.get("name") == TOOL_NAME


def _is_lost(item: dict[str, Any]) -> bool:
    """Reasoning that came without its content: nobody has it, and its name alone means nothing to the provider."""
    return item.get("type") == "reasoning" and not item.get("encrypted_content")


def _sendable(item: dict[str, Any]) -> dict[str, Any]:
    """An item as it may be sent back where nothing is stored: what it is called there is not known to the provider."""
    return (
        {name: value for name, value in item.items() if name not in ("id", "status")}
        if item.get("type") != "reasoning"
        else item
    )
