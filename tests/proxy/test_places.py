from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy import places

values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False), st.text(max_size=6)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=10,
)
layouts: list[dict[str, Any]] = [{}, {"indent": 2}, {"separators": (",", ":")}, {"separators": (" ,\n", "\t: ")}]


@given(
    document=st.dictionaries(st.text(max_size=4), values, max_size=4),
    layout=st.sampled_from(layouts),
    is_ascii=st.booleans(),
)
def test_every_member_is_where_it_is_said_to_be(
    document: dict[str, Any], layout: dict[str, Any], is_ascii: bool
) -> None:
    body = b" \n" + json.dumps(document, ensure_ascii=is_ascii, allow_nan=True, **layout).encode() + b"\n"
    try:
        parsed = orjson.loads(body)
    except ValueError:
        return
    found = [(name, orjson.loads(body[start:end])) for name, (start, end) in places.members(body, parsed)]
    assert found == list(parsed.items())


@given(listed=st.lists(values, max_size=4), layout=st.sampled_from(layouts), kept=st.integers(0, 4))
def test_every_entry_is_where_it_is_said_to_be(listed: list[Any], layout: dict[str, Any], kept: int) -> None:
    body = b"[" + json.dumps(listed, **layout).encode() + b"]"
    try:
        (parsed,) = orjson.loads(body)
    except ValueError:
        return
    spans, end = places.entries(body, parsed, 2)
    assert ([orjson.loads(body[slice(*span)]) for span in spans], end) == (parsed, len(body) - 1)
    if kept <= len(spans) and kept:
        assert places.entries(body, parsed[kept:], spans[kept - 1][1]) == (spans[kept:], end)


def test_a_value_may_be_spelled_in_any_way() -> None:
    body = b'{"a":1.00,"b" :"\\u0062\\/","c":{"x":[1e2,"]}"]}}'
    assert [body[slice(*span)] for _, span in places.members(body, orjson.loads(body))] == [
        b"1.00",
        b'"\\u0062\\/"',
        b'{"x":[1e2,"]}"]}',
    ]


def test_a_name_that_comes_twice_is_told_twice() -> None:
    body = b'{"a":[1],"\\u0061":[2]}'
    assert list(places.members(body, orjson.loads(body))) == [("a", (5, 8)), ("a", (18, 21))]


def test_what_has_no_end_is_an_error() -> None:
    with pytest.raises(ValueError):
        places.end_of(b'{"a":[', 0, None)
    with pytest.raises(ValueError):
        list(places.members(b'{"a":1', {}))
    with pytest.raises(ValueError):
        places.entries(b"[1,", [1], 1)
