"""Whole conversations: three dialects, what is touched, what the result says."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from headroom import Policy, Scope, compress, tokens

LOG = "\n".join(f"2024-01-02 03:04:{at % 60:02} INFO served /items/{at * 7} in {at % 90} ms" for at in range(600))
ARGUMENTS = {"command": "cat app.log"}

CHAT: list[dict[str, Any]] = [
    {"role": "system", "content": "You are helpful. " * 80},
    {"role": "user", "content": LOG},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "Bash", "arguments": json.dumps(ARGUMENTS)}}
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "content": LOG, "vendor_field": 7},
]
RESPONSES: list[dict[str, Any]] = [
    {"type": "function_call", "call_id": "c1", "name": "Bash", "arguments": json.dumps(ARGUMENTS)},
    {"type": "function_call_output", "call_id": "c1", "output": LOG},
]
ANTHROPIC: list[dict[str, Any]] = [
    {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "Bash", "input": ARGUMENTS}]},
    {
        "role": "user",
        "content": [
            {
                "type": "tool_result",
                "tool_use_id": "c1",
                "content": [{"type": "text", "text": LOG}, {"type": "image", "source": {"data": "aGk="}}],
                "cache_control": {"type": "ephemeral"},
            },
            {"type": "text", "text": LOG},
        ],
    },
]


def result_text(message: dict[str, Any]) -> str:
    if "output" in message:
        return str(message["output"])
    content = message["content"]
    return content if isinstance(content, str) else str(content[0]["content"][0]["text"])


@pytest.mark.parametrize("messages", [CHAT, RESPONSES, ANTHROPIC], ids=["chat", "responses", "anthropic"])
def test_tool_results_of_every_dialect_are_shrunk(messages: list[dict[str, Any]]) -> None:
    given = copy.deepcopy(messages)
    result = compress(messages, model="gpt-4o")
    assert messages == given
    assert len(result.messages) == len(messages)
    assert "more like it" in result_text(result.messages[-1])
    assert result.transforms_applied == [f"router:log_templates:{result.transforms_applied[0].rsplit(':')[-1]}"]
    assert result.transforms_summary == {"router:log_templates": 1}
    assert [*result.originals.items()] == [(result.ccr_hashes[0], LOG)]


def test_all_but_the_text_of_results_stays_as_it_is() -> None:
    result = compress(ANTHROPIC, model="claude")
    block = result.messages[1]["content"][0]
    assert {**block, "content": None} == {**ANTHROPIC[1]["content"][0], "content": None}
    assert block["content"][1] == ANTHROPIC[1]["content"][0]["content"][1]
    assert result.messages[1]["content"][1] == ANTHROPIC[1]["content"][1]
    assert compress(CHAT, model="x").messages[:3] == CHAT[:3]
    assert compress(CHAT, model="x").messages[3]["vendor_field"] == 7


def test_the_sums_are_those_of_the_messages() -> None:
    result = compress(CHAT, model="gpt-4o")
    assert result.tokens_before - result.tokens_after == result.tokens_saved > 0
    assert result.tokens_saved == tokens.count(LOG) - tokens.count(result_text(result.messages[3]))
    assert result.compression_ratio == round(result.tokens_after / result.tokens_before, 2)


def test_user_and_system_text_only_where_asked() -> None:
    assert "more like it" in compress(CHAT, model="x", scope=Scope(user_text=True)).messages[1]["content"]
    assert (
        "more like it" in compress(ANTHROPIC, model="x", scope=Scope(user_text=True)).messages[1]["content"][1]["text"]
    )
    assert compress(CHAT, model="x", scope=Scope(system_text=True)).messages[1] == CHAT[1]


@pytest.mark.parametrize("scope", [Scope(frozen_messages=4), Scope(recent_messages=1)])
def test_the_frozen_beginning_and_the_recent_end_are_not_touched(scope: Scope) -> None:
    assert compress(CHAT, model="x", scope=scope).messages == CHAT


def test_explain_tells_of_every_text_what_was_tried() -> None:
    (block,) = compress(CHAT, model="x", explain=True).explain
    assert (block.message, block.tool, block.kind, block.form, block.reason) == (3, "Bash", "logs", "log_templates", "")
    assert {attempt.name for attempt in block.attempts} >= {"log_templates"}
    (block,) = compress(CHAT, model="x", policy=Policy(excluded_tools=frozenset(["Bash"])), explain=True).explain
    assert block.reason == "excluded"


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"role": "tool"},
        {"role": "tool", "content": 7},
        {"role": "tool", "content": [1, None, {"text": 3}]},
        {"role": "user", "content": [[], {"type": "tool_result"}]},
        {"role": "assistant", "tool_calls": [{"id": 3, "function": "x"}, 4]},
        {"type": "function_call_output", "output": None},
        {"type": 7, "content": {"a": 1}},
    ],
)
def test_shapes_that_are_not_known_pass_through(odd: dict[str, Any]) -> None:
    result = compress([odd], model="x")
    assert result.messages == [odd]
    assert result.tokens_saved == 0
