"""Old results: what is still told of a search, a history, findings and prose."""

from __future__ import annotations

import json

import pytest

from headroom import pipeline, tokens
from headroom.shrinkers import sentences
from headroom.values import Policy, ToolCall
from tests.headroom.shrinkers import golden


def deep(text: str, command: str) -> str:
    call = ToolCall("Bash", json.dumps({"command": command}))
    return pipeline.shrink(text, call=call, policy=Policy(level="deep", min_tokens=50)).text


def test_an_old_search_names_every_file_and_how_much_was_found() -> None:
    lines = [f"src/part{at // 20}.py:{at}:    pool.take(number_{at})" for at in range(200)]
    told = deep("\n".join(lines), "rg -n pool src")
    assert all(f"part{number}.py" in told for number in range(10))
    assert told.startswith("200 matches in 10 files:") and "[17 more matches: 3, 4, 5" in told
    assert "0:    pool.take(number_0)" in told


def test_an_old_history_tells_every_commit_in_a_line() -> None:
    commits = [
        f"commit {at:040x}\nAuthor: Kim Doe <kim@example.org>\nDate:   Sat Nov 21 08:46:{at:02} 2026 +0000\n\n    Close pool {at}\n\n"
        f"    It was left open when the last of its users had gone.\n\n src/pool{at}.py | 30 +++++----\n 1 file changed, 22 insertions(+), 8 deletions(-)\n"
        for at in range(12)
    ]
    told = deep("\n".join(commits), "git log --stat")
    assert all(f"commit {at:040x}, Kim Doe" in told and f"Close pool {at}" in told for at in range(12))
    assert "It was left open" not in told


def test_old_findings_tell_every_message_once() -> None:
    messages = ["E501 line too long", "F401 'os' imported but unused", "W291 trailing whitespace"]
    lines = [f"app/part{at % 9}.py:{at}:1: {messages[at % 3]}" for at in range(300)]
    told = deep("\n".join(lines), "flake8 app")
    assert all(f"100 times: {message}" in told for message in messages)
    assert "more places" in told and tokens.count(told) < 600


def test_prose_keeps_first_sentences_numbers_and_names() -> None:
    filler = "It was said by some that this would not be so for very long, and they were not wrong about that. " * 3
    paragraphs = [f"Part {at} is about the harbour and its cranes. {filler}" for at in range(6)]
    paragraphs[3] += "In 1973 the Karnaphuli Dock was sold to Ellen Maersk for 4,500 pounds."
    told, gone, count = sentences.extract("\n\n".join(paragraphs))
    assert all(f"Part {at} is about the harbour" in told for at in range(6))
    assert "Karnaphuli Dock was sold to Ellen Maersk for 4,500 pounds." in told
    assert 0 < gone < count and len(told) < 0.65 * len("\n\n".join(paragraphs))


@pytest.mark.parametrize("command", ["cat notes", "make", "some-tool"])
def test_an_error_line_outlives_the_rest(command: str) -> None:
    lines = [f"moved thing {at} to /srv/place_{at * 37 % 101}/x{at}.bin at speed {at * 7}" for at in range(60)]
    lines[31] = "[ERROR] user-service - query failed: duplicate key"
    assert lines[31] in deep("\n".join(lines), command)


@pytest.mark.parametrize("name", golden.names("gist"))
def test_real_output_is_written_as_reviewed(name: str) -> None:
    assert golden.written("gist", name) == golden.expected("gist", name)
