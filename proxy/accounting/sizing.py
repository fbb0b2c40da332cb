"""A prompt in the pieces that its provider caches, and how long each is to the model, in o200k tokens."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from headroom import tokens
from proxy.providers import anthropic, bodies
from proxy.values import Call, Dialect, Path

FRAME_TOKENS = 4
"""What a provider puts around each block: its role and delimiters."""
MEDIA_TOKENS = 1600
"""An image of about a megapixel, or a page of a document. Their bytes are not text, so nothing can be counted."""
MEDIA = frozenset({"image", "document", "image_url", "input_image", "input_file", "file", "input_audio"})
CALLS = frozenset(
    {
        "tool_use",
        "server_tool_use",
        "mcp_tool_use",
        "function",
        "function_call",
        "custom_tool_call",
        "local_shell_call",
        "shell_call",
        "apply_patch_call",
        "computer_call",
        "web_search_call",
        "file_search_call",
        "code_interpreter_call",
        "mcp_call",
        "mcp_list_tools",
    }
)
"""Calls of tools are written out for the model with all their fields, about as long as their JSON."""
SCHEMAS = frozenset({"additional_tools"})
"""Items that define tools, as the Responses API takes them beside `tools`."""
TAKEN_WHOLE = MEDIA | CALLS | SCHEMAS
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
    "stdout",
    "stderr",
)
"""The fields of blocks and messages that a model reads. Signatures, ids and encrypted items are not among them."""
THOUGHT = {
    "thinking": "signature",
    "redacted_thinking": "data",
    "reasoning": "encrypted_content",
    "reasoning.encrypted": "data",
    "compaction": "encrypted_content",
}
"""Where thinking is that only the provider can read. It is billed with the requests that bring it back."""
FOUND = {"web_search_result": "encrypted_content"}
"""The same of what the provider's own tools found; pictures and documents are counted with it."""
REFERENCES = frozenset({"item_reference"})
REFERENCED_TOKENS = 200
"""An item that the provider keeps and is only named here, usually something that the model thought or called."""
RESULT_TEXTS = frozenset({"text", "input_text"})
SEALED_CHARS_PER_TOKEN = 4
EXACT_CHARS = 2000
SAMPLES = 4
SAMPLE_CHARS = 500
"""Of longer texts some samples are counted: 1 or 2 % off, at a bounded cost."""
LAST_MESSAGES = 4
"""So many at either end of a history are always looked at."""
SAMPLED_EVERY = 8
ANSWERS = frozenset({"function_call", "custom_tool_call", "local_shell_call", "reasoning"})
"""Items of the Responses API that the model produced."""


@dataclass(slots=True)
class Layout:
    """A prompt as a row of units: Anthropic caches by content blocks, OpenAI (as far as we look) by messages.

    `lead` are the units before the messages, the first `schemas` of them definitions of tools. `starts` has the number of
    units before each message, and last their total. `prints` tell units apart, by their lengths for the most part.
    `marks` are the client's cache marks: units up to and with the marked one, and the ttl. `turn_ends` are the numbers of
    units before each answer of the model: what earlier requests ended with.
    """

    lead: list[Any]
    schemas: int
    messages: list[Any]
    is_blockwise: bool
    starts: array[int] = field(default_factory=lambda: array("L"))
    prints: array[int] = field(default_factory=lambda: array("q"))
    marks: list[tuple[int, str]] = field(default_factory=list)
    turn_ends: list[int] = field(default_factory=list)

    def shape(self) -> Layout:
        """The layout without what it is made of."""
        return Layout([], self.schemas, [], self.is_blockwise, self.starts, self.prints, [], self.turn_ends)

    @property
    def units(self) -> int:
        return len(self.prints)

    def unit_of(self, path: Path) -> int:
        """The unit that a text of a message is in. Within the message as it was read last: that it has more blocks by now
        may have been overlooked."""
        return self.units_of((path,))[0]

    def units_of(self, paths: Iterable[Path]) -> list[int]:
        """The same of several texts."""
        found: list[int] = []
        for path in paths:
            start = self.starts[int(path[1])]
            if self.is_blockwise and len(path) > 3:
                end = self.starts[int(path[1]) + 1]
                start = max(start, min(start + int(path[3]), end - 1))
            found.append(start)
        return found

    def values(self, first: int) -> Iterator[Any]:
        """The units from one on."""
        yield from self.lead[first:]
        message = max(0, bisect_right(self.starts, first) - 1)
        for value, start in zip(self.messages[message:], self.starts[message:], strict=False):
            yield from _blocks(value, self.is_blockwise)[max(0, first - start) :]


