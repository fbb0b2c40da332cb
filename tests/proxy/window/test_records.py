from __future__ import annotations

from typing import Any

from proxy.window import records

MARK = {"cache_control": {"type": "ephemeral"}}


def in_blocks(content: Any, levels: int) -> Any:
    for _ in range(levels):
        content = [{"type": "tool_result", "content": content}]
    return content


def said(content: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content}]


def test_messages_are_the_same_wherever_a_mark_stands() -> None:
    text = {"type": "text", "text": "seen"}
    for levels in range(records.MARKED_LEVELS):
        plain, marked = in_blocks("seen", levels), in_blocks([{**text, **MARK}], levels)
        assert records.digest(said(marked)) == records.digest(said(plain)), levels
    assert records.digest(said([text, text])) != records.digest(said("seen"))


def test_messages_that_are_nested_as_no_conversation_is_have_an_identity_too() -> None:
    deep = in_blocks("seen", 5_000)
    assert records.digest(said(deep)) == records.digest(said(in_blocks("seen", 5_000)))
    assert records.digest(said(deep)) != records.digest(said(in_blocks("gone", 5_000)))
