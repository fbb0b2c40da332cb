"""Turns in which the model called our tool: what the client saw of them, and what the provider saw.

The client keeps its own history, without our calls. When it comes back, each such turn is put together again as the
provider knows it: the same bytes for its prompt cache, signatures where they were. A turn is recognised by what matters of
it and by its place among the answers, as models say "Done." more than once; where nothing is recorded, or the client changed
it, it goes out as the client sent it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

import orjson

from proxy import splice
from proxy.decisions import pack, unpack
from proxy.models import RetrievalOffer, RetrievalTurn
from proxy.providers import bodies
from proxy.splice import Edit
from proxy.values import Call
from proxy.window import records, units

TOUCH_AFTER = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer of the model as the client saw it, and the rounds behind it.

    `rounds` are the messages of each round as they were sent, `shown` how much of the client's view each of them is
    (blocks or items; characters of a chat message). `last_calls` are calls of ours in the last answer, beside the client's
    own or beyond what is looked up in a row, each with its place, and `results` the messages or blocks that answer them.
    """

    rounds: tuple[tuple[Any, ...], ...] = ()
    shown: tuple[int, ...] = ()
    last_calls: tuple[tuple[int, Any], ...] = ()
    results: tuple[Any, ...] = ()


def root(call: Call, route: str) -> str:
    """What a conversation is found by: everything before the model's first answer."""
    items = _items(call, route)
    first = next((start for start, _ in _answers(items, route)), len(items))
    return records.digest(items[:first])


def newest(call: Call, route: str) -> str:
    """The identity of the model's newest answer, "" before the first."""
    items = _items(call, route)
    spans = list(_answers(items, route))
    return identity(items[slice(*spans[-1])], route, len(spans) - 1) if spans else ""


def answers(call: Call, route: str) -> int:
    """How many answers of the model a conversation has."""
    return sum(1 for _ in _answers(_items(call, route), route))


def identity(answer: Sequence[Any], route: str, place: int) -> str:
    """A digest of what matters of an answer with so many before it: clients add and leave out fields when they send it back."""
    essence: list[Any] = [place, *(part for item in answer for part in _essence(item, route))]
    try:
        spelled = orjson.dumps(essence, option=orjson.OPT_SORT_KEYS)
    except (TypeError, ValueError):
        spelled = repr(essence).encode("utf-8", "surrogatepass")
    return blake2b(spelled, digest_size=16).hexdigest()


def rejoined(
    items: Sequence[Any], route: str, known: dict[str, Turn], gone: frozenset[int] = frozenset()
) -> list[Edit]:
    """The edits that put our calls back into a conversation, in the place where the provider saw them. Turns that touch an
    item which is `gone` stay as the client has them: a call and its result stand in two items."""
    edits: list[Edit] = []
    for place, (start, end) in enumerate(_answers(items, route) if known else ()):
        turn = known.get(identity(items[start:end], route, place))
        if turn is not None:
            made = _EDITS[route](items, start, end, turn)
            if gone.isdisjoint(n for edit in made for n in range(edit.start, edit.end)):
                edits += made
    return edits


def _items(call: Call, route: str) -> list[Any]:
    value = (call.document or {}).get("input" if route == "/v1/responses" else "messages")
    return [value] if isinstance(value, str) else bodies.items(value)


def _answers(items: Sequence[Any], route: str) -> Iterator[tuple[int, int]]:
    """Where answers of the model stand: single messages, or runs of items."""
    n = 0
    while n < len(items):
        start = n
        while n < len(items) and units.is_answer(items[n]) and (n == start or route == "/v1/responses"):
            n += 1
        if n > start:
            yield start, n
        else:
            n += 1


def _essence(item: Any, route: str) -> list[Any]:
    if not isinstance(item, dict):
        return [None]
    if route == "/v1/chat/completions":
        called = [call.get("id") for call in bodies.items(item.get("tool_calls")) if isinstance(call, dict)]
        content = item.get("content")
        texts = (
            [content]
            if isinstance(content, str)
            else [p.get("text") for p in bodies.items(content) if isinstance(p, dict)]
        )
        return ["".join(text for text in texts if isinstance(text, str)), *called]
    if route == "/v1/responses":
        kind = item.get("type", "message")
        if kind == "message":
            return [kind, *(p.get("text") for p in bodies.items(item.get("content")) if isinstance(p, dict))]
        return [kind, item.get("call_id") or item.get("encrypted_content") or item.get("id")]
    content = item.get("content")
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else bodies.items(content)
    return [
        [block.get(name) for name in ("type", "text", "thinking", "signature", "data", "id", "name")]
        for block in blocks
        if isinstance(block, dict)
    ]