def layout(call: Call, dialect: Dialect, known: Layout | None = None, marks: int = 0) -> Layout:
    """The units of a request that was parsed.

    `known` is the layout of the conversation's last request, without what it is made of. Of the messages that it had, only
    the first and last ones and every eighth are looked at again, others from turn to turn, unless one of them has changed; and a
    mark further back is looked for where `marks`, their number, says that there is one.
    """
    document = call.document or {}
    tools = bodies.items(document.get("tools"))
    first = document.get("system" if dialect == "anthropic" else "instructions")
    rest = [first] if isinstance(first, str) and first else bodies.items(first)
    asked = document.get("messages", document.get("input"))
    messages = [asked] if isinstance(asked, str) else bodies.items(asked)
    drawn = Layout([*tools, *rest], len(tools), messages, dialect == "anthropic")
    automatic = anthropic.automatic(document) if drawn.is_blockwise else []
    for unit in drawn.lead:
        _draw(drawn, unit)
    if known is not None and _goes_on(drawn, known, _told(call, drawn)):
        drawn = _drawn(drawn, known, automatic)
        if len(drawn.marks) == marks or not drawn.is_blockwise:
            return drawn
    del drawn.prints[len(drawn.lead) :], drawn.starts[:], drawn.turn_ends[:]
    drawn.marks = [mark for mark in drawn.marks if mark[0] <= len(drawn.lead)]
    return _drawn(drawn, None, automatic)


def _drawn(drawn: Layout, known: Layout | None, automatic: list[str]) -> Layout:
    """A layout with its messages, the first of them as they are known. `automatic` is the ttl of a mark on the last block."""
    first = max(0, len(known.starts) - 1 - LAST_MESSAGES) if known is not None else 0
    if known is not None:
        drawn.starts, start = known.starts[:first], known.starts[first]
        drawn.prints = known.prints[:start]
        drawn.turn_ends = [end for end in known.turn_ends if end < start]
    for message in drawn.messages[first:]:
        drawn.starts.append(len(drawn.prints))
        if isinstance(message, dict) and (
            message.get("role") == "assistant" or bodies.text(message.get("type")) in ANSWERS
        ):
            drawn.turn_ends.append(len(drawn.prints))
        for block in _blocks(message, drawn.is_blockwise):
            _draw(drawn, block)
    drawn.starts.append(len(drawn.prints))
    _mark(drawn, automatic)
    return drawn


def _told(call: Call, drawn: Layout) -> Callable[[int], array[int]]:
    """The prints of each message: as they were asked for before, where its request repeats one."""
    read = _block_prints if drawn.is_blockwise else _item_prints
    history = call.history
    if history is not None and history.document.get(history.key) is drawn.messages:
        return history.told(read).__getitem__
    return lambda n: read(drawn.messages[n])


def _block_prints(message: Any) -> array[int]:
    return array("q", map(_print, _blocks(message, is_blockwise=True)))


def _item_prints(item: Any) -> array[int]:
    return array("q", [_print(item)])


def _goes_on(drawn: Layout, known: Layout, prints: Callable[[int], array[int]]) -> bool:
    """Whether the first messages look like those that are known."""
    lead, count = len(drawn.lead), len(known.starts) - 1
    if len(drawn.messages) < count or drawn.prints != known.prints[:lead] or known.starts[0] != lead:
        return False
    sampled = range(len(drawn.messages) % SAMPLED_EVERY, count - LAST_MESSAGES, SAMPLED_EVERY)
    for n in (*range(min(LAST_MESSAGES, count)), *sampled):
        if prints(n) != known.prints[known.starts[n] : known.starts[n + 1]]:
            return False
    return True


def _blocks(message: Any, is_blockwise: bool) -> list[Any]:
    if not is_blockwise or not isinstance(message, dict):
        return [message]
    content = message.get("content")
    return content if isinstance(content, list) else [{"type": "text", "text": content}]


def _draw(drawn: Layout, unit: Any) -> None:
    drawn.prints.append(_print(unit))
    if drawn.is_blockwise:
        _mark(drawn, anthropic.ttls(unit))


def _mark(drawn: Layout, ttls: list[str]) -> None:
    drawn.marks.extend((len(drawn.prints), "1h" if ttl == "1h" else "5m") for ttl in ttls)


