"""Anthropic's own client through the proxy: what works without us works with us."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import httpx
import pytest
import pytest_asyncio

from tests.live import answers
from tests.live.answers import FOREVER
from tests.live.provider import Provider
from tests.live.proxies import Proxy

MODEL = "claude-scripted"
ASK: Any = {"model": MODEL, "max_tokens": 50, "messages": [{"role": "user", "content": "Grüß dich"}]}
TOOL: Any = {
    "name": "look_up",
    "description": "Look something up.",
    "input_schema": {"type": "object", "properties": {"word": {"type": "string"}}},
}


@pytest.fixture
def client(proxy: Proxy) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=proxy.url, api_key="sk-ant-test", max_retries=0, timeout=60) as client:
        yield client


@pytest_asyncio.fixture
async def async_client(proxy: Proxy) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=proxy.url, api_key="sk-ant-test", max_retries=0, timeout=60) as client:
        yield client


def test_a_message_is_created(client: anthropic.Anthropic, provider: Provider) -> None:
    message = client.messages.create(**ASK)
    assert message.content[0].text == "Hello"
    assert message.usage.input_tokens == 100
    assert message._request_id == "req_scripted"
    assert provider.last.json == ASK


CALLS: dict[str, Any] = {
    "create": lambda client: client.messages.create(**ASK),
    "stream": lambda client: list(client.messages.create(**ASK, stream=True)),
    "beta": lambda client: client.beta.messages.create(
        **ASK, betas=["one-2025-08-07", "two"], extra_body={"brand_new": {"deep": [1]}}, extra_headers={"x-odd": "ü"}
    ),
    "count": lambda client: client.messages.count_tokens(model=MODEL, messages=ASK["messages"]),
    "models": lambda client: client.models.list(limit=5, before_id="a/b c"),
    "batch": lambda client: client.messages.batches.create(requests=[{"custom_id": "a", "params": ASK}]),
    "upload": lambda client: client.beta.files.upload(file=("ä.txt", b"\x00\xff" * 50_000)),
    "delete": lambda client: client.beta.files.delete("file_1"),
}


@pytest.mark.parametrize("call", CALLS)
def test_the_provider_sees_the_same_request_with_and_without_us(
    client: anthropic.Anthropic, provider: Provider, call: str
) -> None:
    with anthropic.Anthropic(base_url=provider.url, api_key="sk-ant-test", max_retries=0, timeout=60) as direct:
        for one in (direct, client):
            CALLS[call](one)
    alone, through = provider.requests
    ignored = (b"content-type",) if call == "upload" else ()  # its boundary is random
    assert through.lines(but=ignored) == alone.lines(but=ignored)
    assert (through.method, through.target) == (alone.method, alone.target)
    assert through.body == alone.body or (call == "upload" and len(through.body) == len(alone.body))


async def test_a_message_is_created_asynchronously(async_client: anthropic.AsyncAnthropic) -> None:
    message = await async_client.messages.create(**ASK)
    assert message.content[0].text == "Hello"


def test_a_message_is_streamed(client: anthropic.Anthropic, provider: Provider) -> None:
    provider.say(answers.chunked(answers.message_events(["Gr", "üß", " dich"])))
    with client.messages.stream(**ASK) as stream:
        assert list(stream.text_stream) == ["Gr", "üß", " dich"]
        final = stream.get_final_message()
    assert final.usage.output_tokens == 20
    assert final.stop_reason == "end_turn"


async def test_a_message_is_streamed_asynchronously_whatever_the_cuts(
    async_client: anthropic.AsyncAnthropic, provider: Provider
) -> None:
    provider.say(answers.chunked(answers.recut(answers.message_events(["Gr", "üß", " 🙂"]), 7)))
    async with async_client.messages.stream(**ASK) as stream:
        assert [text async for text in stream.text_stream] == ["Gr", "üß", " 🙂"]


def test_tools_are_called_and_answered(client: anthropic.Anthropic, provider: Provider) -> None:
    use = {"type": "tool_use", "id": "toolu_1", "name": "look_up", "input": {"word": "ä"}}
    provider.say(answers.json_answer(answers.message(content=[use], stop_reason="tool_use")))
    asked = client.messages.create(**ASK, tools=[TOOL])
    assert asked.content[0].input == {"word": "ä"}
    history: Any = [*ASK["messages"], {"role": "assistant", "content": asked.content}]
    history.append(
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "a vowel"}]}
    )
    answered = client.messages.create(**(ASK | {"messages": history}), tools=[TOOL])
    assert answered.content[0].text == "Hello"
    assert provider.last.json["messages"][2]["content"][0]["content"] == "a vowel"


def test_a_tool_call_is_streamed(client: anthropic.Anthropic, provider: Provider) -> None:
    events = [
        answers.event(
            {"type": "message_start", "message": answers.message(content=[], stop_reason=None)}, "message_start"
        ),
        answers.event(
            {
                "type": "content_block_start",
                "index": 0,
                "content_block": {"type": "tool_use", "id": "t", "name": "look_up", "input": {}},
            },
            "content_block_start",
        ),
        answers.event(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "input_json_delta", "partial_json": '{"word": '},
            },
            "content_block_delta",
        ),
        answers.event(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": '"ä"}'}},
            "content_block_delta",
        ),
        answers.event({"type": "content_block_stop", "index": 0}, "content_block_stop"),
        answers.event(
            {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}},
            "message_delta",
        ),
        answers.event({"type": "message_stop"}, "message_stop"),
    ]
    provider.say(answers.chunked(events))
    with client.messages.stream(**ASK, tools=[TOOL]) as stream:
        final = stream.get_final_message()
    assert final.content[0].input == {"word": "ä"}


@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (400, "invalid_request_error", anthropic.BadRequestError),
        (401, "authentication_error", anthropic.AuthenticationError),
        (403, "permission_error", anthropic.PermissionDeniedError),
        (404, "not_found_error", anthropic.NotFoundError),
        (413, "request_too_large", anthropic.APIStatusError),
        (422, "invalid_request_error", anthropic.UnprocessableEntityError),
    ],
)
def test_errors_keep_their_type_and_words(
    client: anthropic.Anthropic, provider: Provider, status: int, kind: str, error: type[anthropic.APIStatusError]
) -> None:
    provider.say(answers.json_answer(answers.anthropic_error(kind, "scripted trouble"), status))
    with pytest.raises(error, match="scripted trouble") as raised:
        client.messages.create(**ASK)
    assert raised.value.body["error"]["type"] == kind
    assert raised.value.request_id == "req_scripted"
    assert len(provider.requests) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [(500, anthropic.InternalServerError), (529, anthropic.InternalServerError), (429, anthropic.RateLimitError)],
)
def test_an_error_that_says_not_to_retry_is_relayed_at_once(
    client: anthropic.Anthropic, provider: Provider, status: int, error: type[Exception]
) -> None:
    provider.say(
        answers.json_answer(answers.anthropic_error("api_error", "do not"), status, [("x-should-retry", "false")])
    )
    with pytest.raises(error, match="do not"):
        client.messages.create(**ASK)
    assert len(provider.requests) == 1


def test_an_error_event_in_a_stream_is_raised(client: anthropic.Anthropic, provider: Provider) -> None:
    error = answers.event(answers.anthropic_error("overloaded_error", "Overloaded"), "error")
    provider.say(answers.chunked([*answers.message_events()[:4], error]))
    with pytest.raises(anthropic.APIStatusError, match="Overloaded"), client.messages.stream(**ASK) as stream:
        stream.get_final_message()


def test_busy_answers_are_tried_again_by_the_proxy(
    client: anthropic.Anthropic, provider: Provider, proxy: Proxy
) -> None:
    busy = answers.json_answer(answers.anthropic_error("overloaded_error", "Overloaded"), 529, [("retry-after", "0")])
    provider.say(busy, busy)
    raw = client.messages.with_raw_response.create(**ASK)
    assert raw.parse().content[0].text == "Hello"
    assert len(provider.requests) == 3
    assert len({request.body for request in provider.requests}) == 1
    rows = proxy.rows_of(raw.headers["x-headroom-request-id"], count=3)
    assert [(row["attempt"], row["http_status"], row["status"]) for row in rows] == [
        (0, 529, "complete"),
        (1, 529, "complete"),
        (2, 200, "complete"),
    ]
    assert [row["cost_nano_usd"] for row in rows] == [0, 0, 600_000]


def test_a_long_wait_is_left_to_the_client(client: anthropic.Anthropic, provider: Provider) -> None:
    provider.say(
        answers.json_answer(answers.anthropic_error("rate_limit_error", "slow down"), 429, [("retry-after", "3600")])
    )
    with pytest.raises(anthropic.RateLimitError, match="slow down") as raised:
        client.messages.create(**ASK)
    assert raised.value.response.headers["retry-after"] == "3600"
    assert len(provider.requests) == 1


def test_the_clients_own_retries_work(proxy: Proxy, provider: Provider) -> None:
    refused = answers.json_answer(
        answers.anthropic_error("rate_limit_error", "slow down"),
        429,
        [("retry-after-ms", "30000"), ("x-should-retry", "true")],
    )
    provider.say(refused)
    waits: list[float] = []
    with anthropic.Anthropic(base_url=proxy.url, api_key="sk-ant-test", max_retries=1, timeout=60) as client:
        client._calculate_retry_timeout = lambda *_: waits.append(0.0) or 0.0  # type: ignore[method-assign, func-returns-value]
        assert client.messages.create(**ASK).content[0].text == "Hello"
    assert len(waits) == 1
    assert len(provider.requests) == 2
    assert provider.last.header("x-stainless-retry-count") == "1"


def test_an_html_error_comes_through_as_it_is(client: anthropic.Anthropic, provider: Provider) -> None:
    page = b"<html><body>Bad Gateway</body></html>"
    provider.say(answers.whole(page, 502, [("x-should-retry", "false")], content_type="text/html"))
    with pytest.raises(anthropic.InternalServerError) as raised:
        client.messages.create(**ASK)
    assert raised.value.response.content == page
    assert raised.value.response.headers["content-type"] == "text/html"


def test_a_clients_timeout_ends_the_call_upstream_too(client: anthropic.Anthropic, provider: Provider) -> None:
    provider.say([FOREVER])
    with pytest.raises(anthropic.APITimeoutError):
        client.with_options(timeout=0.3).messages.create(**ASK)
    provider.wait_until(lambda: provider.last.is_left)


async def test_cancelling_ends_the_call_upstream_too(
    async_client: anthropic.AsyncAnthropic, provider: Provider
) -> None:
    provider.say(answers.chunked([*answers.message_events()[:4], FOREVER]))

    async def read() -> None:
        async with async_client.messages.stream(**ASK) as stream:
            async for _ in stream.text_stream:
                seen.set()

    seen = asyncio.Event()
    reading = asyncio.create_task(read())
    await asyncio.wait_for(seen.wait(), 60)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await asyncio.to_thread(provider.wait_until, lambda: provider.last.is_left)


def test_tokens_are_counted_for_nothing(client: anthropic.Anthropic, proxy: Proxy) -> None:
    raw = client.messages.with_raw_response.count_tokens(model=MODEL, messages=ASK["messages"])
    assert raw.parse().input_tokens == 42
    assert proxy.row_of(raw.headers["x-headroom-request-id"])["cost_nano_usd"] == 0


def test_models_are_listed_and_found(client: anthropic.Anthropic, provider: Provider) -> None:
    model = {"id": MODEL, "type": "model", "display_name": "Sonnet", "created_at": "2025-01-01T00:00:00Z"}
    provider.say(
        answers.json_answer({"data": [model], "has_more": False, "first_id": MODEL, "last_id": MODEL}),
        answers.json_answer(model),
    )
    assert [one.id for one in client.models.list(limit=5)] == [MODEL]
    assert provider.last.target == b"/v1/models?limit=5"
    assert client.models.retrieve(MODEL).display_name == "Sonnet"


def test_a_refused_connection_is_an_error_in_anthropics_words(start_proxy: Any) -> None:
    proxy = start_proxy("--retry-max-attempts", "1", upstream_url="http://127.0.0.1:9")
    with (
        anthropic.Anthropic(base_url=proxy.url, api_key="sk-ant-test", max_retries=0) as client,
        pytest.raises(anthropic.InternalServerError) as raised,
    ):
        client.messages.create(**ASK)
    assert raised.value.status_code == httpx.codes.BAD_GATEWAY
    assert raised.value.body["error"]["type"] == "api_error"
    assert "127.0.0.1:9" in raised.value.message
