from __future__ import annotations

import json

import pytest

from headroom import reading, shrink
from headroom.values import Policy, ToolCall


def call(tool: str, **arguments: str) -> ToolCall:
    return ToolCall(tool, json.dumps(arguments))


@pytest.mark.parametrize(
    ("made", "is_file", "is_read"),
    [
        pytest.param(call("Read", file_path="a.py"), True, True, id="a tool that reads"),
        pytest.param(call("mcp__files__open", path="a.py"), True, True, id="a tool of a server"),
        pytest.param(call("open", path="sales.csv"), False, True, id="a file of data"),
        pytest.param(call("view_image_file", path="a.py"), True, False, id="a tool with such a name"),
        pytest.param(
            call("developer__text_editor", command="view", path="a.py"), True, True, id="an editor that shows"
        ),
        pytest.param(call("str_replace_editor", command="view", path="a.py"), True, True, id="another one"),
        pytest.param(call("str_replace_editor", command="insert", path="a.py"), False, True, id="an edit"),
        pytest.param(call("memory", command="view", path="/memories/a.txt"), True, True, id="the model's own notes"),
        pytest.param(call("fs_read", path="a.py"), True, True, id="a tool of Amazon Q"),
        pytest.param(call("file_editor", command="view", path="a.py"), True, True, id="the editor of OpenHands"),
        pytest.param(call("file_editor", command="create", path="a.py"), False, True, id="a file that it writes"),
        pytest.param(call("getFileText", pathInProject="a.py"), True, False, id="a name without signs"),
        pytest.param(call("read_bash", sessionId="7"), False, False, id="more of what a command printed"),
        pytest.param(call("get_reviews", path="a.py"), False, False, id="a name with read or view in it"),
        pytest.param(call("read_mail", id="7"), False, False, id="something that is no file"),
        pytest.param(call("read_thread", id="7"), False, False, id="a tool that reads something else"),
        pytest.param(call("Bash", command="cd app && cat a.py"), True, True, id="a command"),
        pytest.param(call("Bash", command="make; sed -n 1,9p a.py"), True, False, id="one command of several"),
        pytest.param(call("Bash", command="cat a.py | wc -l"), False, False, id="a command whose output goes on"),
    ],
)
def test_what_shows_a_file(made: ToolCall, *, is_file: bool, is_read: bool) -> None:
    assert (reading.is_file(made), reading.is_read(made)) == (is_file, is_read)


def test_notes_of_the_model_are_shown_whole() -> None:
    """Every line is there because the model wanted it, and its next edit quotes one."""
    notes = [
        f"{n:6}\t- [2026-03-{n % 28 + 1:02}] customer {n} prefers plan {n % 7}, calls at {n % 24}:00" for n in range(99)
    ]
    text = "Here's the content of /memories/notes.txt with line numbers:\n" + "\n".join(notes)
    shown = shrink(
        text, call=call("memory", command="view", path="/memories/notes.txt"), policy=Policy(retrieval="{hash}")
    )
    assert not shown.is_lossy
    assert all(note.split("\t")[1] in shown.text for note in notes)


def test_settings_that_an_editor_shows_keep_the_spelling_that_an_edit_quotes() -> None:
    """Its `command` is `view`, which is no command line."""
    rows = [f"  - name:     worker-{7919 * n:x}\n    replicas:  {n % 3}\n    image:     app:{n}.1\n" for n in range(40)]
    text = "workers:\n" + "".join(rows)
    made = call("str_replace_editor", command="view", path="/app/deploy.yaml")
    shown = shrink(text, call=made, policy=Policy(retrieval="as {hash}"))
    assert "    replicas:  1\n    image:     app:1.1\n" in shown.text
    assert not shown.is_lossy
