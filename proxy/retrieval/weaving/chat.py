"""OpenAI Chat Completions, woven: https://platform.openai.com/docs/api-reference/chat-streaming."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from proxy import splice
from proxy.providers import bodies
from proxy.retrieval.turns import Turn
from proxy.retrieval.weaving.base import Events, OwnCall, Said, error_of, event, loaded, recorded, retold, summed
from proxy.retrieval.words import TOOL_NAME
from proxy.sse import DONE_EVENT


class _Completion:
    """The rounds of one answer: a message that grows, with its calls in order."""

    def __init__(self) -> None:
        self.calls: list[OwnCall] = []
        self.has_client_calls = False
        self._message: dict[str, Any] = {}
        self._tool_calls: list[dict[str, Any]] = []
        self._rounds: list[tuple[Any, ...]] = []
        self._shown: list[int] = []
        self._text = ""  # what the client has of earlier rounds
        self._usages: list[dict[str, Any]] = []

    @property
    def is_held(self) -> bool:
        return bool(self.calls or self._rounds or any(map(_is_own, self._tool_calls)))

    def _own(self, finish_reason: Any) -> None:
        """Note whose calls those of this round are. A call that was cut short is nobody's."""
        if finish_reason not in ("tool_calls", "stop", "function_call"):
            return
        for place, call in enumerate(self._tool_calls):
            if _is_own(call):
                arguments = call["function"].get("arguments")
                self.calls.append(OwnCall(place, bodies.text(call.get("id")), arguments, call))
            else:
                self.has_client_calls = True

    def _visible(self) -> list[dict[str, Any]]:
        return [call for call in self._tool_calls if not _is_own(call)]

    def _finish_reason(self, given: Any) -> Any:
        return "stop" if self.calls and not self.has_client_calls else given

    def next_round(self, said: Sequence[Said]) -> list[Any]:
        text = bodies.text(self._message.get("content"))
        said_by_model = {**self._message, "role": "assistant", "content": text or None, "tool_calls": self._tool_calls}
        sent = [said_by_model, *self._results(said)]
        self._rounds.append(tuple(sent))
        self._shown.append(len(text))
        self._text += text
        self._message, self._tool_calls, self.calls, self.has_client_calls = {}, [], [], False
        return sent

    def retold(self, text: str) -> list[Any]:
        return retold(self._rounds, text)

    def _results(self, said: Sequence[Said]) -> list[dict[str, Any]]:
        return [
            {"role": "tool", "tool_call_id": call.call_id, "content": one.text}
            for call, one in zip(self.calls, said, strict=True)
        ]

    def turn(self, said: Sequence[Said]) -> tuple[Turn, list[Any]]:
        content = self._text + bodies.text(self._message.get("content"))
        return (
            recorded(self._rounds, self._shown, self.calls, self._results(said)),
            [{"role": "assistant", "content": content, "tool_calls": self._visible()}],
        )


