from __future__ import annotations

import json

import pytest

from headroom import reading
from headroom.values import ToolCall


def call(tool: str, **arguments: str) -> ToolCall:
    return ToolCall(tool, json.dumps(arguments))


@pytest.mark.parametrize(
    ("made", "is_file", "is_read"),
    [
        pytest.param(call("Read", file_path="a.py"), True, True, id="a tool that reads"),
        pytest.param(call("mcp__files__open", path="a.py"), True, True, id="a tool of a server"),
        pytest.param(call("open", path="sales.csv"), False, True, id="a file of data"),
        pytest.param(call("view_image_file", path="a.py"), True, False, id="a tool with such a name"),
        pytest.param(call("read_thread", id="7"), False, False, id="a tool that reads something else"),
        pytest.param(call("Bash", command="cd app && cat a.py"), True, True, id="a command"),
        pytest.param(call("Bash", command="make; sed -n 1,9p a.py"), True, False, id="one command of several"),
        pytest.param(call("Bash", command="cat a.py | wc -l"), False, False, id="a command whose output goes on"),
    ],
)
def test_what_shows_a_file(made: ToolCall, *, is_file: bool, is_read: bool) -> None:
    assert (reading.is_file(made), reading.is_read(made)) == (is_file, is_read)
