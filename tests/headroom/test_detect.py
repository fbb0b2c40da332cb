"""What a text may be: the call first, the structure second."""

from __future__ import annotations

import json

import pytest

from headroom import detect
from headroom.registry import SHRINKERS
from headroom.values import ToolCall

PLAIN = "one thing\nanother thing\n" * 20


def shell(command: object) -> ToolCall:
    return ToolCall("Bash", json.dumps({"command": command}))


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("pytest -q tests", "test_output"),
        ("cd app && FOO=1 git diff HEAD~1", "diff"),
        ("git -C app log --stat", "git_log"),
        ("sudo journalctl -u app", "logs"),
        ("ls | xargs rg -n needle", "search"),
        (["bash", "-lc", "timeout 60 cargo test"], "build_output"),
        ("uv run python3.12 -m pytest -x", "test_output"),
        ("/usr/bin/find . -name x", "path_list"),
    ],
)
def test_the_command_names_the_kind(command: object, kind: str) -> None:
    assert kind in detect.kinds(PLAIN, shell(command))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"a": [1, 2]}\n', "json"),
        ("diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n", "diff"),
        ("src/a.py:1:import os\nsrc/a.py:2:import re\nsrc/b.py:9:x\n", "search"),
        ("\n".join(f"2024-01-02T03:04:{at:02}Z INFO tick" for at in range(20)), "logs"),
        ("<html><body><p>x</p><p>y</p></body></html>", "html"),
        ("src/a.py\nsrc/b.py\nsrc/c/d.py\n", "path_list"),
    ],
)
def test_structure_names_the_kind_where_the_call_does_not(text: str, kind: str) -> None:
    assert kind in detect.kinds(text, ToolCall())


def test_prose_about_errors_is_no_log() -> None:
    prose = "An error is raised when the pool fails.\nA warning may follow, and then a fatal failure.\n" * 20
    assert "logs" not in detect.kinds(prose, ToolCall())


def test_a_log_with_commas_is_no_table() -> None:
    log = "\n".join(f"2024-01-02 03:04:{at:02},{at * 37 % 1000:03} INFO a, b, c{', d' * (at % 3)}" for at in range(30))
    assert detect.kinds(log, ToolCall())[0] == "logs"


@pytest.mark.parametrize("arguments", ["", "{", "[]", "7", '{"command": 7}', '{"command": [1]}', "null"])
def test_odd_arguments_do_no_harm(arguments: str) -> None:
    assert detect.kinds(PLAIN, ToolCall("Bash", arguments))


def test_every_kind_named_is_registered() -> None:
    tables = (detect.COMMANDS, detect.GIT, detect.TOOLS)
    named = {kind for table in tables for found in table.values() for kind in found}
    assert named <= set(SHRINKERS)


@pytest.mark.parametrize("command", ["npm ls --all", "pip list", "cargo tree", "poetry show"])
def test_a_list_of_packages_is_no_build(command: str) -> None:
    listed = "\n".join(f"├── package-{at}@1.{at}.0" for at in range(40))
    assert not {"test_output", "build_output"} & set(detect.kinds(listed, shell(command)))


def test_json_below_a_warning_is_found() -> None:
    text = 'warning: two rules do not agree\n[\n  {\n    "code": "D104",\n    "row": 1\n  }\n]\n'
    assert "json" in detect.kinds(text, shell("ruff check --output-format json"))


def test_what_was_grouped_once_is_not_read_again() -> None:
    assert detect.kinds("12 matches in 3 files:\nsrc/\n a.py:3:x", shell("grep -rn x src")) == ("blob",)


def test_a_long_document_with_prose_in_it_is_json() -> None:
    page = [
        {"name": f"package-{at}", "description": "It is said that this does what it says. " * 400} for at in range(80)
    ]
    assert detect.kinds(json.dumps(page), ToolCall()) == ("json",)


@pytest.mark.parametrize(
    "command",
    ["docker logs web", "docker compose -f a.yml logs --tail 500 | cat", "docker-compose logs", "podman logs db"],
)
def test_what_a_container_logged_is_a_log_and_no_build(command: str) -> None:
    log = "\n".join(f"web-1  | 2024-01-02 03:04:{at:02} INFO served" for at in range(60))
    assert detect.kinds(log, shell(command)) == ("logs", "json")
    assert "build_output" in detect.kinds(log, shell("docker build -t logs ."))
