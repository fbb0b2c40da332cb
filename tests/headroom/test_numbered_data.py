"""Data that a tool for reading files numbered line by line is written as data."""

from __future__ import annotations

import json

import pytest

from headroom import pipeline
from headroom.values import Level, Policy, ToolCall

ROWS = [{"id": n, "name": f"job-{n * 7 % 101}", "state": "done", "zone": "eu-1"} for n in range(120)]
DATA = {
    "csv": ("rows.csv", "\n".join(["id,name,state,zone", *(",".join(map(str, row.values())) for row in ROWS)])),
    "json lines": ("rows.jsonl", "\n".join(map(json.dumps, ROWS))),
    "log": (
        "app.log",
        "\n".join(f"2026-01-02 10:{n // 60:02}:{n % 60:02} INFO worker {n % 4} took job {n * 7}" for n in range(120)),
    ),
}


@pytest.mark.parametrize("level", ["balanced", "deep"])
@pytest.mark.parametrize("kind", DATA)
def test_numbers_before_the_lines_of_data_do_not_hide_what_it_is(kind: str, level: Level) -> None:
    name, text = DATA[kind]
    call = ToolCall("Read", json.dumps({"file_path": f"/srv/{name}"}))
    reminder = "\n\n<system-reminder>\nSay nothing of it.\n</system-reminder>\n"
    shown = "\n".join(f"{n:>6}→{line}" for n, line in enumerate(text.split("\n"), 1)) + reminder
    bare = pipeline.shrink(text, call=call, policy=Policy(level=level))
    found = pipeline.shrink(shown, call=call, policy=Policy(level=level))
    assert bare.is_changed and found.form == bare.form and found.left_out == bare.left_out
    assert found.text.startswith(f"[lines 1-{len(text.split(chr(10)))}, their numbers left out]\n")
    assert reminder.strip() in found.text


def test_a_numbered_file_that_an_edit_may_quote_keeps_its_spelling() -> None:
    text = json.dumps({"scripts": {f"build:{n}": f"tsc  -p  part{n}" for n in range(30)}}, indent=4)
    call = ToolCall("Read", '{"file_path": "/srv/package.json"}')
    shown = "\n".join(f"{n:>6}→{line}" for n, line in enumerate(text.split("\n"), 1))
    found = pipeline.shrink(shown, call=call, policy=Policy())
    assert all(line in found.text for line in text.split("\n"))
