"""From what a provider reports to the row in the ledger: five classes of tokens, who counted them, what they cost.

Prices are worked out by hand from the public ones, in dollars per million tokens: claude-sonnet-4-5 takes 3 for fresh
input, 0.30 for a cache read, 3.75 and 6 for a cache write of 5 minutes and of 1 hour, 15 for output; gpt-4o takes 2.50,
1.25 for cached input and 10.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.live import answers, wire
from tests.live.answers import CLOSE, Answer
from tests.live.provider import Provider
from tests.live.proxies import Proxy

CLASSES = (
    "input_fresh_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
)
SONNET = "claude-sonnet-4-5-20250929"
GPT = "gpt-4o-2024-08-06"


def row_for(proxy: Proxy, provider: Provider, target: str, answer: Answer, **asked: Any) -> dict[str, Any]:
    provider.say(answer)
    body = json.dumps({"model": "asked-for", **asked}).encode()
    heard = wire.ask(proxy.url, wire.request(target=target.encode(), body=body))
    request_id = heard.header(b"x-headroom-request-id")
    assert request_id is not None
    return proxy.row_of(request_id.decode())


def classes(row: dict[str, Any]) -> tuple[int | None, ...]:
    return tuple(row[name] for name in CLASSES)


ANTHROPIC: dict[str, tuple[dict[str, Any], tuple[int | None, ...], int]] = {
    "plain": (
        {"input_tokens": 1000, "output_tokens": 200},
        (1000, None, None, None, 200, None),
        1000 * 3_000 + 200 * 15_000,
    ),
    "cached": (
        {"input_tokens": 12, "cache_read_input_tokens": 90_000, "cache_creation_input_tokens": 2_000, "output_tokens": 7},
        (12, 90_000, 2_000, None, 7, None),
        12 * 3_000 + 90_000 * 300 + 2_000 * 3_750 + 7 * 15_000,
    ),
    "cached for an hour": (
        {
            "input_tokens": 12,
            "cache_read_input_tokens": 0,
            "cache_creation_input_tokens": 2_500,
            "cache_creation": {"ephemeral_5m_input_tokens": 500, "ephemeral_1h_input_tokens": 2_000},
            "output_tokens": 0,
        },
        (12, 0, 500, 2_000, 0, None),
        12 * 3_000 + 500 * 3_750 + 2_000 * 6_000,
    ),
    "odd extras": (
        {"input_tokens": 5, "output_tokens": 6, "server_tool_use": {"web_search_requests": 0}, "service_tier": "standard", "cache_creation": None},
        (5, None, None, None, 6, None),
        5 * 3_000 + 6 * 15_000,
    ),
}  # fmt: skip


@pytest.mark.parametrize("is_streaming", [False, True])
@pytest.mark.parametrize("variant", ANTHROPIC)
def test_messages(proxy: Proxy, provider: Provider, variant: str, is_streaming: bool) -> None:
    usage, expected, cost = ANTHROPIC[variant]
    answer = (
        answers.chunked(answers.message_events(usage=usage))
        if is_streaming
        else answers.json_answer(answers.message(usage=usage))
    )
    row = row_for(proxy, provider, "/v1/messages", answer, stream=is_streaming)
    assert classes(row) == expected
    assert (row["basis"], row["status"], row["http_status"], bool(row["is_streaming"])) == (
        "measured",
        "complete",
        200,
        is_streaming,
    )
    assert (row["cost_nano_usd"], row["price_source"]) == (cost, "genai-prices")
    assert (row["provider"], row["model_asked"], row["model_answered"], row["provider_request_id"]) == (
        "anthropic",
        "asked-for",
        SONNET,
        "req_scripted",
    )
    assert row["latency_ms"] >= row["ttfb_ms"] > 0
    assert row["overhead_ms"] > 0


OPENAI: dict[str, tuple[dict[str, Any], tuple[int | None, ...], int]] = {
    "plain": (
        {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200},
        (1000, None, None, None, 200, None),
        1000 * 2_500 + 200 * 10_000,
    ),
    "cached and reasoned": (
        {
            "prompt_tokens": 2048, "completion_tokens": 300, "total_tokens": 2348,
            "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 128},
        },
        (128, 1920, None, None, 300, 128),
        128 * 2_500 + 1920 * 1_250 + 300 * 10_000,
    ),
    "details that are null": (
        {"prompt_tokens": 10, "completion_tokens": 0, "total_tokens": 10, "prompt_tokens_details": None, "completion_tokens_details": None},
        (10, None, None, None, 0, None),
        10 * 2_500,
    ),
}  # fmt: skip


@pytest.mark.parametrize("is_streaming", [False, True])
@pytest.mark.parametrize("variant", OPENAI)
def test_chat_completions(proxy: Proxy, provider: Provider, variant: str, is_streaming: bool) -> None:
    usage, expected, cost = OPENAI[variant]
    answer = (
        answers.chunked(answers.chat_events(usage=usage))
        if is_streaming
        else answers.json_answer(answers.completion(usage=usage))
    )
    row = row_for(proxy, provider, "/v1/chat/completions", answer, stream=is_streaming)
    assert classes(row) == expected
    assert (row["basis"], row["status"], row["cost_nano_usd"]) == ("measured", "complete", cost)
    assert (row["provider"], row["model_answered"]) == ("openai", GPT)


@pytest.mark.parametrize("final", ["completed", "incomplete", "failed"])
@pytest.mark.parametrize("is_streaming", [False, True])
def test_responses(proxy: Proxy, provider: Provider, is_streaming: bool, final: str) -> None:
    usage = {
        "input_tokens": 2048, "input_tokens_details": {"cached_tokens": 1920},
        "output_tokens": 300, "output_tokens_details": {"reasoning_tokens": 128}, "total_tokens": 2348,
    }  # fmt: skip
    answer = (
        answers.chunked(answers.response_events(usage=usage, final=final))
        if is_streaming
        else answers.json_answer(answers.response(usage=usage, status=final))
    )
    row = row_for(proxy, provider, "/v1/responses", answer, stream=is_streaming)
    assert classes(row) == (128, 1920, None, None, 300, 128)
    assert (row["basis"], row["status"], row["cost_nano_usd"]) == (
        "measured",
        "complete",
        128 * 2_500 + 1920 * 1_250 + 300 * 10_000,
    )


def test_embeddings_have_no_output(proxy: Proxy, provider: Provider) -> None:
    document = {
        "object": "list",
        "data": [{"embedding": [0.5] * 300_000}],
        "model": "text-embedding-3-small",
        "usage": {"prompt_tokens": 1_000_000, "total_tokens": 1_000_000},
    }
    row = row_for(proxy, provider, "/v1/embeddings", answers.json_answer(document))
    assert classes(row) == (1_000_000, None, None, None, 0, None)
    assert (row["basis"], row["cost_nano_usd"]) == (
        "measured",
        20_000_000,
    )  # 1.5 MB of vectors, and its usage at the end


TEXT = "The quick brown fox jumps over the lazy dog. " * 20  # 201 tokens of o200k
ESTIMATED: dict[str, tuple[str, bool, Answer]] = {
    "messages without usage": ("/v1/messages", False, answers.json_answer({**answers.message(TEXT), "usage": None})),
    "chat without usage": ("/v1/chat/completions", False, answers.json_answer(answers.completion(TEXT, usage={}))),
    "chat stream without usage": (
        "/v1/chat/completions",
        True,
        answers.chunked(answers.chat_events([TEXT], has_usage=False)),
    ),
    "responses without usage": ("/v1/responses", False, answers.json_answer({**answers.response(TEXT), "usage": None})),
}


@pytest.mark.parametrize("variant", ESTIMATED)
def test_what_nobody_reported_is_estimated_and_said_to_be(proxy: Proxy, provider: Provider, variant: str) -> None:
    target, is_streaming, answer = ESTIMATED[variant]
    row = row_for(proxy, provider, target, answer, stream=is_streaming, messages=[{"role": "user", "content": TEXT}])
    assert (row["basis"], row["status"]) == ("estimated", "complete")
    assert row["output_tokens"] in (200, 201)
    assert 200 <= row["input_fresh_tokens"] <= 350
    assert row["cost_nano_usd"] > 0


def test_counts_that_make_no_sense_are_not_believed(proxy: Proxy, provider: Provider) -> None:
    usage = {
        "input_tokens": -5,
        "output_tokens": "many",
        "cache_read_input_tokens": 1.5,
        "cache_creation_input_tokens": 2**70,
    }
    row = row_for(proxy, provider, "/v1/messages", answers.json_answer(answers.message("Hi", usage=usage)))
    assert row["basis"] == "estimated"
    assert row["cache_read_tokens"] is None


def test_a_model_without_a_price_costs_nobody_knows_what(proxy: Proxy, provider: Provider) -> None:
    row = row_for(proxy, provider, "/v1/messages", answers.json_answer(answers.message(model="claude-of-tomorrow-9")))
    assert (row["cost_nano_usd"], row["price_source"]) == (None, "")
    assert row["output_tokens"] == 20


@pytest.mark.parametrize("status", [400, 401, 404, 413, 422])
def test_a_providers_refusal_costs_nothing(proxy: Proxy, provider: Provider, status: int) -> None:
    provider.script = lambda _: answers.json_answer(answers.openai_error("no"), status)
    row = row_for(proxy, provider, "/v1/messages", provider.script(None))  # type: ignore[arg-type]
    assert (row["status"], row["http_status"], row["cost_nano_usd"], row["basis"]) == (
        "complete",
        status,
        0,
        "measured",
    )


def test_an_error_in_the_middle_of_a_stream_is_billed_as_far_as_it_was_reported(
    proxy: Proxy, provider: Provider
) -> None:
    error = answers.event(answers.anthropic_error("overloaded_error", "Overloaded"), "error")
    row = row_for(
        proxy, provider, "/v1/messages", answers.chunked([*answers.message_events([TEXT])[:4], error]), stream=True
    )
    assert (row["status"], row["http_status"], row["basis"]) == ("complete", 200, "partial")
    assert (row["input_fresh_tokens"], row["output_tokens"]) == (100, 201)


@pytest.mark.parametrize(
    ("target", "events"),
    [
        ("/v1/messages", answers.message_events([TEXT])[:4]),
        ("/v1/chat/completions", answers.chat_events([TEXT])[:2]),
        ("/v1/responses", answers.response_events([TEXT])[:4]),
    ],
)
@pytest.mark.parametrize("end", [[answers.LAST_CHUNK], [CLOSE]])
def test_a_stream_that_ends_too_early_is_partial(
    proxy: Proxy, provider: Provider, target: str, events: list[bytes], end: Any
) -> None:
    row = row_for(proxy, provider, target, answers.chunked(events, end=end), stream=True)
    assert row["status"] == "partial"
    assert row["output_tokens"] in (200, 201)
    assert row["basis"] == ("partial" if target == "/v1/messages" else "estimated")  # Anthropic reports its input first


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/v1/models"),
        ("POST", "/v1/messages/count_tokens"),
        ("POST", "/v1/files"),
        ("DELETE", "/v1/files/f"),
        ("HEAD", "/"),
    ],
)
def test_what_no_provider_bills_costs_nothing(proxy: Proxy, provider: Provider, method: str, target: str) -> None:
    body = b"{}" if method == "POST" else None
    heard = wire.ask(proxy.url, wire.request(method, target.encode(), body=body), has_body=method != "HEAD")
    row = proxy.row_of((heard.header(b"x-headroom-request-id") or b"").decode())
    assert (row["status"], row["cost_nano_usd"], row["reason"]) == ("complete", 0, "not_a_prompt")


def test_a_batch_is_not_billed_again_whenever_somebody_looks(proxy: Proxy, provider: Provider) -> None:
    batch = {"id": "batch_1", "object": "batch", "model": GPT, "status": "completed"}
    batch["usage"] = {"input_tokens": 1000, "output_tokens": 50}  # type: ignore[assignment]
    row = row_for(proxy, provider, "/v1/batches", answers.json_answer(batch))
    assert (row["cost_nano_usd"], row["output_tokens"]) == (None, None), "nobody knows what it is going to cost"
    for stored in (batch, answers.response()):
        provider.say(answers.json_answer(stored))
        heard = wire.ask(proxy.url, wire.request("GET", b"/v1/batches/batch_1", body=None))
        row = proxy.row_of((heard.header(b"x-headroom-request-id") or b"").decode())
        assert (row["cost_nano_usd"], *classes(row)) == (0, *(None,) * 6)


def test_files_and_streams_of_unknown_routes_are_complete(proxy: Proxy, provider: Provider) -> None:
    speech = answers.whole(b"\x00\xff" * 500, content_type="audio/mpeg")
    unknown = answers.chunked([b"event: new\ndata: {}\n\n"])
    for answer in (speech, unknown):
        assert row_for(proxy, provider, "/v1/audio/new", answer)["status"] == "complete"


def test_labels_come_from_what_agents_say_of_themselves(proxy: Proxy, provider: Provider) -> None:
    def row(lines: dict[str, str], body: dict[str, Any], target: str = "/v1/messages") -> dict[str, Any]:
        encoded = [(key.encode(), value.encode()) for key, value in lines.items()]
        heard = wire.ask(proxy.url, wire.request(target=target.encode(), lines=encoded, body=json.dumps(body).encode()))
        return proxy.row_of((heard.header(b"x-headroom-request-id") or b"").decode())

    claude = row({"user-agent": "claude-cli/2.1 (external, cli)", "x-claude-code-session-id": "cc-1"}, {"model": "m"})
    assert (claude["agent"], claude["session"]) == ("claude-code", "cc-1")
    codex = row({"user-agent": "codex_cli_rs/0.169", "session-id": "cx-1"}, {"model": "m"}, "/v1/responses")
    assert (codex["agent"], codex["session"]) == ("codex", "cx-1")
    hinted = row({}, {"model": "m", "metadata": {"user_id": "user_1_session_ab-cd"}})
    assert (hinted["session"], hinted["user"], hinted["agent"]) == ("ab-cd", "user_1", "")
    cached = row(
        {"x-headroom-user-id": "ada ü"},
        {"model": "m\ud800\x00", "prompt_cache_key": "k1", "user": "bob"},
        "/v1/responses",
    )
    assert (cached["session"], cached["user"]) == ("k1", "ada ü")
    assert cached["model_asked"].startswith("m")


def test_savings_are_on_the_row(proxy: Proxy, provider: Provider) -> None:
    log = "\n".join(f"12:00:{n % 60:02} INFO metering run {n} finished after {n % 7} ms" for n in range(500))
    messages = [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t9", "name": "Bash", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t9", "content": log}]},
    ]
    row = row_for(proxy, provider, "/v1/messages", answers.json_answer(answers.message()), messages=messages)
    assert row["tokens_saved"] == row["tokens_before"] - row["tokens_after"] > 1000
    assert json.loads(row["transforms"])
    assert row["reason"] == ""
