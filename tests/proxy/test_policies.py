"""What the settings make of the engine's policy."""

from __future__ import annotations

from typing import Any

import pytest

from headroom import pipeline
from headroom.values import ToolCall
from proxy import policies

BASH = ToolCall("Bash", '{"command": "cat app.log"}')
LOG = "\n".join(f"2024-01-02 03:04:{at % 60:02} INFO served /items/{at * 7} in {at % 90} ms" for at in range(600))


@pytest.mark.parametrize("name", ["LOSSLESS", "NO_CCR"])
def test_where_nothing_may_be_left_out_no_tool_goes_further(settings: Any, name: str) -> None:
    setattr(settings, name, True)
    settings.TOOL_LEVELS = {"Bash": "deep"}
    policy = policies.usual("ask /there/{hash}")
    assert (policy.level, policy.tool_levels) == ("lossless", ())
    assert not pipeline.shrink(LOG, call=BASH, policy=policy).is_lossy


def test_tools_are_named_in_any_case_and_with_a_star(settings: Any) -> None:
    settings.EXCLUDE_TOOLS = ["read", "mcp__db__*"]
    settings.TOOL_LEVELS = {"BASH": "lossless", "*": "deep"}
    policy = policies.usual("")

    def outcome(name: str) -> pipeline.Shrunk:
        return pipeline.shrink(LOG, call=ToolCall(name, BASH.arguments), policy=policy)

    assert [outcome(name).reason for name in ("Read", "mcp__db__query", "READ")] == ["excluded"] * 3
    assert (outcome("Bash").level, outcome("Other").level) == ("lossless", "deep")


def test_the_other_settings_are_passed_on(settings: Any) -> None:
    settings.CODE_AWARE, settings.TARGET_RATIO = False, 0.4
    policy = policies.usual("x")
    assert (policy.code_aware, policy.target_ratio, policy.retrieval, policy.level) == (False, 0.4, "x", "balanced")


def test_code_awareness_is_told(settings: Any) -> None:
    assert policies.code_awareness() == "on"
    settings.CODE_AWARE = False
    assert policies.code_awareness() == "off"
