"""`git blame`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headroom import pipeline
from headroom.shrinkers import git_blame
from headroom.values import Policy, ToolCall
from tests.headroom.shrinkers import laws, texts

KIM = "(Kim A. Doe  2026-02-01 10:00:00 +0100"
LEE = "(Lee         2025-12-24 09:30:00 -0800"


def blamed(count: int) -> str:
    return "".join(
        f"{'^1a2b3c4' if at % 5 else 'deadbeef'} {LEE if at % 5 else KIM} {at:3}) {'    ' * (at % 3)}x = {at}\n"
        for at in range(1, count + 1)
    )


def test_every_line_keeps_its_number_text_and_commit() -> None:
    form = laws.forms(git_blame.forms, blamed(12))["git_blame"]
    assert not form.is_lossy
    lines = form.text.split("\n")
    assert lines[:4] == [
        "12 lines, each with its number, below the commit that changed it last:",
        "^1a2b3c4 Lee 2025-12-24 09:30:00 -0800:",
        "1)     x = 1",
        "2)         x = 2",
    ]
    assert lines[6:9] == ["deadbeef Kim A. Doe 2026-02-01 10:00:00 +0100:", "5)         x = 5", "^1a2b3c4:"]


def test_lines_of_another_file_say_so() -> None:
    moved = "".join(f"deadbeef old/name.py {KIM} {at}) x\n" for at in range(1, 12))
    form = laws.forms(git_blame.forms, moved)["git_blame"]
    assert "deadbeef old/name.py Kim A. Doe 2026-02-01 10:00:00 +0100:\n1) x\n2) x" in form.text


def test_a_blame_is_found_by_its_call_and_by_its_lines() -> None:
    for call in (ToolCall("Bash", '{"command": "git blame -w a.py"}'), ToolCall()):
        found = pipeline.shrink(blamed(200), call=call, policy=Policy())
        assert found.form == "git_blame"
        assert found.tokens_after < 0.6 * found.tokens_before


@given(st.one_of(texts.ANY, st.integers(0, 40).map(blamed)), laws.LEVELS)
def test_any_text_keeps_the_laws(text: str, level: str) -> None:
    laws.assert_kept(git_blame.forms, text, level)
