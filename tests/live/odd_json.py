"""JSON as nobody would write it, but as clients may: any order, spelling, escape, number, and keys that come twice."""

from __future__ import annotations

import json

from hypothesis import strategies as st

NUMBERS = [
    "0",
    "-0",
    "1e3",
    "1E+3",
    "0.10",
    "1.0",
    "-1.50e-07",
    "18446744073709551616",
    "-9223372036854775809",
    "1e400",
    "123456789012345678901234567890",
    "0.1000000000000000055511151231257827",
]
CONSTANTS = ["true", "false", "null"]
LENIENT = ["NaN", "Infinity", "-Infinity"]
CHARACTERS = [
    "a",
    "é",
    "🙂",
    "\\u00e9",
    "\\u00E9",
    "\\ud83d\\ude42",
    "\\/",
    "/",
    "\\n",
    "\\t",
    "\\\\",
    '\\"',
    "\\u0000",
    "\\u007f",
    "\x7f",
    "{",
    "]",
    ":",
    ",",
    "\\u2028",
    "\u2028",
]
SURROGATES = ["\\ud800", "\\udfff\\ud800"]
SPACE = st.sampled_from([b"", b"", b" ", b"\n", b"\t \r\n"])

spelled_strings = st.lists(st.sampled_from(CHARACTERS), max_size=6).map(lambda parts: f'"{"".join(parts)}"'.encode())
lone_surrogates = st.lists(st.sampled_from([*CHARACTERS, *SURROGATES]), max_size=6).map(
    lambda parts: f'"{"".join(parts)}"'.encode()
)
scalars = st.one_of(st.sampled_from(NUMBERS + CONSTANTS).map(str.encode), spelled_strings)
lenient_scalars = st.one_of(scalars, st.sampled_from(LENIENT).map(str.encode), lone_surrogates)


@st.composite
def arrays(draw: st.DrawFn, values: st.SearchStrategy[bytes]) -> bytes:
    space = draw(SPACE)
    return b"[" + space + (b"," + space).join(draw(st.lists(values, max_size=3))) + space + b"]"


@st.composite
def objects(draw: st.DrawFn, values: st.SearchStrategy[bytes]) -> bytes:
    pairs = draw(st.lists(st.tuples(spelled_strings, values), max_size=3))
    if pairs and draw(st.booleans()):
        pairs.append((pairs[0][0], draw(values)))  # the same key again
    return written(draw, pairs)


def written(draw: st.DrawFn, pairs: list[tuple[bytes, bytes]]) -> bytes:
    """An object with its members in this order, and white space somewhere."""
    space = draw(SPACE)
    return (
        b"{"
        + space
        + (space + b"," + space).join(key + space + b":" + space + value for key, value in pairs)
        + space
        + b"}"
    )


def values(leaves: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Any JSON value, spelled somehow."""
    return st.recursive(leaves, lambda inner: st.one_of(arrays(inner), objects(inner)), max_leaves=8)


@st.composite
def with_odd_neighbours(draw: st.DrawFn, pairs: list[tuple[str, bytes]]) -> bytes:
    """An object that holds the given members in any order among unknown ones."""
    unknown = draw(st.lists(st.tuples(spelled_strings.map(lambda key: b'"x' + key[1:]), values(scalars)), max_size=3))
    members = draw(st.permutations([*((f'"{key}"'.encode(), value) for key, value in pairs), *unknown]))
    return written(draw, members)


def spellings(text: str) -> list[bytes]:
    """Ways to write one string: raw, with every other character than ASCII escaped, with needless escapes."""
    raw = json.dumps(text, ensure_ascii=False).encode()
    escaped = json.dumps(text).encode()
    needless = "".join(f"\\u{ord(c):04X}" if c in "abcxyz<>&" else json.dumps(c)[1:-1] for c in text)
    return [raw, escaped, escaped.replace(b"/", b"\\/"), b'"' + needless.encode() + b'"']
