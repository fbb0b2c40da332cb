"""The journal's lines: `{"admitted": …}` and `{"settled": …}`, one JSON object each, and what makes one unreadable."""

from __future__ import annotations

import dataclasses
import math
import uuid
from typing import Any

import orjson

from savings.receipts import Admission, Reserved, Settlement, Usage

MAX_LINE_BYTES = 8192
MAX_TEXT_CHARS = 500
MAX_ITEMS = 20
MAX_COUNT = 2**53


class BadLine(ValueError):
    """A line that is neither an admission nor a settlement."""


def admitted(admission: Admission) -> bytes:
    """The line of an admission, newline included."""
    return _line("admitted", admission)


def settled(settlement: Settlement) -> bytes:
    """The line of a settlement, newline included."""
    return _line("settled", settlement)


def parse(line: bytes) -> Admission | Settlement:
    """The value a line stands for; fields that a newer version added are ignored. Raises BadLine."""
    try:
        entry = orjson.loads(line)
        if "admitted" in entry:
            return _admission(entry["admitted"])
        return _settlement(entry["settled"])
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as exc:
        raise BadLine(f"{type(exc).__name__}: {exc}") from None


def _line(kind: str, value: Admission | Settlement) -> bytes:
    try:
        line = orjson.dumps({kind: value}, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:  # lone surrogates or integers beyond 64 bits, both of which clients do send
        line = b""
    if not line or len(line) > MAX_LINE_BYTES:
        line = orjson.dumps({kind: _bounded(dataclasses.asdict(value))}, option=orjson.OPT_APPEND_NEWLINE)
    return line


def _bounded(value: Any) -> Any:
    """The same, short enough and encodable: an odd name must not cost us the record of a call."""
    if isinstance(value, dict):
        return {key: _bounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_bounded(item) for item in value[:MAX_ITEMS]]
    if isinstance(value, str):
        return value[:MAX_TEXT_CHARS].encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= MAX_COUNT else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return None


_ADMISSION_FIELDS = frozenset(field.name for field in dataclasses.fields(Admission))
_SETTLEMENT_FIELDS = frozenset(field.name for field in dataclasses.fields(Settlement))
_USAGE_FIELDS = frozenset(field.name for field in dataclasses.fields(Usage))
_ADMISSION_TEXTS = tuple(field.name for field in dataclasses.fields(Admission) if field.type in {"str", "Origin"})
_SETTLEMENT_TEXTS = tuple(
    field.name for field in dataclasses.fields(Settlement) if field.type in {"str", "Status", "CacheOutcome"}
)


def _admission(fields: dict[str, Any]) -> Admission:
    if not fields.keys() <= _ADMISSION_FIELDS:
        fields = {name: fields[name] for name in _ADMISSION_FIELDS & fields.keys()}
    fields["transforms"] = tuple(str(item) for item in fields.get("transforms", ()))
    if reserved := fields.get("reserved"):
        fields["reserved"] = tuple(_reserved(item) for item in reserved)
    else:
        fields["reserved"] = ()
    admission = Admission(**fields)
    _check_texts(admission, _ADMISSION_TEXTS)
    uuid.UUID(admission.call_id)
    uuid.UUID(admission.request_id)
    if not isinstance(admission.attempt, int) or not isinstance(admission.admitted_at, float | int):
        raise BadLine("attempt or time is not a number")
    return admission


def _reserved(fields: dict[str, Any]) -> Reserved:
    reserved = Reserved(fields["period"], fields["nano_usd"], fields["is_leased"])
    if type(reserved.period) is not int or type(reserved.nano_usd) is not int or type(reserved.is_leased) is not bool:
        raise BadLine("what was reserved is not a number")
    return reserved


def _settlement(fields: dict[str, Any]) -> Settlement:
    if not fields.keys() <= _SETTLEMENT_FIELDS:
        fields = {name: fields[name] for name in _SETTLEMENT_FIELDS & fields.keys()}
    fields["usage"] = _usage(fields.get("usage") or {})
    if without := fields.get("counterfactual"):
        fields["counterfactual"] = _usage(without)
    settlement = Settlement(**fields)
    _check_texts(settlement, _SETTLEMENT_TEXTS)
    if not isinstance(settlement.settled_at, float | int):
        raise BadLine("time is not a number")
    return settlement


def _usage(counts: dict[str, Any]) -> Usage:
    return Usage(**{name: counts[name] for name in _USAGE_FIELDS & counts.keys()})


def _check_texts(value: Admission | Settlement, names: tuple[str, ...]) -> None:
    for name in names:
        if type(getattr(value, name)) is not str:
            raise BadLine(f"{name} is not text")
