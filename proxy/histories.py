"""Conversations come back: each request says again what the one before it said, and a little more.

What a body repeats, byte for byte, is not read again: the parsed entries of its list, what was found out about each, and
how each went out. Everything here is a pure function of bytes, so a request comes out the same whether its beginning is
remembered or not. A body that is in any way unusual is read and edited as a whole, each time.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import orjson

from proxy import places, splice
from proxy.places import Span
from proxy.splice import Beside
from proxy.values import Call, History, Item, Path

MIN_BYTES = 4_096
"""Smaller bodies are read as quickly as they are looked up."""
MAX_HELD_BYTES = 96 * 1024 * 1024
HELD_PER_BYTE = 6
"""What a body takes up, parsed and edited, in times its own length: of recorded sessions 3 to 6."""
LOOSE_ITEMS = 6
"""So many last items may change from one request to the next: agents move their cache marks, and add reminders."""
WINDOW_BYTES = 256
"""A body is known again by so many bytes before its loose items, and then compared from its first byte on."""

Name = tuple[str, str, int, bytes]
"""Whose body it is, the key of its list, where its loose items begin, and the bytes before them."""


def read(body: bytes, key: str) -> History | None:
    """A body by itself; `None` when it is no JSON object."""
    try:
        document, is_plain = orjson.loads(body), True
    except ValueError:
        try:
            document, is_plain = splice.loads(body), False
        except ValueError:
            return None
    if not isinstance(document, dict):
        return None
    values = document.get(key)
    if not isinstance(values, list):
        return History(body, key, document)
    # What the quick parser refuses may be something else in pieces, and a number ends only where the byte behind it says.
    if is_plain and len(body) >= MIN_BYTES and _are_objects(values):
        members = _once(places.members(body, document))
        if members is not None:
            spans, _ = places.entries(body, values, members[key][0] + 1)
            return History(body, key, document, tuple(map(Item, values, spans)), members)
    return History(body, key, document, tuple(map(Item, values)))


def edited(call: Call, replacements: Mapping[Path, str], *, beside: Beside = splice.NOTHING) -> bytes:
    """The body of a call with strings of its conversation replaced, as `splice.replace` does it, item by item where they
    can be told apart. Raises splice.Unspliceable."""
    history = call.history
    if history is None or not history.members:
        return splice.replace(call.body, call.document, replacements, beside=beside)
    if not replacements and not beside:
        return call.body
    edits: dict[str | int, dict[Path, str]] = {}
    for path, text in replacements.items():
        if (texts := edits.get(path[1])) is None:
            texts = edits[path[1]] = {}
        texts[path[2:]] = text
    more: dict[str | int, dict[Path, Mapping[str, Any]]] = {}
    for path, added in beside.items():
        more.setdefault(path[1], {})[path[2:]] = added
        edits.setdefault(path[1], {})
    spans: list[tuple[int, int, bytes]] = []
    for n, texts in edits.items():
        item = history.items[int(n)]
        wanted = texts, more.get(n, splice.NOTHING)
        if item.edits != wanted:
            start, end = item.span
            item.edited = splice.replace(call.body[start:end], item.value, texts, beside=wanted[1])
            item.edits = wanted
        spans.append((*item.span, item.edited))
    return splice.exchanged(call.body, spans)


class Histories:
    """The conversations that this worker read last, each as its last request left it; bounded in bytes.

    What one owner sent is never looked for in what another one did.
    """

    def __init__(self, max_held_bytes: int = MAX_HELD_BYTES) -> None:
        self._max_held_bytes = max_held_bytes
        self._held_bytes = 0
        self._known: OrderedDict[Name, History] = OrderedDict()
        self._places: dict[tuple[str, str], Counter[int]] = {}

    def read(self, owner: str, body: bytes, key: str) -> History | None:
        """A body as `read` has it, by what is remembered of it."""
        if len(body) < MIN_BYTES:
            return read(body, key)
        name = self._find(owner, body, key)
        history = _continued(self._forget(name), body) if name is not None else None
        history = history or read(body, key)
        if history is not None and history.members and history.items:
            self._remember(owner, history)
        return history

    def _find(self, owner: str, body: bytes, key: str) -> Name | None:
        """The name of the history whose firm items are the most that this body begins with."""
        whole = memoryview(body)  # a copy of what is compared would take longer than comparing it
        for place in sorted(self._places.get((owner, key), ()), reverse=True):
            name = (owner, key, place, body[max(0, place - WINDOW_BYTES) : place])
            if name in self._known and self._known[name].body.startswith(whole[:place]):
                return name
        return None

    def _remember(self, owner: str, history: History) -> None:
        place = history.items[_firm(history) - 1].span[1]
        name = (owner, history.key, place, history.body[max(0, place - WINDOW_BYTES) : place])
        if name in self._known:
            self._forget(name)
        self._known[name] = history
        self._places.setdefault(name[:2], Counter())[place] += 1
        self._held_bytes += HELD_PER_BYTE * len(history.body)
        while self._held_bytes > self._max_held_bytes:
            self._forget(next(iter(self._known)))

    def _forget(self, name: Name) -> History:
        history = self._known.pop(name)
        self._held_bytes -= HELD_PER_BYTE * len(history.body)
        counted = self._places[name[:2]]
        counted[name[2]] -= 1
        if not counted[name[2]]:
            del counted[name[2]]
        if not counted:
            del self._places[name[:2]]
        return history


def _firm(history: History) -> int:
    """The number of items that are not loose, at least one."""
    return max(1, len(history.items) - LOOSE_ITEMS)


def _continued(known: History, body: bytes) -> History | None:
    """A body that begins with the firm items of a known one. `None` where it has to be read as a whole."""
    count = _firm(known)
    end = known.items[count - 1].span[1]
    for item in known.items[count:]:
        if not body.startswith(known.body[end : item.span[1]], end):
            break
        count, end = count + 1, item.span[1]
    kept = known.items[:count]
    try:
        return _with_same_end(known, kept, body) or _with_new_end(known, kept, body)
    except ValueError:
        return None


def _with_same_end(known: History, kept: tuple[Item, ...], body: bytes) -> History | None:
    """The history if everything behind the list is as it was; then only what is between decides whether it is JSON."""
    start, stop = known.members[known.key]
    end, tail = kept[-1].span[1], known.body[stop - 1 :]
    new_stop = len(body) - len(tail) + 1
    if new_stop <= end or not body.endswith(tail):
        return None
    # A scalar stands for the items that are known, so that commas count as they do there.
    values = orjson.loads(b'{"":[0%b]}' % body[end : new_stop - 1])[""]
    if not isinstance(values, list) or not _are_objects(values[1:]):
        return None
    spans, found_stop = places.entries(body, values[1:], end)
    if found_stop != new_stop:  # the list ends earlier, and something else follows
        return None
    moved = new_stop - stop
    members = {
        name: span if span[1] <= start else (span[0] + moved, span[1] + moved) for name, span in known.members.items()
    }
    members[known.key] = start, new_stop
    return _joined(replace(known, body=body, members=members), kept, values[1:], spans)


def _with_new_end(known: History, kept: tuple[Item, ...], body: bytes) -> History | None:
    """The history if only what stands before the list is as it was."""
    start, end = known.members[known.key][0], kept[-1].span[1]
    document = orjson.loads(b"%b0%b" % (body[: start + 1], body[end:]))
    values = document[known.key]
    if not isinstance(values, list) or not _are_objects(values[1:]):
        return None
    spans, stop = places.entries(body, values[1:], end)
    ahead = [(name, span) for name, span in known.members.items() if span[1] <= start]
    members = _once([*ahead, (known.key, (start, stop)), *places.members(body, document, stop)])
    if members is None:
        return None
    return _joined(replace(known, body=body, document=document, members=members), kept, values[1:], spans)


def _joined(history: History, kept: tuple[Item, ...], values: list[Any], spans: list[Span]) -> History:
    """A history with new items behind those of its own that stay."""
    items = (*kept, *map(Item, values, spans))
    document = {**history.document, history.key: [item.value for item in items]}
    known = {read: found[: len(kept)] for read, found in history.known.items()}
    return replace(history, document=document, items=items, known=known)


def _once(members: Iterable[tuple[str, Span]]) -> dict[str, Span] | None:
    """The members by name, `None` when a name comes twice."""
    listed = list(members)
    named = dict(listed)
    return named if len(named) == len(listed) else None


def _are_objects(values: list[Any]) -> bool:
    return all(isinstance(value, dict) for value in values)
