from __future__ import annotations

import json
from typing import Any

import pytest

from proxy import demands
from proxy.values import Call, Plan


def demand(document: dict[str, Any] | None, route: str = "/v1/messages", **fields: Any) -> demands.Demand:
    body = json.dumps(document).encode() if document is not None else b""
    call = Call(body, document, model=str((document or {}).get("model", "")), **fields)
    return demands.demand(
        call, Plan(tokens_after=7), provider="p", upstream="u", route=route, path=fields.get("path", "/v1/messages")
    )


@pytest.mark.parametrize(
    ("route", "document", "limit"),
    [
        ("/v1/messages", {"max_tokens": 10, "max_output_tokens": 1}, 10),
        ("/v1/chat/completions", {"max_tokens": 10, "max_completion_tokens": 20}, 20),
        ("/v1/responses", {"max_output_tokens": 30, "max_tokens": 1}, 30),
        ("/v1/responses", {"max_tokens": 1}, None),
        ("/v1/messages", {"max_tokens": "10"}, None),
        ("/v1/messages", {"max_tokens": -5}, None),
        ("/v1/embeddings", {"input": "x"}, 0),
    ],
)
def test_the_limit_of_an_answer_is_where_its_route_puts_it(route, document, limit) -> None:
    assert demand(document, route).max_output_tokens == limit


@pytest.mark.parametrize(
    ("document", "is_opaque"),
    [
        ({"messages": [{"role": "user", "content": "an \"image\" of a \"file_id\""}]}, False),
        ({"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]}, True),
        ({"input": [{"type": "input_file", "file_id": "f"}]}, True),
        ({"previous_response_id": "r", "input": "x"}, True),
    ],
)  # fmt: skip
def test_input_of_unknown_size_is_noticed(document, is_opaque) -> None:
    assert demand(document).has_opaque_input is is_opaque


@pytest.mark.parametrize(
    ("document", "is_open"),
    [
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, True),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}, {"name": "web_search", "input_schema": {}}]}, False),
        ({"tools": [{"type": "function", "function": {"name": "mcp"}}]}, False),
        ({"tools": [{"type": "mcp", "server_url": "x"}]}, True),
        ({"mcp_servers": [{"url": "x"}]}, True),
        ({"mcp_servers": []}, False),
        ({"background": True}, True),
        ({"tools": "none", "n": "many"}, False),
    ],
)
def test_work_that_the_provider_goes_on_with_is_noticed(document, is_open) -> None:
    assert demand(document).has_open_end is is_open


def test_several_answers_cost_several_times() -> None:
    assert demand({"n": 3}).answers == 3
    assert demand({"n": 0}).answers == 1


def unread(path: str) -> demands.Demand:
    return demands.demand(Call(b""), Plan(), provider="p", upstream="u", route="*", path=path)


@pytest.mark.parametrize("path", ["/v1/files", "/v1/files/f/content", "/v1/moderations", "/v1/batches/b/cancel"])
def test_some_posts_cost_nothing(path) -> None:
    assert demands.is_free(path)


@pytest.mark.parametrize("path", ["/v1/batches", "/v1/messages/batches", "/v1/audio/speech", "/v1/responses/compact"])
def test_posts_that_are_billed_in_unknown_ways_are_known_as_such(path) -> None:
    assert not demands.is_free(path)
    assert not unread(path).is_known_route


def test_calls_that_are_not_billed_are_free_and_unread_bodies_are_not() -> None:
    assert demand({"model": "m"}, is_billable=False).is_free
    assert not demand(None).is_free
    assert demand(None).is_known_route
    assert unread("/v1/something/new").is_known_route