class ChatStream(_Completion):
    """An answer as chunks. Deltas of our calls are left out, and the indices of the others closed up."""

    def __init__(self) -> None:
        super().__init__()
        self._events = Events()
        self._head: dict[str, Any] = {}
        self._by_index: dict[int, dict[str, Any]] = {}
        self._finish: dict[str, Any] = {}
        self._usage_chunk: dict[str, Any] | None = None

    def feed(self, chunk: bytes) -> bytes:
        return b"".join(self._passed(raw, document) for raw, document in self._events.feed(chunk))

    def flush(self) -> bytes:
        return self._events.flush()

    def _passed(self, raw: bytes, document: dict[str, Any] | None) -> bytes:
        if document is None:
            return b"" if self.is_held and raw.strip() == DONE_EVENT.strip() else raw
        if not self._head:
            self._head = {name: document.get(name) for name in ("id", "created", "model") if name in document}
        usage = document.get("usage")
        if isinstance(usage, dict):  # some repeat it in every chunk: the last one counts
            self._usages[len(self._rounds) :] = [usage]
        choices = bodies.items(document.get("choices"))
        if not choices:
            self._usage_chunk = document if isinstance(usage, dict) else self._usage_chunk
            return b"" if isinstance(usage, dict) and self.is_held else raw
        choice = choices[0]
        if not isinstance(choice, dict):
            return raw
        return self._choice(raw, document, choice)

    def _choice(self, raw: bytes, document: dict[str, Any], choice: dict[str, Any]) -> bytes:
        given = choice.get("delta")
        delta = dict(given) if isinstance(given, dict) else {}
        is_changed = self._grow(delta)
        finish = choice.get("finish_reason")
        if finish is not None:
            self._own(finish)
            self._finish = document
            if self.is_held:
                finish, is_changed = None, True
                if not delta:
                    return b""
        if self._rounds:
            delta.pop("role", None)
            is_changed = True
        if not is_changed:
            return raw
        if not any(value not in (None, "", []) for value in delta.values()):
            return b""
        return self._chunk(document, {**choice, "delta": delta, "finish_reason": finish})

    def _grow(self, delta: dict[str, Any]) -> bool:
        """Note what a delta adds, and take out of it what is ours. True when that changed it."""
        for name, value in delta.items():
            if isinstance(value, str) and name != "role":
                self._message[name] = bodies.text(self._message.get(name)) + value
        calls = bodies.items(delta.get("tool_calls"))
        shown = []
        for part in calls:
            if not isinstance(part, dict):
                shown.append(part)
            elif not _is_own(self._grown(part)):
                shown.append(self._closed_up(part))
        if shown == calls:
            return False
        delta["tool_calls"] = shown
        if not shown:
            del delta["tool_calls"]
        return True

    def _grown(self, part: dict[str, Any]) -> dict[str, Any]:
        """The call that a part belongs to, with it. Some providers say no index, or 0 of every call: there another id and
        name begin another call. An id alone may be made up for each part."""
        index, call_id = part.get("index"), part.get("id") if _name(part) else None
        newest = self._tool_calls[-1] if self._tool_calls else None
        call = self._by_index.get(index) if isinstance(index, int) else newest
        if call is None or (call_id and call.get("id") and call_id != call["id"]):
            function = part.get("function")
            call = {name: value for name, value in part.items() if name != "index"}
            call["function"] = dict(function) if isinstance(function, dict) else {}
            self._tool_calls.append(call)
        else:
            _extend(call, part)
        if isinstance(index, int):
            self._by_index[index] = call
        return call

    def _closed_up(self, part: dict[str, Any]) -> dict[str, Any]:
        """A part of a client's call with its index among those that the client sees."""
        index = part.get("index")
        if not isinstance(index, int):
            return part
        own = sum(one < index and _is_own(call) for one, call in self._by_index.items())
        return {**part, "index": index - own} if own else part

    def _chunk(self, document: dict[str, Any], choice: dict[str, Any]) -> bytes:
        return event({**document, **self._head, "choices": [choice]}, is_named=False)

    def next_round(self, said: Sequence[Said]) -> list[Any]:
        self._by_index = {}
        return super().next_round(said)

    def ending(self) -> bytes:
        choice = (bodies.items(self._finish.get("choices")) or [{"index": 0}])[0]
        reason = self._finish_reason(choice.get("finish_reason"))
        finish = self._finish
        if isinstance(finish.get("usage"), dict):  # some have no chunk of its own for it
            finish = {**finish, "usage": summed(self._usages)}
        last = self._chunk(finish, {**choice, "delta": {}, "finish_reason": reason})
        if self._usage_chunk is not None:
            chunk = {**self._usage_chunk, **self._head, "usage": summed(self._usages)}
            last += event(chunk, is_named=False)
        return last + DONE_EVENT

    def refused(self, body: bytes) -> bytes:
        return event({"error": error_of(body)}, is_named=False)


class ChatJson(_Completion):
    """An answer in one piece."""

    def __init__(self) -> None:
        super().__init__()
        self._body = b""
        self._completion: dict[str, Any] = {}
        self._id: Any = None

    def feed(self, chunk: bytes) -> bytes:
        self._body += chunk
        return b""

    def flush(self) -> bytes:
        body, self._body = self._body, b""
        completion = loaded(body) if body else None
        choices = bodies.items((completion or {}).get("choices"))
        message = choices[0].get("message") if len(choices) == 1 and isinstance(choices[0], dict) else None
        if completion is None or not isinstance(message, dict):
            return body
        self._completion = completion
        self._message = {name: value for name, value in message.items() if name != "tool_calls"}
        self._tool_calls = [call for call in bodies.items(message.get("tool_calls")) if isinstance(call, dict)]
        usage = completion.get("usage")
        self._usages.append(usage if isinstance(usage, dict) else {})
        self._id = self._id or completion.get("id")
        self._own(choices[0].get("finish_reason"))
        return b"" if self.is_held else body

    def ending(self) -> bytes:
        choice = self._completion["choices"][0]
        content = self._text + bodies.text(self._message.get("content"))
        message = {**self._message, "content": content or None}
        if self._visible():
            message["tool_calls"] = self._visible()
        reason = self._finish_reason(choice.get("finish_reason"))
        answer = {
            **self._completion,
            "id": self._id,
            "choices": [{**choice, "message": message, "finish_reason": reason}],
        }
        if any(self._usages):
            answer["usage"] = summed(self._usages)
        return splice.spelled(answer)

    def refused(self, body: bytes) -> bytes:
        return body


def _is_own(call: dict[str, Any]) -> bool:
    return _name(call) == TOOL_NAME


def _name(call: dict[str, Any]) -> str:
    function = call.get("function")
    return bodies.text(function.get("name")) if isinstance(function, dict) else ""


def _extend(call: dict[str, Any], part: dict[str, Any]) -> None:
    function = part.get("function")
    for name, value in (function if isinstance(function, dict) else {}).items():
        if isinstance(value, str):
            call["function"][name] = bodies.text(call["function"].get(name)) + value
