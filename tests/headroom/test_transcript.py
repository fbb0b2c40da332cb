"""What a terminal shows of several commands: the law is that forms without loss give back every line."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom import commands, pipeline, reading, transcript
from headroom.values import Policy, ToolCall
from tests.headroom import shapes

PROMPT = "(venv) root@7f3c5e0a91d2:/srv/app#"
CODE = "\n".join(f"def part_{n}(rows):\n    return rows[{n}:{n * 7 % 31}]\n" for n in range(9))
LISTING = "total 88\n" + "\n".join(
    f"-rw-r--r-- 1 root root {n * 977 % 7919 + 1000} Feb 24 06:31 part_{n}.py" for n in range(20)
)
SCREEN = "\n".join(
    ["New Terminal Output:", "", f"{PROMPT} ls -l", LISTING, f"{PROMPT} sed -n '1,40p' parts.py", CODE, PROMPT, ""]
)
KEYS = ToolCall("terminal", json.dumps({"commands": [{"keystrokes": "ls -l\n"}, {"keystrokes": "sed -n '1,40p' parts.py\n"}]}))  # fmt: skip
LINES = st.sampled_from(
    [
        PROMPT,
        f"{PROMPT} ls",
        f"{PROMPT} cat <<X",
        "> a",
        "root@h:/# id",
        "$ yarn",
        "❯",
        "",
        "out",
        "bash-5.1$ ls",
        "a b  c",
    ]
)


def test_each_command_of_a_terminal_has_its_output_written_as_it_would_be_alone() -> None:
    outcome = pipeline.shrink(SCREEN, call=KEYS, policy=Policy(level="lossless"))
    alone = pipeline.shrink(LISTING, call=ToolCall("bash", '{"command": "ls -l"}'), policy=Policy(level="lossless"))
    assert alone.is_changed and alone.text in outcome.text
    assert CODE in outcome.text, "what an edit may quote keeps its spelling"
    assert outcome.text.startswith(f"[prompts “{PROMPT}” are written “$”]\nNew Terminal Output:\n\n$ ls -l\n")
    assert outcome.text.endswith("\n$\n")
    assert outcome.tokens_after < 0.8 * outcome.tokens_before


def test_what_is_left_out_of_several_outputs_is_told_by_one_marker() -> None:
    log = "\n".join(f"2026-01-02 10:{n // 60:02}:{n % 60:02} INFO worker {n % 4} took job {n * 7}" for n in range(300))
    rows = "\n".join(["id,name,size,zone", *(f"{n},name-{n * 7 % 97},{n * n % 1009},eu-{n % 3}" for n in range(900))])
    screen = f"{PROMPT} cat a.log\n{log}\n{PROMPT} cat rows.csv\n{rows}\n{PROMPT} date\nFri\n{PROMPT}"
    outcome = pipeline.shrink(screen, call=ToolCall("terminal", "{}"), policy=Policy())
    assert outcome.is_lossy and outcome.text.count(pipeline.MARKER) == 1 and "; " in outcome.left_out
    assert pipeline.shrink(outcome.text, call=ToolCall("terminal", "{}"), policy=Policy()).reason == "already_shrunk"
    assert "\n$ date\nFri\n" in outcome.text


@given(st.lists(LINES, max_size=12).map("\n".join))
def test_every_line_can_be_read_back(text: str) -> None:
    parts = transcript.read(text)
    if parts is None:
        return
    shown = transcript.written(parts, [part.printed for part in parts])
    head, _, body = shown.partition("\n")
    found = re.fullmatch(r"\[prompts “(.*)” are written “(.*)”\]", head)
    if found is None:
        assert shown == text
        return
    signed = re.compile(rf"(?m)^{re.escape(found[2])}(?= |$)")
    assert signed.sub(lambda _: found[1], body) == text


@pytest.mark.parametrize(
    "text",
    [
        "root@box:/app# ls\na.py",
        f"{PROMPT}\n{PROMPT}\n{PROMPT}",
        "# Title\n\nSome $ text\n# Another",
        "me@example.com: pay 5 $ now\nyou@example.com: pay 6 $ now",
        "/etc/hosts # names\n/etc/passwd # users",
    ],
)
def test_other_texts_are_no_transcripts(text: str) -> None:
    assert transcript.read(text) is None


def test_a_command_of_several_lines_is_read_whole() -> None:
    (first, _) = (
        transcript.read(f"{PROMPT} python - <<'PY'\n> import os\n>\n> print(os.name)\n> PY\nposix\n{PROMPT}") or []
    )
    assert first.command == "python - <<'PY'\nimport os\n\nprint(os.name)\nPY" and first.printed == "posix"


@pytest.mark.parametrize(
    "arguments",
    [
        {"keystrokes": "sed -n '1,40p' app/parts.py\n", "duration": 0.2},
        {"commands": [{"keystrokes": "cd app\n"}, {"keystrokes": "sed -n '1,40p' parts.py\n", "is_blocking": True}]},
        {"commands": ["cd app", "sed -n '1,40p' parts.py"]},
    ],
)
def test_keys_that_are_typed_and_lists_of_commands_are_command_lines(arguments: dict[str, object]) -> None:
    call = ToolCall("terminal", json.dumps(arguments))
    assert "sed" in [program.name for program in commands.programs(call)]
    assert reading.is_file(call)


def test_it_takes_linear_time() -> None:
    def screen(n: int) -> str:
        return f"{PROMPT} a\nb\n" * n + "(" * n

    small, large = screen(500), screen(2_000)
    assert shapes.grows_by_less_than(8, lambda: transcript.read(small), lambda: transcript.read(large))
