from __future__ import annotations

import json
from typing import Any

import pytest

from proxy import demands
from proxy.providers import anthropic, openai_chat, openai_responses
from proxy.values import Plan


@pytest.mark.parametrize(
    ("provider", "answer", "tier"),
    [
        (anthropic, {"usage": {"service_tier": "standard"}}, "standard"),
        (anthropic, {"usage": {"service_tier": "priority", "speed": "standard"}}, "priority"),
        (anthropic, {"usage": {"service_tier": "standard", "speed": "fast"}}, "fast"),
        (anthropic, {"usage": {"service_tier": 7}}, ""),
        (openai_chat, {"service_tier": "flex"}, "flex"),
        (openai_chat, {"service_tier": "default"}, "standard"),
        (openai_chat, {"service_tier": None}, ""),
        (openai_responses, {"service_tier": "priority"}, "priority"),
    ],
)
def test_answers_say_which_tier_was_used(provider: Any, answer: dict[str, Any], tier: str) -> None:
    meter = provider.meter(is_event_stream=False)
    meter.feed(json.dumps(answer).encode())
    assert meter.reading().tier == tier


@pytest.mark.parametrize(
    ("provider", "events"),
    [
        (anthropic, [{"type": "message_start", "message": {"usage": {"service_tier": "priority"}}}]),
        (openai_chat, [{"choices": [], "service_tier": "priority"}, {"choices": [], "usage": {}}]),
        (openai_responses, [{"type": "response.completed", "response": {"service_tier": "priority"}}]),
    ],
)
def test_streams_say_it_too(provider: Any, events: list[dict[str, Any]]) -> None:
    meter = provider.meter(is_event_stream=True)
    for event in events:
        meter.feed(b"data: " + json.dumps(event).encode() + b"\n\n")
    assert meter.reading().tier == "priority"


@pytest.mark.parametrize(
    ("fields", "tier"),
    [({}, ""), ({"service_tier": "auto"}, ""), ({"service_tier": "flex"}, "flex"), ({"speed": "fast"}, "fast")],
)
def test_requests_say_which_tier_they_want(fields: dict[str, str], tier: str) -> None:
    call = openai_chat.parse(json.dumps({"model": "m", **fields}).encode())
    demand = demands.demand(
        call, Plan(), provider="openai", upstream="u", route="/v1/chat/completions", path="/v1/chat/completions"
    )
    assert demand.tier == demands.tier(call.document) == tier
