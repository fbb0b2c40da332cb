"""A record that a service shows once more, as after a change: what is different from the copy above."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from headroom.shrinkers import json_text

MAX_CHARS = 20_000
MIN_SHARE = 0.5
"""Of a record has to be the same: else it is another one that has something in common."""
MAX_GONE = 3
NAME_CHARS = range(4, 81)
"""A record is known by its first text that is neither shorter nor longer."""


@dataclass(frozen=True, slots=True)
class Shown:
    """An earlier result: the tool that brought it, and whether the reader still sees all that it says."""

    tool: str
    text: str
    is_whole: bool = True


def told(text: str, earlier: Sequence[Shown]) -> tuple[str, int] | None:
    """Return a record by the fields that are not as in an earlier one, and which one that is; None when it is no record, or
    there is none like it.

    >>> order = '{"id": "W-12", "items": [{"name": "lamp", "price": 12.5}], "status": "pending"}'
    >>> told(order.replace("pending", "cancelled"), [Shown("get_order", order)])
    ('[As the latest get_order result above with "id":"W-12", but:]\\n{"status":"cancelled"}', 0)
    """
    fields = _fields(text)
    name = next((one for one, value in fields.items() if value[0] == '"' and len(value) - 2 in NAME_CHARS), None)
    if name is None:
        return None
    same_name = [n for n, one in enumerate(earlier) if _fields(one.text).get(name) == fields[name]]
    found: list[tuple[str, int]] = []
    for n in same_name:
        others = [other for other in same_name if earlier[other].tool == earlier[n].tool]
        which = "latest" if n == others[-1] else "first" if n == others[0] else ""
        if which and earlier[n].is_whole and (rest := _rest(fields, _fields(earlier[n].text))) is not None:
            gone, changed = rest
            without = f" and without {gone}" if gone else ""
            head = f"[As the {which} {earlier[n].tool} result above with {json_text.compact(name)}:{fields[name]}{without}, but:]"
            found.append((f"{head}\n{changed}", n))
    return min(found, key=lambda pair: (len(pair[0]), -pair[1]), default=None)


def _fields(text: str) -> dict[str, str]:
    """The fields of a record as compact JSON, nothing of what is no record."""
    return _read(text) if len(text) <= MAX_CHARS and text.lstrip().startswith("{") else {}


@lru_cache(maxsize=256)
def _read(text: str) -> dict[str, str]:
    document = json_text.read(text)
    is_record = document is not None and isinstance(document.value, dict) and not document.is_lines
    if document is None or not is_record or document.before or document.after or document.is_cut or document.others:
        return {}
    return {name: json_text.finished(json_text.compact(value)) for name, value in document.value.items()}


def _rest(fields: Mapping[str, str], other: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the names of the fields that went and the fields that changed or came, None when little stayed."""
    gone = [json_text.compact(name) for name in other if name not in fields]
    changed = {name: value for name, value in fields.items() if other.get(name) != value}
    size = sum(len(name) + len(value) for name, value in fields.items())
    if len(gone) > MAX_GONE or sum(len(name) + len(value) for name, value in changed.items()) > (1 - MIN_SHARE) * size:
        return None
    return ", ".join(gone), "{" + ",".join(
        f"{json_text.compact(name)}:{value}" for name, value in changed.items()
    ) + "}"
