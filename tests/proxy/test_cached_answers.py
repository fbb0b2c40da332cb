from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from budgets.gate import Principal
from proxy import cached_answers, worker
from proxy.cached_answers import Asked, Replay
from proxy.providers import anthropic, passthrough
from proxy.response_cache import LocalAnswers, Name
from tests.proxy.requests import make_exchange

TOOL = {"name": "Bash", "input_schema": {"type": "object"}}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}


@pytest.fixture(autouse=True)
def with_a_cache() -> Iterator[None]:
    worker.install(SimpleNamespace(answers=LocalAnswers(10, 60)))  # type: ignore[arg-type]
    yield
    worker.install(None)


def name_of(
    body: dict[str, Any] | bytes, route: str = "/v1/messages", owner: str = "local", **lines: str
) -> Name | None:
    provider = anthropic if route == "/v1/messages" else passthrough.openai
    call = provider.parse(body if isinstance(body, bytes) else json.dumps(body).encode())
    return cached_answers.name_of(Asked(make_exchange(route, **lines), route, call, Principal(owner), "p", "https://u"))


@pytest.mark.parametrize(
    ("body", "usual", "strict", "with_tools"),
    [
        ({"model": "m"}, True, False, True),
        ({"model": "m", "temperature": None}, True, False, True),
        ({"model": "m", "temperature": 0}, True, True, True),
        ({"model": "m", "temperature": 0.0, "tools": []}, True, True, True),
        ({"model": "m", "temperature": 1}, False, False, False),
        ({"model": "m", "temperature": False}, False, False, False),
        ({"model": "m", "temperature": "0"}, False, False, False),
        ({"model": "m", "temperature": 0, "tools": [TOOL]}, False, False, True),
        ({"model": "m", "temperature": 0, "tools": [SEARCH]}, False, False, False),
        ({"model": "m", "background": True}, False, False, False),
        ({"model": "m", "previous_response_id": "r"}, False, False, False),
    ],
)
def test_which_requests_may_be_answered_again(
    body: dict[str, Any], usual: bool, strict: bool, with_tools: bool, settings: Any
) -> None:
    assert (name_of(body) is not None) is usual
    settings.CACHE_STRICT = True
    assert (name_of(body) is not None) is strict
    settings.CACHE_STRICT, settings.CACHE_TOOLS = False, True
    assert (name_of(body) is not None) is with_tools


def test_embeddings_are_never_drawn_at_random(settings: Any) -> None:
    settings.CACHE_STRICT = True
    assert name_of({"model": "m", "input": "x"}, "/v1/embeddings") is not None
    assert name_of({"model": "m", "input": "x"}, "/v1/completions") is None


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"x":NaN}', b'{"x":1e999}', b'{"x":12345678901234567890123}', b'{"x":"\\ud800"}'],
)
def test_what_has_no_certain_meaning_has_no_name(body: bytes) -> None:
    assert name_of(body) is None


def test_nothing_is_the_same_but_what_means_the_same() -> None:
    names = [
        name_of({"a": 1, "b": [1, 2]}),
        name_of({"a": 1, "b": [2, 1]}),
        name_of({"a": "1", "b": [1, 2]}),
        name_of({"a": 1, "b": [1, 2]}, owner="team:1"),
        name_of({"a": 1, "b": [1, 2]}, anthropic_beta="x"),
        name_of({"a": 1, "b": [1, 2]}, anthropic_version="x"),
        name_of({"a": 1, "b": [1, 2]}, openai_organization="x"),
        name_of({"a": 1, "b": [1, 2]}, "/v1/embeddings"),
    ]
    assert None not in names and len(set(names)) == len(names)
    assert name_of(b'{ "b": [1,2],\n"a":1 }', user_agent="another") == names[0]


async def test_a_stream_is_cut_between_events_only() -> None:
    events = [b"data: %d %s\n\n" % (n, bytes(n * 97)) for n in range(60)]
    pieces = [piece async for piece in Replay(b"".join(events) + b"data: end", is_stream=True)]
    assert len(pieces) > 5 and b"".join(pieces) == b"".join(events) + b"data: end"
    assert all(piece.startswith(b"data: ") for piece in pieces)
    assert [piece async for piece in Replay(b"{}", is_stream=False)] == [b"{}"]
