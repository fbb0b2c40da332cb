from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom import frame
from headroom.pipeline import shrink
from headroom.values import Policy, ToolCall
from tests.headroom import shapes

CALL = ToolCall("bash", json.dumps({"command": "run"}))
ROWS = [{"id": number, "name": f"job-{number * 7 % 101}", "state": "done", "zone": "eu-1"} for number in range(400)]
FRAMES = {
    "codex": (
        "Chunk ID: d3580f\nWall time: 0.5282 seconds\nProcess exited with code 0\nOriginal token count: 4606\nOutput:\n",
        "",
    ),
    "codex cut": ("Exit code: 0\nWall time: 1 seconds\nOutput:\nWarning: truncated output\nTotal output lines: 99\n\n", ""),
    "codex script": ("Script completed\nWall time 0.1 seconds\nOutput:\n", ""),
    "codex part": ("Warning: truncated output (original token count: 12027)\nTotal output lines: 600\n\n", ""),
    "claude": ("", "\nShell cwd was reset to /home/me/project"),
    "claude reminder": ("", "\n\n<system-reminder>\nSay nothing of it.\nGo on.\n</system-reminder>\n"),
    "openhands": (
        "",
        "\n[The command completed with exit code 0.]\n[Current working directory: /srv]\n[Python interpreter: /usr/bin/python]",
    ),
    "xml": ("<returncode>0</returncode>\n<output>\n", "\n</output>"),
    "mini-swe cut": (
        "<returncode>0</returncode>\n<warning>\nThe output of your last command was too long.\n</warning>\n<output_head>\n",
        "\n</output_tail>",
    ),
    "terminus": ("New Terminal Output:\n\n", ""),
    "copilot": ("", "\n<exited with exit code 0>"),
    "gemini": ("Command: run\nDirectory: (root)\nOutput: ", "\nError: (none)\nExit Code: 0\nSignal: (none)\nBackground PIDs: (none)"),
    "swe-agent": ("", "\n(Open file: n/a)\n(Current directory: /srv)\nbash-$"),
    "observation": ("OBSERVATION:\nHere's the result of running `run`:\n", ""),
}  # fmt: skip


def _outputs() -> dict[str, str]:
    table = io.StringIO()
    writer = csv.DictWriter(table, list(ROWS[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(ROWS)
    return {
        "json": json.dumps(ROWS),
        "csv": table.getvalue().rstrip("\n"),
        "paths": "\n".join(f"src/app/folder{number // 20}/module{number}.py" for number in range(200)),
    }


OUTPUTS = _outputs()


@pytest.mark.parametrize("kind", OUTPUTS)
@pytest.mark.parametrize("agent", FRAMES)
def test_what_an_agent_writes_around_an_output_does_not_hide_it(agent: str, kind: str) -> None:
    head, tail = FRAMES[agent]
    bare = shrink(OUTPUTS[kind], call=CALL, policy=Policy(retrieval=""))
    framed = shrink(head + OUTPUTS[kind] + tail, call=CALL, policy=Policy(retrieval=""))
    assert bare.is_changed and framed.form == bare.form and framed.left_out == bare.left_out
    said = framed.text.removeprefix(head)
    assert said != framed.text or not head, "the notes before it are not as they came"
    body = bare.text.split("\n[headroom left out")[0].rstrip()
    assert said.startswith(body) and said[len(body) :].startswith(tail.rstrip())


@given(st.text(max_size=300), st.sampled_from(list(FRAMES)), st.text(max_size=300))
def test_the_parts_are_the_text(before: str, agent: str, output: str) -> None:
    head, tail = FRAMES[agent]
    for text in (before + head + output + tail, head + output + tail, output):
        assert "".join(frame.split(text)) == text


@pytest.mark.parametrize(
    "text",
    ["Output:\n", "Exit code: 0\nWall time: 1 seconds\nOutput:\nok", "Name: a\nState: b\nZone: c", "a\nbash-$", ""],
)
def test_what_is_mostly_notes_has_no_frame(text: str) -> None:
    assert frame.split(text) == ("", text, "")


@pytest.mark.parametrize(
    "make",
    [
        lambda n: "Key: value\n" * n,
        lambda n: "x\n" + "\n" * n,
        lambda n: "x" * n + "<system-reminder>" * n,
        lambda n: "Output:\n" * n,
        lambda n: "text\n" * n + "bash-$\n" * n,
    ],
)
def test_it_takes_linear_time(make: Callable[[int], str]) -> None:
    small, large = make(100_000), make(400_000)
    assert shapes.grows_by_less_than(8, lambda: frame.split(small), lambda: frame.split(large))


def test_a_complaint_between_paths_is_a_line_of_its_own() -> None:
    lines = [f"src/app/folder{number // 20}/module{number}.py" for number in range(100)]
    lines[40:40] = ["find: '/proc/1/fd': Permission denied", "find: '/proc/2/fd': Permission denied"]
    found = shrink("\n".join(lines), call=ToolCall("Bash", "find"), policy=Policy())
    assert found.form == "path_list"
    said = found.text.split("\n")
    assert lines[40] in said and lines[41] in said
    assert "src/app/folder1/module20.py " + " ".join(f"module{number}.py" for number in range(21, 40)) in said