def _messages_edits(items: Sequence[Any], start: int, end: int, turn: Turn) -> list[Edit]:
    message, behind = items[start], items[end] if end < len(items) else None
    content = message["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    last = blocks[sum(turn.shown) :]
    for place, block in turn.last_calls:
        last = [*last[:place], block, *last[place:]]
    sent = [item for one in turn.rounds for item in one]
    edits = [Edit(start, end, (*sent, *([{**message, "content": last}] if last else [])))]
    if turn.results:
        if not isinstance(behind, dict) or behind.get("role") != "user":
            return []
        given = behind.get("content")
        rest = [{"type": "text", "text": given}] if isinstance(given, str) else bodies.items(given)
        edits.append(Edit(end, end + 1, ({**behind, "content": [*turn.results, *rest]},)))
    return edits


def _chat_edits(items: Sequence[Any], start: int, end: int, turn: Turn) -> list[Edit]:
    message = items[start]
    sent = [item for one in turn.rounds for item in one]
    if not turn.shown:
        last = dict(message)
    else:
        content = "".join(_essence({**message, "tool_calls": []}, "/v1/chat/completions"))[sum(turn.shown) :]
        last = {**message, "content": content or None}
    calls = bodies.items(message.get("tool_calls"))
    for place, call in turn.last_calls:
        calls = [*calls[:place], call, *calls[place:]]
    if calls:
        last["tool_calls"] = calls
    has_more = bool(calls or last.get("content"))
    return [Edit(start, end, (*sent, *([last] if has_more else []), *turn.results))]


def _responses_edits(items: Sequence[Any], start: int, end: int, turn: Turn) -> list[Edit]:
    last = list(items[start + sum(turn.shown) : end])
    for place, item in turn.last_calls:
        last = [*last[:place], item, *last[place:]]
    sent = [item for one in turn.rounds for item in one]
    return [Edit(start, end, (*sent, *last, *turn.results))]


_EDITS = {
    "/v1/messages": _messages_edits,
    "/v1/chat/completions": _chat_edits,
    "/v1/responses": _responses_edits,
}


# In the database.


def offer(owner: str, root: str, now: datetime, *, is_new: bool) -> bool:
    """Whether a conversation was offered the tool; a new one is from now on. Runs queries."""
    mine = RetrievalOffer.objects.filter(owner=owner, root=root)
    row = mine.first()
    if row is None and is_new:
        RetrievalOffer.objects.bulk_create([RetrievalOffer(owner=owner, root=root, used_at=now)], ignore_conflicts=True)
    elif row is not None and row.used_at < now - TOUCH_AFTER:
        mine.update(used_at=now)
    return row is not None or is_new


def load(owner: str, root: str) -> dict[str, Turn]:
    """The recorded turns of a conversation, by their identity. Runs a query."""
    rows = RetrievalTurn.objects.filter(owner=owner, root=root).values_list("identity", "turn")
    return {identity: _read(stored) for identity, stored in rows}


def store(owner: str, root: str, identity: str, turn: Turn, now: datetime) -> None:
    """Record a turn before its client sees the end of it. Runs a query."""
    spelled = splice.spelled([turn.rounds, turn.shown, turn.last_calls, turn.results]).decode()
    RetrievalTurn.objects.update_or_create(
        owner=owner, root=root, identity=identity, defaults={"turn": pack(spelled), "created_at": now}
    )


def _read(stored: bytes | memoryview) -> Turn:
    rounds, shown, calls, results = splice.loads_exactly(unpack(stored).encode())
    return Turn(
        tuple(tuple(one) for one in rounds), tuple(shown), tuple((place, call) for place, call in calls), tuple(results)
    )


def prune(now: datetime, lifetime: timedelta) -> int:
    """Delete what belongs to conversations that nobody used for a lifetime. Returns how many of those went."""
    old = RetrievalOffer.objects.filter(used_at__lt=now - lifetime)
    deleted = 0
    for owner, root in list(old.values_list("owner", "root")[:500]):
        RetrievalTurn.objects.filter(owner=owner, root=root).delete()
        deleted += RetrievalOffer.objects.filter(owner=owner, root=root).delete()[0]
    return deleted
