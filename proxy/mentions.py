"""What a conversation speaks of: the names in the model's own words and calls, and the files that the user named."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from proxy.providers import bodies
from proxy.values import Call

MAX_WORDS = 48
MAX_TALK_CHARS = 200_000
_WORD = re.compile(r"[A-Za-z_][\w-]*(?:[./:][\w-]+)*|\d[\w.]{3,}")
_MIN_WORD_CHARS = 4
_TELLING = re.compile(r"[\d_./:-]|[a-z][A-Z]")
_ITEM_CALLS = frozenset(["function_call", "custom_tool_call", "local_shell_call"])


def talk(document: dict[str, Any]) -> list[str]:
    """What the model said and called, one text for every answer, in order; its thinking is left out."""
    said: list[str] = []
    is_open = False
    for entry in _entries(document):
        if entry.get("role") == "assistant":
            text = "\n".join([*_texts(entry.get("content")), *_calls(entry)])
        elif bodies.text(entry.get("type")) in _ITEM_CALLS or entry.get("type") == "reasoning":
            text = "\n".join(bodies.dumped(entry.get(key)) for key in ("arguments", "input", "action") if key in entry)
        else:
            is_open = False
            continue
        is_item = "type" in entry and entry.get("type") != "message" or bool(is_open)
        if is_open and is_item:
            said[-1] = f"{said[-1]}\n{text}"
        else:
            said.append(text)
        is_open = "input" in document
    return said


def asked(call: Call) -> list[str]:
    """What the user wrote, all of it."""
    return list(chain.from_iterable(bodies.told(call, _key(call.document or {}), _asked)))


def _asked(entry: Any) -> list[str]:
    is_users = isinstance(entry, dict) and entry.get("role") == "user"
    return list(_texts(entry.get("content"))) if is_users else []


def words(text: str, said: Sequence[str]) -> tuple[str, ...]:
    """The names in a result that were spoken of since, the most telling first, at most `MAX_WORDS`."""
    spoken: set[str] = set()
    room_chars = MAX_TALK_CHARS
    for part in reversed(said):
        spoken |= _spoken(part[:room_chars])
        room_chars -= len(part)
        if room_chars <= 0:
            break
    common = [word for word in dict.fromkeys(_names(text)) if word in spoken] if spoken else []
    common.sort(key=lambda word: (not _TELLING.search(word), -len(word), word))
    return tuple(common[:MAX_WORDS])


@lru_cache(maxsize=512)
def _spoken(part: str) -> frozenset[str]:
    """The names in what was said; looked for once for all results that it came after."""
    return frozenset(_names(part))


def _names(text: str) -> Iterable[str]:
    return (word for word in _WORD.findall(text) if len(word) >= _MIN_WORD_CHARS)


def _entries(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (entry for entry in bodies.items(document.get(_key(document))) if isinstance(entry, dict))


def _key(document: dict[str, Any]) -> str:
    return "messages" if "messages" in document else "input"


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    for part in bodies.items(content):
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            yield part["text"]


def _calls(entry: dict[str, Any]) -> Iterator[str]:
    for part in bodies.items(entry.get("content")):
        if isinstance(part, dict) and part.get("type") == "tool_use":
            yield bodies.dumped(part.get("input"))
    for call in bodies.items(entry.get("tool_calls")):
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            yield bodies.text(function.get("arguments"))
