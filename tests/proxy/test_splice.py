from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy import splice
from proxy.splice import Unspliceable

texts = st.text(st.one_of(st.characters(), st.sampled_from(["\ud800", '"', "\\", "\n"])), max_size=12)
documents = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=15,
)


def strings(document: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Where strings stand in a document."""
    if isinstance(document, str):
        return [path]
    children = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [found for step, child in children for found in strings(child, (*path, step))]


@given(
    document=st.dictionaries(texts, documents, min_size=1, max_size=4),
    chance=st.data(),
    indent=st.sampled_from([None, 1]),
    is_ascii=st.booleans(),
)
def test_only_what_was_meant_is_replaced(
    document: dict[str, Any], chance: st.DataObject, indent: int | None, is_ascii: bool
) -> None:
    body = json.dumps(document, indent=indent, ensure_ascii=is_ascii).encode("utf-8", "replace")
    try:
        parsed = splice.loads(body)
    except ValueError:
        return
    found = [path for path in strings(parsed) if path]
    if not found:
        return
    wanted = chance.draw(st.lists(st.sampled_from(found), unique=True, min_size=1, max_size=3))
    replacements = {path: chance.draw(texts) for path in wanted}
    replaced = splice.loads(splice.replace(body, parsed, replacements))
    for path in strings(parsed):
        assert splice.at(replaced, path) == replacements.get(path, splice.at(parsed, path))


def test_nothing_to_replace_gives_the_very_body() -> None:
    body = b'{"a" : 1}'
    assert splice.replace(body, {"a": 1}, {}) is body


def test_the_spelling_of_everything_else_stays() -> None:
    body = b'{ "n":1.0e+2 ,"t":"\\u00e9","a":"old" , "t2":"\\/" }\n'
    assert splice.replace(body, splice.loads(body), {("a",): "new"}) == body.replace(b'"old"', b'"new"')


@pytest.mark.parametrize(
    "spelling", [b'"caf\\u00e9 \\/"', b'"caf\\u00E9 /"', '"café /"'.encode(), b'"\\u0063af\\u00e9 \\/"']
)
def test_any_spelling_of_the_old_string_is_found(spelling: bytes) -> None:
    body = b'{"a":%s}' % spelling
    assert splice.replace(body, splice.loads(body), {("a",): "x"}) == b'{"a":"x"}'


def test_the_same_text_elsewhere_is_left_alone() -> None:
    body = b'{"same":"same","list":["same",{"same":"same"}],"x":"same"}'
    replaced = splice.replace(body, splice.loads(body), {("list", 1, "same"): "new"})
    assert replaced == b'{"same":"same","list":["same",{"same":"new"}],"x":"same"}'


def test_with_a_key_that_comes_twice_the_last_one_is_replaced() -> None:
    body = b'{"a":"1","a":"1"}'
    assert splice.replace(body, splice.loads(body), {("a",): "2"}) == b'{"a":"1","a":"2"}'


def test_results_out_of_order_are_all_found() -> None:
    body = b'{"a":"one","b":"two"}'
    assert splice.replace(body, splice.loads(body), {("b",): "2", ("a",): "1"}) == b'{"a":"1","b":"2"}'


def test_what_cannot_be_found_is_refused() -> None:
    with pytest.raises(Unspliceable):
        splice.replace(b'{"b":"other"}', {"a": "old"}, {("a",): "new"})


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"\xff", "{}".encode("utf-16"), b'{"a":1}x'])
def test_what_is_no_json_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError):
        splice.loads(body)


@pytest.mark.parametrize(
    ("body", "value"),
    [(b'"\\ud800"', "\ud800"), (b"[NaN,Infinity]", None), (b"36893488147419103232", None), (b"-0", None)],
)
def test_what_clients_write_all_the_same_is_read(body: bytes, value: Any) -> None:
    read = splice.loads(body)
    assert value is None or read == value


def test_objects_too_deep_to_compare_are_refused() -> None:
    body = b'{"a":"old","deep":%s}' % (b"[" * 900 + b"]" * 900)
    document = splice.loads(body)

    def at_depth(depth: int) -> bytes:
        return at_depth(depth - 1) if depth else splice.replace(body, document, {("a",): "new"})

    with contextlib.suppress(Unspliceable):
        assert b'"new"' in at_depth(80)
