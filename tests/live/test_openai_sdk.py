"""OpenAI's own client through the proxy: chat, Responses, embeddings and everything around them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest
import pytest_asyncio

from tests.live import answers
from tests.live.answers import CLOSE, FOREVER
from tests.live.provider import Provider
from tests.live.proxies import Proxy

MODEL = "gpt-scripted"
CHAT: Any = {"model": MODEL, "messages": [{"role": "user", "content": "Grüß dich"}]}
ASK: Any = {"model": MODEL, "input": "Grüß dich"}
TOOL: Any = {
    "type": "function",
    "function": {"name": "look_up", "parameters": {"type": "object", "properties": {"word": {"type": "string"}}}},
}


@pytest.fixture
def client(proxy: Proxy) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=proxy.v1, api_key="sk-test", max_retries=0, timeout=60) as client:
        yield client


@pytest_asyncio.fixture
async def async_client(proxy: Proxy) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=proxy.v1, api_key="sk-test", max_retries=0, timeout=60) as client:
        yield client


CALLS: dict[str, Any] = {
    "chat": lambda client: client.chat.completions.create(**CHAT),
    "chat stream with usage": lambda client: list(
        client.chat.completions.create(**CHAT, stream=True, stream_options={"include_usage": True})
    ),
    "responses": lambda client: client.responses.create(**ASK),
    "responses stream": lambda client: list(client.responses.create(**ASK, stream=True)),
    "responses get": lambda client: client.responses.retrieve("resp_1", include=["reasoning.encrypted_content"]),
    "embeddings": lambda client: client.embeddings.create(model="text-embedding-3-small", input=["a", "ä"]),
    "models": lambda client: client.models.list(),
    "stored completions": lambda client: client.chat.completions.list(limit=3),
    "stored completion": lambda client: client.chat.completions.retrieve("chatcmpl-1"),
    "unknown fields": lambda client: client.chat.completions.create(
        **CHAT, extra_body={"new": 1.0}, extra_headers={"x-odd": "1"}
    ),
    "file": lambda client: client.files.create(file=("ä.jsonl", b"\x00\xff" * 50_000), purpose="batch"),
    "batch": lambda client: client.batches.create(
        input_file_id="file-1", endpoint="/v1/chat/completions", completion_window="24h"
    ),
    "delete": lambda client: client.files.delete("file-1"),
    "moderation": lambda client: client.moderations.create(input="a"),
}


@pytest.mark.parametrize("call", CALLS)
def test_the_provider_sees_the_same_request_with_and_without_us(
    client: openai.OpenAI, provider: Provider, call: str
) -> None:
    with openai.OpenAI(base_url=f"{provider.url}/v1", api_key="sk-test", max_retries=0, timeout=60) as direct:
        for one in (direct, client):
            CALLS[call](one)
    alone, through = provider.requests
    ignored = (b"content-type",) if call == "file" else ()  # its boundary is random
    assert through.lines(but=ignored) == alone.lines(but=ignored)
    assert (through.method, through.target) == (alone.method, alone.target)
    assert through.body == alone.body or (call == "file" and len(through.body) == len(alone.body))


def test_a_completion_is_created(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(**CHAT)
    assert answer.choices[0].message.content == "Hello"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 100
    assert answer._request_id == "req_scripted"


async def test_a_completion_is_created_asynchronously(async_client: openai.AsyncOpenAI) -> None:
    answer = await async_client.chat.completions.create(**CHAT)
    assert answer.choices[0].message.content == "Hello"


def test_a_stream_has_usage_only_when_it_was_asked_for(client: openai.OpenAI, provider: Provider) -> None:
    plain = list(client.chat.completions.create(**CHAT, stream=True))
    assert provider.last.json["stream_options"] == {"include_usage": True}
    assert all(chunk.choices for chunk in plain)
    asked = list(client.chat.completions.create(**CHAT, stream=True, stream_options={"include_usage": True}))
    assert asked[-1].choices == []
    assert asked[-1].usage is not None
    assert asked[-1].usage.total_tokens == 120
    texts = [
        "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) for chunks in (plain, asked)
    ]
    assert texts == ["Hello", "Hello"]


async def test_a_stream_arrives_asynchronously_whatever_the_cuts(
    async_client: openai.AsyncOpenAI, provider: Provider
) -> None:
    provider.say(answers.chunked(answers.recut(answers.chat_events(["Gr", "üß", " 🙂"]), 5)))
    stream = await async_client.chat.completions.create(**CHAT, stream=True)
    assert [chunk.choices[0].delta.content async for chunk in stream] == ["", "Gr", "üß", " 🙂", None]


def test_tools_are_called_and_answered(client: openai.OpenAI, provider: Provider) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": '{"word": "ä"}'}}
    provider.say(
        answers.json_answer(answers.completion(message={"role": "assistant", "content": None, "tool_calls": [call]}))
    )
    message = client.chat.completions.create(**CHAT, tools=[TOOL]).choices[0].message
    assert message.tool_calls is not None
    assert message.tool_calls[0].function.arguments == '{"word": "ä"}'
    history: Any = [*CHAT["messages"], message, {"role": "tool", "tool_call_id": "call_1", "content": "a vowel"}]
    assert client.chat.completions.create(**(CHAT | {"messages": history})).choices[0].message.content == "Hello"
    assert provider.last.json["messages"][2]["content"] == "a vowel"


def test_a_response_is_created(client: openai.OpenAI) -> None:
    answer = client.responses.create(**ASK)
    assert answer.output_text == "Hello"
    assert answer.usage is not None
    assert answer.usage.input_tokens == 100


@pytest.mark.parametrize("kept", [{"previous_response_id": "resp_1"}, {"conversation": "conv_1"}])
def test_a_result_is_shortened_where_the_provider_keeps_the_conversation(
    client: openai.OpenAI, provider: Provider, kept: Any
) -> None:
    output = "\n".join(f"2024-01-02 03:04:{at:02} INFO served /{next(iter(kept))} in 3 ms" for at in range(50))
    result = {"type": "function_call_output", "call_id": "call_1", "output": output}
    for _ in range(2):  # and again in the same form
        client.responses.create(model=MODEL, input=[result], **kept)
        sent = provider.last.json
        assert sent | {"input": None} == {"model": MODEL, "input": None, **kept}
        assert sent["input"][0] | {"output": ""} == result | {"output": ""}
        assert len(sent["input"][0]["output"]) < len(output) / 2


@pytest.mark.parametrize("size", [9, 100_000])
def test_a_response_is_streamed(client: openai.OpenAI, provider: Provider, size: int) -> None:
    provider.say(answers.chunked(answers.recut(answers.response_events(["Gr", "üß"]), size)))
    events = list(client.responses.create(**ASK, stream=True))
    assert [event.delta for event in events if event.type == "response.output_text.delta"] == ["Gr", "üß"]
    assert events[-1].response.output_text == "Grüß"


async def test_a_response_is_streamed_asynchronously(async_client: openai.AsyncOpenAI) -> None:
    async with async_client.responses.stream(model=MODEL, input="Hallo") as stream:
        types = [event.type async for event in stream]
    assert types[-1] == "response.completed"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (422, openai.UnprocessableEntityError),
    ],
)
@pytest.mark.parametrize("is_streaming", [False, True])
def test_errors_keep_their_type_and_words(
    client: openai.OpenAI, provider: Provider, status: int, error: type[openai.APIStatusError], is_streaming: bool
) -> None:
    provider.script = lambda _: answers.json_answer(
        answers.openai_error("scripted trouble", code="odd"), status, [("x-should-retry", "false")]
    )
    with pytest.raises(error, match="scripted trouble") as raised:
        client.chat.completions.create(**CHAT, stream=is_streaming)
    assert raised.value.code == "odd"
    assert raised.value.request_id == "req_scripted"


def test_a_provider_that_knows_no_stream_options_is_asked_again_without(
    client: openai.OpenAI, provider: Provider, proxy: Proxy
) -> None:
    provider.say(answers.json_answer(answers.openai_error("Unknown parameter: stream_options"), 400))
    with client.chat.completions.with_streaming_response.create(**CHAT, stream=True) as raw:
        assert "[DONE]" in raw.read().decode()
        request_id = raw.headers["x-headroom-request-id"]
    assert "stream_options" not in provider.last.json
    rows = proxy.rows_of(request_id, count=2)
    assert [(row["http_status"], row["basis"]) for row in rows] == [(400, "measured"), (200, "estimated")]


def test_rate_limits_are_waited_for_by_the_proxy(client: openai.OpenAI, provider: Provider) -> None:
    provider.say(answers.json_answer(answers.openai_error("slow down"), 429, [("retry-after-ms", "10")]))
    assert client.chat.completions.create(**CHAT).choices[0].message.content == "Hello"
    assert len(provider.requests) == 2


def test_a_stream_is_tried_again_before_its_first_byte_and_not_after(client: openai.OpenAI, provider: Provider) -> None:
    provider.say(answers.json_answer(answers.openai_error("try again"), 500, [("retry-after", "0")]))
    provider.say(answers.chunked([*answers.chat_events()[:3], CLOSE], end=()))
    with pytest.raises(openai.APIConnectionError):
        list(client.chat.completions.create(**CHAT, stream=True))
    assert len(provider.requests) == 2


def test_a_clients_timeout_ends_the_call_upstream_too(client: openai.OpenAI, provider: Provider) -> None:
    provider.say([FOREVER])
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.3).responses.create(**ASK)
    provider.wait_until(lambda: provider.last.is_left)


async def test_cancelling_ends_the_call_upstream_too(async_client: openai.AsyncOpenAI, provider: Provider) -> None:
    provider.say(answers.chunked([*answers.response_events()[:2], FOREVER]))

    async def read() -> None:
        async for _ in await async_client.responses.create(**ASK, stream=True):
            seen.set()

    seen = asyncio.Event()
    reading = asyncio.create_task(read())
    await asyncio.wait_for(seen.wait(), 60)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await asyncio.to_thread(provider.wait_until, lambda: provider.last.is_left)


def test_closing_a_stream_early_ends_the_call_upstream_too(client: openai.OpenAI, provider: Provider) -> None:
    provider.say(answers.chunked([*answers.chat_events()[:2], FOREVER]))
    with client.chat.completions.create(**CHAT, stream=True) as stream:
        next(stream)
    provider.wait_until(lambda: provider.last.is_left)


def test_embeddings_are_metered(client: openai.OpenAI, proxy: Proxy) -> None:
    raw = client.embeddings.with_raw_response.create(model="text-embedding-3-small", input="a", encoding_format="float")
    assert raw.parse().data[0].embedding == [0.25, -0.5]
    row = proxy.row_of(raw.headers["x-headroom-request-id"])
    assert (row["route"], row["input_fresh_tokens"], row["output_tokens"]) == ("/v1/embeddings", 8, 0)
    assert row["cost_nano_usd"] == 160  # 8 tokens at $0.02 a million


def test_a_base_url_without_v1_works(proxy: Proxy, provider: Provider) -> None:
    with openai.OpenAI(base_url=proxy.url, api_key="sk-test", max_retries=0, timeout=60) as client:
        assert client.chat.completions.create(**CHAT).choices[0].message.content == "Hello"
        assert client.responses.create(**ASK).output_text == "Hello"
        client.embeddings.create(model="m", input="a")
        client.models.list()
    assert [request.target for request in provider.requests] == [
        b"/v1/chat/completions",
        b"/v1/responses",
        b"/v1/embeddings",
        b"/v1/models",
    ]


def test_a_project_in_the_path_is_attribution(proxy: Proxy, provider: Provider) -> None:
    with openai.OpenAI(base_url=f"{proxy.url}/p/my%20shop/v1", api_key="sk-test", max_retries=0, timeout=60) as client:
        raw = client.chat.completions.with_raw_response.create(
            **CHAT, extra_headers={"x-headroom-user-id": "ada", "x-headroom-session-id": "s1"}
        )
    assert provider.last.target == b"/v1/chat/completions"
    assert not [key for key, _ in provider.last.header_lines if key.lower().startswith(b"x-headroom")]
    row = proxy.row_of(raw.headers["x-headroom-request-id"])
    assert (row["project"], row["user"], row["session"], row["agent"]) == ("my shop", "ada", "s1", "openai-sdk")


def test_a_provider_that_breaks_off_before_answering_is_an_error_in_openais_words(
    client: openai.OpenAI, provider: Provider
) -> None:
    provider.say([CLOSE])
    with pytest.raises(openai.InternalServerError) as raised:
        client.chat.completions.create(**CHAT)
    assert raised.value.status_code == 502
    assert raised.value.code == "upstream_broke"
    assert len(provider.requests) == 1  # it may have worked and billed: never sent again
