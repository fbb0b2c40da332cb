"""Reads JSON as tools print it: whole, one value per line, behind a heading, or cut off. Spellings of numbers survive."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import orjson

NUMBER = "\ue0f1"
"""Stands before a number whose spelling a float would lose (1.10); such a number travels as a string."""

MIN_SHARE = 0.5
MAX_DEPTH = 150
_MOST_BEFORE_CHARS = 2_000
_MAX_STARTS = 5
_NEGATIVE_ZERO = re.compile(r"-0(?![\d.eE])")
_LONG_INTEGER_DIGITS = 4_000
_LONG_INTEGER = re.compile(rf"\d{{{_LONG_INTEGER_DIGITS}}}")
_HEAD_CHARS = 20_000
# Our own spelling of a list: to read its rows as JSON again would lose what stands above them.
_WRITTEN = re.compile(
    r"(?m)^[\d,]+ (?:lists of )?rows(?:, [\d,]+ of them shown,)? as \[|\[[\d,]+ (?:items|values)[ ,;]"
)
_START = re.compile(r"(?m)^[ \t]*(?:\{\s*[\"}]|\[\s*(?:[\[{\"\]]|-?\d+(?:\.\d+)?\s*[,\]]))")
_OPENING = re.compile(r"\{(?=\s*\")|\[(?=\s*[{\[\"])")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|[{}\[\],:]|[^\s{}\[\],:"]++|"', re.DOTALL)
_CLOSING = {"{": "}", "[": "]"}


# Such numbers come in several spellings, which the fast reader and writer do not keep: they carry the mark.
# The first expression only asks, ten times faster; what is written with a large E is not written again so anyway.
_MAY_HAVE_EXPONENT = re.compile(rb"e(?<=\de)[-+]?\d")
_EXPONENT = re.compile(rb"[\[:,]-?\d[\d.]*e")
_BLANKS = b" \t\r\n"
HEAD_LINE_CHARS = 100_000
_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)
_escaping = json.JSONEncoder(separators=(",", ":"), check_circular=False)
_spaced = json.JSONEncoder(ensure_ascii=False, separators=(",", ": "), check_circular=False)
_SPELLED = re.compile(f'"{NUMBER}([^"]*)"')
_SURROGATE = re.compile("[\ud800-\udfff]")


class Unreadable(ValueError):
    """Not JSON, or JSON that a reader would not understand as one value: a key comes twice in an object."""


@dataclass(frozen=True, slots=True)
class Document:
    """What was read: text before and after the value stays as it is; `is_cut` says that the value ended too early.

    `lines` holds, for one value per line, the places of the lines that are no JSON and what they say.
    """

    value: Any
    before: str = ""
    after: str = ""
    is_cut: bool = False
    is_lines: bool = False
    others: tuple[tuple[int, str], ...] = ()


def read(text: str) -> Document | None:
    """Return the JSON in a text when it makes up most of it, else None."""
    if NUMBER in text or not _START.search(text, 0, _HEAD_CHARS) or _is_written(text[:_HEAD_CHARS]):
        return None
    quick = _quick(text)
    if quick is not None:
        return quick
    decoder = _decoder(text)
    try:
        return _whole(text, decoder) or _lines(text, decoder) or _embedded(text, decoder) or _cut(text, decoder)
    except (Unreadable, RecursionError):
        return None


def _is_written(head: str) -> bool:
    return any(word in head for word in (" rows", " items", " values")) and _WRITTEN.search(head) is not None


def _quick(text: str) -> Document | None:
    """Read well-formed JSON at full speed, and prove by writing it again that nothing was lost: no key, no digit."""
    is_lines = "\n{" in text and text[:1] == "{" and text[:HEAD_LINE_CHARS].find("}\n{") > 0
    given = f"[{','.join(filter(None, map(str.strip, text.split(chr(10)))))}]" if is_lines else text
    try:
        there = given.encode().translate(None, _BLANKS)
        has_exponent = _MAY_HAVE_EXPONENT.search(there) is not None and _EXPONENT.search(there) is not None
        value = None if has_exponent else orjson.loads(given)
        if not isinstance(value, (dict, list)):
            return None
        if orjson.dumps(value).translate(None, _BLANKS) == there:
            return Document(value, is_lines=is_lines)
        if "\\u" in given and _escaping.encode(value).encode().translate(None, _BLANKS) == there:
            return Document(value, is_lines=is_lines)
    except (ValueError, TypeError, RecursionError):
        pass
    return None


def _decoder(text: str) -> json.JSONDecoder:
    integer = _kept if _has_odd_integer(text) else int
    return json.JSONDecoder(
        object_pairs_hook=_object, parse_float=_float, parse_int=integer, parse_constant=NUMBER.__add__
    )


def _has_odd_integer(text: str) -> bool:
    is_long = any(len(line) >= _LONG_INTEGER_DIGITS for line in text.split("\n"))
    return _NEGATIVE_ZERO.search(text) is not None or (is_long and _LONG_INTEGER.search(text) is not None)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unreadable("a key comes twice")
    return found


def _float(spelling: str) -> float | str:
    number = float(spelling)
    return number if repr(number) == spelling and "e" not in spelling else NUMBER + spelling


def _kept(spelling: str) -> int | str:
    return NUMBER + spelling if spelling == "-0" or len(spelling) > 300 else int(spelling)


def _decode(decoder: json.JSONDecoder, text: str, start: int) -> tuple[Any, int] | None:
    try:
        return decoder.raw_decode(text, start)
    except json.JSONDecodeError:
        return None


def _whole(text: str, decoder: json.JSONDecoder) -> Document | None:
    start = len(text) - len(text.lstrip())
    if text[start : start + 1] not in ("{", "["):
        return None
    found = _decode(decoder, text, start)
    if found is None:
        return None
    value, end = found
    if not text[end:].strip():
        return Document(value)
    values = [value]
    while end < len(text):
        end += len(text[end : end + 200]) - len(text[end : end + 200].lstrip())
        found = _decode(decoder, text, end) if text[end : end + 1] in ("{", "[") else None
        if found is None:
            break
        values.append(found[0])
        end = found[1]
    if text[end:].strip() and end < len(text) * MIN_SHARE:
        return None
    if len(values) == 1:
        return Document(value, after=text[end:])
    return Document(values, after=text[end:].strip("\n"), is_lines=True)


def _lines(text: str, decoder: json.JSONDecoder) -> Document | None:
    """Read one object per line, with other lines among them."""
    lines = text.split("\n")
    probe = lines[:: max(1, len(lines) // 200)]
    if len(lines) < 3 or sum(bool(_START.match(line)) for line in probe) < len(probe) * MIN_SHARE:
        return None
    values: list[Any] = []
    others: list[tuple[int, str]] = []
    for line in lines:
        found = _decode(decoder, line, 0) if line[:1] in ("{", "[") else None
        if found is not None and not line[found[1] :].strip():
            values.append(found[0])
        elif line.strip():
            others.append((len(values), line))
    if len(values) < 2 or len(others) * 2 > len(lines):
        return None
    return Document(values, is_lines=True, others=tuple(others))


def _embedded(text: str, decoder: json.JSONDecoder) -> Document | None:
    """Read one value that starts on a line of its own, behind a heading or before a summary."""
    starts = re.finditer(r"(?m)^[ \t]*(?=[{\[])", text)
    for _, line in zip(range(_MAX_STARTS), starts, strict=False):
        found = _decode(decoder, text, line.end())
        if found is not None and (found[1] - line.end()) >= len(text) * MIN_SHARE:
            return Document(found[0], before=text[: line.end()], after=text[found[1] :])
    return None


def _cut(text: str, decoder: json.JSONDecoder) -> Document | None:
    """Read a value that breaks off, up to its last whole member."""
    opening = _OPENING.search(text)
    if opening is None:
        return None
    first = opening.start()
    if first > _MOST_BEFORE_CHARS:
        return None
    place, closing = _last_member(text, first)
    if place - first < len(text) * MIN_SHARE:
        return None
    found = _decode(decoder, text[first:place] + closing, 0)
    return Document(found[0], before=text[:first], after=text[place:].lstrip(","), is_cut=True) if found else None


def _last_member(text: str, start: int) -> tuple[int, str]:
    """Return where the last whole member ends, and what closes everything that is open there."""
    open_brackets: list[str] = []
    place = start
    still_open: list[str] = []
    for token in _TOKEN.finditer(text, start):
        mark = token.group()
        if mark == '"':
            break
        if mark in _CLOSING:
            open_brackets.append(mark)
            if len(open_brackets) > MAX_DEPTH:
                break
        elif mark in ("}", "]"):
            if not open_brackets or _CLOSING[open_brackets.pop()] != mark:
                break
            place, still_open = token.end(), open_brackets.copy()
        elif mark[0] not in '":,-0123456789' and mark not in ("true", "false", "null"):
            break
        elif mark == ",":
            place, still_open = token.start(), open_brackets.copy()
    return place, "".join(_CLOSING[mark] for mark in reversed(still_open))


def compact(value: Any) -> str:
    """Return a value without layout. Numbers may still carry their mark: `finished` takes it off."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # an integer over 64 bits, a lone surrogate, or nested very deep
        return _encoder.encode(value)


def spaced(value: Any) -> str:
    """Return a value on one line, with the blank behind colons that laid-out JSON has."""
    return _spaced.encode(value)


def finished(text: str) -> str:
    """Return written JSON with numbers as they were spelled and nothing that cannot be sent."""
    if NUMBER in text:
        text = _SPELLED.sub(r"\1", text)
    if not text.isascii() and _SURROGATE.search(text):
        text = _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return text
