"""Replace strings inside a JSON document without touching another byte of it.

Re-serialising would change number spellings, key order, escapes and duplicate keys, and with them what the provider's
prompt cache sees. So the old string is found as it is spelled in the body and only those bytes are exchanged. A guess
where it stands is checked by parsing the outcome; if it was wrong, an exact scan finds the place.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import orjson

from proxy import places
from proxy.places import TOKEN
from proxy.values import Path


class Unspliceable(ValueError):
    """The strings could not be replaced without touching anything else, e.g. because a key occurs twice."""


def loads(body: bytes) -> Any:
    """Parse as leniently as clients write: lone surrogates and NaN are let through. Raises ValueError."""
    try:
        return orjson.loads(body)
    except ValueError:
        try:
            # As text: from bytes, json would also take UTF-16 and UTF-32, in which no string could be found again.
            return json.loads(body.decode())
        except RecursionError as exc:
            raise ValueError("nested too deeply") from exc


_LONG_NUMBER = re.compile(rb"[0-9]{19}")
"""Of this length on, an integer may be more than 64 bits hold."""


def loads_exactly(body: bytes) -> Any:
    """The same, for what is to be spelled again: with all digits of integers beyond 64 bits, which `loads` makes floats of."""
    if _LONG_NUMBER.search(body):
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(body.decode())
    return loads(body)


BEGINNING_BYTES = 64
BEGINNINGS = 16
"""So many places are looked at that begin alike."""

Beside = Mapping[Path, Mapping[str, Any]]
"""Members to add to an object, right behind the string of its that stands at a path."""
NOTHING: Beside = MappingProxyType({})


def replace(body: bytes, document: Any, replacements: Mapping[Path, str], *, beside: Beside = NOTHING) -> bytes:
    """Return `body` with the strings at the given paths of its `document` replaced. Raises Unspliceable.

    A path in `beside` that is not replaced keeps its string.
    """
    if not replacements and not beside:
        return body
    wanted = {path: replacements.get(path) for path in (*replacements, *beside)}
    edits = {
        path: _Edit(text if text is not None else at(document, path), beside.get(path, {}))
        for path, text in wanted.items()
    }
    guess = _by_search(body, document, edits)
    if guess is not None and _holds(guess, document, edits):
        return guess
    exact = _by_scan(body, edits)
    if exact is not None and _holds(exact, document, edits):
        return exact
    raise Unspliceable(f"{len(edits)} strings cannot be told apart from the rest of the body")


@dataclass(frozen=True, slots=True)
class _Edit:
    """A string and the members to write behind it."""

    text: str
    members: Mapping[str, Any]

    def spelled(self) -> bytes:
        added = orjson.dumps(dict(self.members))[1:-1] if self.members else b""
        return spelled(self.text) + (b"," + added if added else b"")


def at(document: Any, path: Path) -> Any:
    """The value at a path."""
    for step in path:
        document = document[step]
    return document


def spelled(value: Any) -> bytes:
    """A JSON value in UTF-8; escapes only where JSON demands them, or UTF-8 has no other way. Raises TypeError, ValueError."""
    try:
        return orjson.dumps(value)
    except (TypeError, ValueError):  # a lone surrogate has no UTF-8
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")


def _holds(body: bytes, document: Any, edits: Mapping[Path, _Edit]) -> bool:
    """Whether a body says what was meant: with every edit in its place, and the document once they are taken back."""
    try:
        parsed = loads(body)
        for path, edit in edits.items():
            holder, before, last = at(parsed, path[:-1]), at(document, path[:-1]), path[-1]
            if holder[last] != edit.text or any(holder[name] != value for name, value in edit.members.items()):
                return False
            holder[last] = before[last]
            for name in edit.members:
                del holder[name]
                if name in before:
                    holder[name] = before[name]
        return bool(parsed == document)
    except (ValueError, RecursionError, LookupError, TypeError):
        return False


def _means(body: bytes, meant: Any) -> bool:
    try:
        return bool(loads_exactly(body) == meant)
    except (ValueError, RecursionError):
        return False


def _by_search(body: bytes, document: Any, edits: Mapping[Path, _Edit]) -> bytes | None:
    """Look for each string in the two spellings that nearly all clients use; parsers list results in body order."""
    spans: list[tuple[int, int, bytes]] = []
    cursor = 0
    for path in sorted(edits):
        edit, old = edits[path], at(document, path)
        if edit.members:  # it keeps its string, which is short and may stand elsewhere too: look for its key as well
            found = _found(body, [b'"%b":%b%b' % (str(path[-1]).encode(), gap, spelled(old)) for gap in (b"", b" ")], 0)
            found = found and (found[1] - len(spelled(old)), found[1])
        else:
            found = _found(body, _spellings(old), cursor)
            cursor = found[1] if found else cursor
        if not found:
            return None
        spans.append((*found, edit.spelled()))
    return exchanged(body, spans)


def _spellings(text: str) -> Iterator[bytes]:
    """One after the other, as the second is seldom needed and takes as long as all the rest."""
    yield spelled(text)
    yield json.dumps(text).encode("ascii")


def _found(body: bytes, spellings: Iterable[bytes], start: int) -> tuple[int, int] | None:
    for spelling in spellings:
        position = _position(body, spelling, start)
        if position >= 0:
            return position, position + len(spelling)
    return None


def _position(body: bytes, wanted: bytes, start: int) -> int:
    """Where it stands first. Looking for its beginning is much quicker, as `find` prepares itself for the whole of it."""
    beginning = wanted[:BEGINNING_BYTES]
    for _ in range(BEGINNINGS):
        start = body.find(beginning, start)
        if start < 0 or body.startswith(wanted, start):
            return start
        start += 1
    return body.find(wanted, start)


def exchanged(body: bytes, spans: Iterable[tuple[int, int, bytes]]) -> bytes:
    """The body with these spans of it exchanged: (start, end, what takes its place)."""
    pieces: list[bytes | memoryview] = []
    whole, cursor = memoryview(body), 0  # so that each byte is copied once
    for start, end, new in sorted(spans):
        pieces += (whole[cursor:start], new)
        cursor = end
    pieces.append(whole[cursor:])
    return b"".join(pieces)


def _by_scan(body: bytes, edits: Mapping[Path, _Edit]) -> bytes | None:
    """Find the exact span of every wanted string by walking the document token by token."""
    spans = _spans(body, set(edits))
    if spans.keys() != set(edits):
        return None
    return exchanged(body, [(*span, edits[path].spelled()) for path, span in spans.items()])


def _spans(body: bytes, wanted: set[Path]) -> dict[Path, tuple[int, int]]:
    """Byte spans of string values by path. With a duplicate key the last one counts, as it does for parsers."""
    spans: dict[Path, tuple[int, int]] = {}
    steps: list[str | int] = []  # the key or index at which we stand, one for each open object or array
    is_object: list[bool] = []
    expects_key = False
    for match in TOKEN.finditer(body):
        token = match.group()
        lead = token[:1]
        if lead == b"{" or lead == b"[":
            expects_key = lead == b"{"
            is_object.append(expects_key)
            steps.append("" if expects_key else 0)
        elif lead == b"}" or lead == b"]":
            if not steps:
                return {}
            steps.pop(), is_object.pop()
            expects_key = False
        elif lead == b"," and steps:
            expects_key = is_object[-1]
            steps[-1] = "" if expects_key else int(steps[-1]) + 1
        elif lead == b'"':
            if expects_key:
                steps[-1], expects_key = json.loads(token), False
            elif tuple(steps) in wanted:
                spans[tuple(steps)] = match.span()
    return spans


@dataclass(frozen=True, slots=True)
class Edit:
    """Items [start, end) of a list, and what takes their place; with start = end it is put before that item."""

    start: int
    end: int
    items: tuple[Any, ...]


def replace_items(body: bytes, key: str, edits: Sequence[Edit]) -> bytes:
    """Return `body` with these edits made in the list at `key`, and no other byte touched. Raises Unspliceable."""
    try:
        document = loads_exactly(body)
        items = document[key]
    except (ValueError, KeyError, TypeError) as exc:
        raise Unspliceable(f"there is no list {key!r}") from exc
    if not isinstance(items, list) or not items:
        raise Unspliceable(f"there is nothing in {key!r}")
    start, end = dict(places.members(body, document))[key]
    spans, _ = places.entries(body, items, start + 1)
    meant: list[Any] = []
    pieces: list[bytes] = []
    cursor, done = 0, 0
    for edit in sorted(edits, key=lambda one: (one.start, one.end)):
        new = [_spelled_whole(item) for item in edit.items]
        meant += [*items[done : edit.start], *edit.items]
        if edit.start == len(items):
            pieces += (body[cursor : spans[-1][1]], *(b"," + item for item in new))
            cursor = spans[-1][1]
        elif edit.start == edit.end:
            pieces += (body[cursor : spans[edit.start][0]], *(item + b"," for item in new))
            cursor = spans[edit.start][0]
        else:
            pieces += (body[cursor : spans[edit.start][0]], b",".join(new))
            cursor = spans[edit.end - 1][1]
        done = edit.end
    meant += items[done:]
    edited = b"".join((*pieces, body[cursor:end]))
    if not _means(edited[start:], meant):
        raise Unspliceable("the edit would change more than was meant")
    return edited + body[end:]


def _spelled_whole(value: Any) -> bytes:
    try:
        return spelled(value)
    except (TypeError, ValueError) as exc:
        raise Unspliceable("what takes the place cannot be spelled") from exc
