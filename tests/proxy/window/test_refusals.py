from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.window import limits, refusals
from proxy.window.refusals import TooLong
from savings.pricing import PriceBook
from tests.proxy.requests import make_exchange

SAID: list[tuple[dict[str, Any], TooLong | None]] = [
    (
        {"type": "invalid_request_error", "message": "prompt is too long: 208310 tokens > 200000 maximum"},
        TooLong(200000, 208310),
    ),
    (
        {
            "code": "context_length_exceeded",
            "message": "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.",
        },
        TooLong(8192, 9001),
    ),
    (
        {
            "code": 400,
            "message": "This endpoint's maximum context length is 131,072 tokens. However, you requested about 150,000 tokens",
        },
        TooLong(131072, 150000),
    ),
    ({"code": "context_length_exceeded", "message": "Your input exceeds the context window of this model."}, TooLong()),
    (
        {
            "type": "exceed_context_size_error",
            "message": "the request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it",
        },
        TooLong(4096, 5000),
    ),
    (
        {"message": "This model's maximum prompt length is 131072 but the request contains 537812 tokens."},
        TooLong(131072, 537812),
    ),
    (
        {
            "code": 400,
            "message": "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        },
        TooLong(1048576, 1200000),
    ),
    (
        {
            "code": "context_length_exceeded",
            "message": "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 290000 tokens.",
        },
        TooLong(272000, 290000),
    ),
    (
        {"code": "context_length_exceeded", "message": "Current length is 9000 while limit is 8192"},
        TooLong(8192, 9000),
    ),
    ({"message": "Invalid request: Your request exceeded model token limit: 131072"}, TooLong(131072)),
    ({"code": "1261", "message": "Prompt exceeds max length"}, TooLong()),
    ({"message": "`stop` exceeds the maximum length of 4 entries"}, None),
    ({"message": "input length and `max_tokens` exceed context limit: 190000 + 21333 > 200000"}, None),
    ({"type": "invalid_request_error", "message": "messages.3: tool_use ids were found without tool_result"}, None),
    ({"message": 5}, None),
]


@pytest.mark.parametrize(("error", "meant"), SAID)
def test_a_prompt_that_is_too_long_is_told_from_other_errors(error: dict[str, Any], meant: TooLong | None) -> None:
    body = json.dumps({"type": "error", "error": error}).encode()
    assert refusals.read(400, body) == meant
    assert refusals.read(500, body) is None


def test_an_error_may_stand_in_a_list_or_by_itself() -> None:
    said = {"object": "error", "message": "This model's maximum context length is 8192 tokens.", "code": 400}
    assert refusals.read(400, json.dumps(said).encode()) == TooLong(8192)
    assert refusals.read(400, json.dumps([{"error": said}]).encode()) == TooLong(8192)


@pytest.mark.parametrize("body", [b"", b"prompt is too long", b'{"error":"prompt is too long"}', b"[1]", b"\xff"])
def test_what_is_no_error_body_says_nothing(body: bytes) -> None:
    assert refusals.read(400, body) is None


def test_betas_widen_a_window_that_is_known() -> None:
    prices = PriceBook()
    plain, wide = make_exchange(), make_exchange(anthropic_beta="tools-1,context-1m-2025-08-07")

    def window(client: Any, model: str) -> int | None:
        return limits.context_tokens(
            prices, client, provider="anthropic", upstream="https://api.anthropic.com", model=model
        )

    assert window(plain, "claude-sonnet-4-5") is None, "the list is not in memory yet"
    prices.warm()
    assert window(plain, "claude-sonnet-4-5") == 200_000
    assert window(wide, "claude-sonnet-4-5") == 1_000_000
    assert window(plain, "claude-sonnet-4-5[1m]") == 1_000_000
    assert window(wide, "nobody-knows") is None
