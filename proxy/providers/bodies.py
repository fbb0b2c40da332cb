"""What all dialects share: JSON bodies read without trust."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, TypeVar

import orjson

from proxy import splice
from proxy.values import Call, History, Path, Reading, ToolResult

T = TypeVar("T")

MAX_KEPT_BYTES = 4 * 1024 * 1024
"""Longer JSON answers (embeddings, images) are read from their tail, where every provider puts `usage`."""
TAIL_BYTES = 64 * 1024


def load_object(body: bytes) -> dict[str, Any] | None:
    """The body as a JSON object, or `None` when it is anything else."""
    try:
        document = splice.loads(body)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def text(value: Any) -> str:
    """A string as it is, anything else as "" (clients send what they like)."""
    return value if isinstance(value, str) else ""


def count(value: Any) -> int | None:
    """A token count, or `None` when the provider did not give a sensible one. Zero is a count."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def dumped(value: Any) -> str:
    """A JSON value as compact text, however deeply it is nested."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # lone surrogates, integers over 64 bits, more than 254 levels
        try:
            return json.dumps(value, separators=(",", ":"))
        except RecursionError:
            return "".join(_spelled(value))


def _spelled(value: Any) -> Iterator[str]:
    """The pieces of the text, without recursion. What is in a tuple is spelled already."""
    ahead = [value]
    while ahead:
        match ahead.pop():
            case (str(piece),):
                yield piece
            case dict() as members:
                yield "{"
                ahead.append(("}",))
                for n, (name, part) in reversed(list(enumerate(members.items()))):
                    ahead += part, (f"{',' * (n > 0)}{json.dumps(name)}:",)
            case list() as parts:
                yield "["
                ahead.append(("]",))
                for n, part in reversed(list(enumerate(parts))):
                    ahead += part, ("," * (n > 0),)
            case scalar:
                yield json.dumps(scalar)


_TIERS = frozenset(("batch", "fast", "flex", "priority"))
_STANDARD = frozenset(("default", "standard", "standard_only"))


def tier(*named: Any) -> str:
    """The service tier among what a request or an answer names it in, "standard" where it says so, "" where it does not."""
    given = [value for value in named if isinstance(value, str)]
    special = [value for value in given if value in _TIERS]
    return special[0] if special else "standard" if any(value in _STANDARD for value in given) else ""


OPAQUE_CHARS = 6000
"""What an image or a document counts for: providers bill them by area, not by the length of their base64."""


def items(value: Any) -> list[Any]:
    """A list as it is, anything else as an empty one."""
    return value if isinstance(value, list) else []


@dataclass(slots=True)
class Said:
    """What one entry of a conversation brings: calls of tools by their ids, and texts that answer some.

    An answer has its path from the entry on, its text, the id of its call, a name of the tool where no call has one, and
    room for what is found out about it. `is_answer`: the model said it.
    """

    is_answer: bool = False
    calls: dict[str, tuple[str, str]] = field(default_factory=dict)
    answers: list[tuple[Path, str, str, str, dict[Any, str]]] = field(default_factory=list)

    def call(self, call_id: str, tool: str, arguments: str) -> None:
        self.calls[call_id] = tool, arguments

    def answer(self, path: Path, text: str, call_id: str, tool: str = "") -> None:
        self.answers.append((path, text, call_id, tool, {}))


def told(call: Call, key: str, read: Callable[[Any], T]) -> list[T]:
    """What a pure function says about each entry of the list at `key`; quick where it was asked before."""
    if call.history is not None:
        return call.history.told(read)
    return [read(entry) for entry in items((call.document or {}).get(key))]


def results(history: History, said: Sequence[Said], begins: Sequence[bool]) -> tuple[ToolResult, ...]:
    """The tool results of a conversation. `begins` says which entries begin an answer of the model."""
    placed: list[list[tuple[Path, str, str, str, str, int, dict[Any, str]]]] = history.known.setdefault(results, [])
    known = len(
        placed
    )  # entries that an earlier request had; what their texts answer stands before them, and is as it was
    calls: dict[str, tuple[str, str]] = {}
    for one in said[:known]:
        if one.calls:
            calls |= one.calls
    answers = sum(begins[:known])
    for n, one in enumerate(said[known:], known):
        answers += begins[n]
        calls |= one.calls
        placed.append(
            [
                ((history.key, n, *path), text, call_id, *(calls.get(call_id) or (name, "")), answers, found)
                for path, text, call_id, name, found in one.answers
            ]
        )
    turns = sum(begins)
    return tuple(
        [
            ToolResult(path, text, call_id, tool, arguments, turns - at, found)
            for path, text, call_id, tool, arguments, at, found in chain.from_iterable(placed)
        ]
    )


BLOCK_CHARS = 20
"""What a block costs beside its text."""
_TOLD = ("content", "text", "output")
_CALLS = frozenset(["tool_use", "function_call", "custom_tool_call"])
OPAQUE = frozenset(["image", "image_url", "input_image", "document", "input_file", "input_audio"])


def size(value: Any) -> int:
    """About how many characters of text a JSON value is to the model."""
    chars, ahead = 0, [value]
    while ahead:
        part = ahead.pop()
        if isinstance(part, str):
            chars += len(part)
        elif isinstance(part, list):
            chars += len(part)
            ahead += part
        elif not isinstance(part, dict):
            chars += 4
        elif (kind := text(part.get("type"))) == "text" and isinstance(part.get("text"), str):
            chars += len(part["text"]) + BLOCK_CHARS
        elif kind in _CALLS:
            chars += len(dumped(part))
        elif kind in OPAQUE:
            chars += OPAQUE_CHARS
        else:
            # Nearly all there is to a message are these; the rest is counted as the JSON that it is, which no loop here could do as fast.
            ahead += (part[key] for key in _TOLD if part.get(key) is not None)
            chars += len(dumped({key: value for key, value in part.items() if key not in _TOLD}))
    return chars


class JsonMeter:
    """Reads one JSON answer at its end. `read` turns the parsed object into a reading."""

    def __init__(self, read: Callable[[dict[str, Any]], Reading]) -> None:
        self._read = read
        self._chunks: list[bytes] = []
        self._kept_bytes = 0
        self._is_cut = False

    def feed(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._kept_bytes += len(chunk)
        if self._kept_bytes > MAX_KEPT_BYTES:
            self._is_cut = True
            self._chunks = [b"".join(self._chunks)[-TAIL_BYTES:]]
            self._kept_bytes = len(self._chunks[0])

    def reading(self) -> Reading:
        body = b"".join(self._chunks)
        if self._is_cut:
            usage = _last_usage(body)
            return self._read({"usage": usage} if usage else {})
        answer = load_object(body)
        # What is no JSON (a file, speech) has no end of its own to look for: the connection vouches for it.
        return self._read(answer) if answer is not None else Reading(is_complete=body.lstrip()[:1] not in (b"{", b"["))


def _last_usage(tail: bytes) -> dict[str, Any] | None:
    start = tail.rfind(b'"usage"')
    opening = tail.find(b"{", start)
    if start < 0 or opening < 0:
        return None
    try:
        usage, _ = json.JSONDecoder().raw_decode(tail[opening:].decode("utf-8", "replace"))
    except ValueError:
        return None
    return usage if isinstance(usage, dict) else None
