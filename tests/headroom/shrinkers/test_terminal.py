"""Terminal noise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom import pipeline
from headroom.shrinkers import terminal
from headroom.values import Policy
from tests.headroom.shrinkers import golden, laws, texts

NOISY = st.lists(
    st.sampled_from(["\x1b[31m", "\x1b[0m", "\x1b]0;title\x07", "ok", " ", "12%", "\r", "\n", "\b", "\t", "Get", "é"]),
    max_size=60,
).map("".join)


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("\x1b[1;32mok\x1b[0m\n", "ok\n"),
        ("\x1b]8;;http://a.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("Get:  5%\rGet: 80%\rGet: 100%, done.\n", "Get: 100%, done.\n"),
        ("⠋ Installing\r⠙ Installing\r✔ Installed 5 packages\n", "✔ Installed 5 packages\n"),
        ("loading |\b/\b-\b done\n", "loading  done\n"),
        ("one  \ntwo\t\n", "one\ntwo\n"),
        ("dos\r\nlines\r\n", "dos\nlines\n"),
    ],
)
def test_what_a_terminal_would_show_is_left(printed: str, shown: str) -> None:
    assert terminal.clean(printed) == shown


def test_old_line_ends_are_not_taken_for_progress() -> None:
    assert terminal.clean("alpha 1\rbeta 2\rgamma 3") == "alpha 1\nbeta 2\ngamma 3"


def test_escape_codes_that_a_diff_is_about_stay() -> None:
    diff = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-\x1b[1mold\n+\x1b[2mnew\n"
    assert laws.forms(terminal.forms, diff) == {}


@given(st.one_of(NOISY, texts.ANY))
def test_clean_text_is_clean(text: str) -> None:
    once = terminal.clean(text)
    assert terminal.clean(once) == once
    assert "\x1b" not in once and "\b" not in once and "\r" not in once


@given(st.one_of(NOISY, texts.ANY), laws.LEVELS)
def test_laws_hold(text: str, level: str) -> None:
    laws.assert_kept(terminal.forms, text, level)


@pytest.mark.parametrize("name", golden.names("terminal"))
def test_real_output_is_written_as_reviewed(name: str) -> None:
    assert golden.written("terminal", name) == golden.expected("terminal", name)


def test_a_text_of_nothing_but_control_characters_is_counted() -> None:
    for text, said in ((4096 * "\0" + "\n", "[4,096 × \\x00]"), (90 * "\0" + 40 * "\x01", "[90 × \\x00, 40 × \\x01]")):
        outcome = pipeline.shrink(text, call=laws.NO_CALL, policy=Policy())
        assert (outcome.text, outcome.is_lossy) == (said, False)