def _print(unit: Any) -> int:
    """Tells whether a unit is the one that stood there before. Not every change is seen: this is for explaining what a
    provider reports, and costs less than reading a history of megabytes once more."""
    if not isinstance(unit, dict):
        return len(unit) if isinstance(unit, str) else 0
    marker = unit.get("id") or unit.get("tool_use_id") or unit.get("tool_call_id") or unit.get("call_id")
    told = unit.get("content") or unit.get("text") or unit.get("output") or unit.get("thinking")
    if isinstance(told, list) and told and isinstance(told[0], dict):
        told = told[0].get("text")
    length = len(told) if isinstance(told, str | list) else 0
    return hash((marker if isinstance(marker, str) else unit.get("name") or "", length)) >> 16


def size_of(value: Any, *, is_schema: bool = False, count: Callable[[str], int] = tokens.count) -> int:
    """o200k tokens of one block or message, its frame included. Definitions of tools are read as JSON."""
    if is_schema:
        return FRAME_TOKENS + count(bodies.dumped(value))
    return FRAME_TOKENS + sum(map(count, texts(value))) + sum(map(shown, media(value)))


def legible(value: Any, *, is_schema: bool = False, is_result: bool = False) -> int:
    """About the same without pictures and documents, and of a tool's result what stands beside its texts."""
    if is_schema:
        return FRAME_TOKENS + sampled(bodies.dumped(value))
    return FRAME_TOKENS + sum(map(sampled, _beside_results(value) if is_result else texts(value)))


def _beside_results(value: Any) -> Iterator[str]:
    """What stands beside the texts in a tool's result, such as findings of a search."""
    if isinstance(value, dict):
        for part in (*bodies.items(value.get("content")), *bodies.items(value.get("output"))):
            if isinstance(part, dict) and bodies.text(part.get("type")) not in RESULT_TEXTS:
                yield from texts(part)


def sealed(value: Any) -> tuple[int, int]:
    """About how many tokens of thinking, and of what was found or is to be looked at, a block or item has that only the
    provider can count."""
    if not isinstance(value, dict):
        return 0, 0
    thought = REFERENCED_TOKENS * (bodies.text(value.get("type")) in REFERENCES)
    found = sum(map(shown, media(value)))
    for part in (value, *bodies.items(value.get("content")), *bodies.items(value.get("reasoning_details"))):
        if isinstance(part, dict):
            kind = bodies.text(part.get("type"))
            thought += len(bodies.text(part.get(THOUGHT.get(kind, "")))) // SEALED_CHARS_PER_TOKEN
            found += len(bodies.text(part.get(FOUND.get(kind, "")))) // SEALED_CHARS_PER_TOKEN
    return thought, found


def sampled(text: str) -> int:
    """About how many tokens a text is, at a cost that does not grow with it."""
    if len(text) <= EXACT_CHARS:
        return tokens.count(text)
    step = len(text) // SAMPLES
    counted = sum(tokens.count(text[start : start + SAMPLE_CHARS]) for start in range(0, step * SAMPLES, step))
    return counted * len(text) // (SAMPLES * SAMPLE_CHARS)


def texts(value: Any) -> Iterator[str]:
    """The texts that a model reads in a block, without documents."""
    for part in _parts(value):
        if isinstance(part, str):
            yield part
        elif (kind := bodies.text(part.get("type"))) in CALLS:
            yield bodies.dumped(part)
        elif kind in SCHEMAS:
            yield bodies.dumped(part.get("tools"))


def media(value: Any) -> Iterator[dict[str, Any]]:
    """The pictures and documents in a block."""
    return (part for part in _parts(value) if isinstance(part, dict) and bodies.text(part.get("type")) in MEDIA)


def shown(media: dict[str, Any]) -> int:
    """About how many tokens a picture or document is."""
    source = media.get("source")
    told = source.get("data") if isinstance(source, dict) and source.get("type") == "text" else None
    return sampled(told) if isinstance(told, str) else MEDIA_TOKENS


def _parts(value: Any) -> Iterator[str | dict[str, Any]]:
    """A block in its texts, and in those parts of it that are to be taken whole, in order."""
    ahead = [value]
    while ahead:
        part = ahead.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, list):
            ahead += reversed(part)
        elif not isinstance(part, dict):
            continue
        elif bodies.text(part.get("type")) in TAKEN_WHOLE:
            yield part
        else:
            ahead += (part[key] for key in reversed(PARTS) if part.get(key))
