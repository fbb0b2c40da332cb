"""Of a question nothing but the part is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.learning import parts
from proxy.learning.parts import Part


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        ({}, Part.WHOLE),
        ({"query": "TypeError in worker"}, Part.ERRORS),
        ({"query": "the port of the server"}, Part.SEARCH),
        ({"start_line": 1, "end_line": 20}, Part.HEAD),
        ({"start_line": 45, "end_line": 55}, Part.MIDDLE),
        ({"start_line": 90}, Part.TAIL),
        ({"end_line": 10}, Part.HEAD),
        ({"start_line": 1, "end_line": 100}, Part.WHOLE),
        ({"start_line": 500, "end_line": 400}, Part.TAIL),
    ],
)
def test_a_fetch_asks_for_a_part(wanted: dict[str, Any], part: Part) -> None:
    asked = {"query": "", "start_line": None, "end_line": None, "total_lines": 100} | wanted
    assert parts.of(**asked) == part


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"file_path": "/w/originals/local/a.txt"}, Part.WHOLE),
        ({"file_path": "/w/a.txt", "offset": 95, "limit": 5}, Part.TAIL),
        ({"file_path": "/w/a.txt", "limit": 20}, Part.HEAD),
        ({"path": "/w/a.txt", "view_range": [40, 60]}, Part.MIDDLE),
        ({"path": "/w/a.txt", "view_range": [1, -1]}, Part.WHOLE),
        ({"command": "sed -n '70,99p' /w/a.txt"}, Part.TAIL),
        ({"command": ["bash", "-lc", "head -5 /w/a.txt"]}, Part.HEAD),
        ({"command": "tail -5 /w/a.txt"}, Part.TAIL),
        ({"command": "grep -n FAILED /w/a.txt"}, Part.ERRORS),
        ({"command": "rg port /w/a.txt"}, Part.SEARCH),
        ({"command": "cat /w/a.txt"}, Part.WHOLE),
        ([], Part.WHOLE),
    ],
)
def test_so_does_an_agents_own_tool(arguments: Any, part: Part) -> None:
    assert parts.of_read(json.dumps(arguments), 100) == part


def test_arguments_that_are_no_json_ask_for_all() -> None:
    assert parts.of_read("{", 100) == Part.WHOLE
