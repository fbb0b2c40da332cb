"""Names that the conversation speaks of: what has one of them stays in every kind of result, old ones included."""

from __future__ import annotations

import json
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom import pipeline
from headroom.shrinkers import named
from headroom.values import Policy, ToolCall
from tests.headroom import shapes

WORD = "quarantine"

LOG = [f"2024-01-02 03:04:{at % 60:02} INFO served /items/{at * 7} in {at % 90} ms" for at in range(400)]


def prose(number: int) -> str:
    return (
        f"Cache {number} is filled by worker {number} on its own, whenever it has time. Pool {number} is read before."
    )


RESULTS = {
    "code": (
        "Read",
        {"file_path": "/app/store.py"},
        "\n".join(
            f"def load_{at}(path):\n" + "".join(f"    step_{at}_{n} = path / {n}\n" for n in range(12))
            for at in range(12)
        )
        + f"\ndef purge(path):\n    first = path\n    {WORD} = first / 3\n"
        + "".join(f"    after_{n} = path * {n}\n" for n in range(9)),
        f"    {WORD} = first / 3",
    ),
    "markdown": (
        "Read",
        {"file_path": "/app/README.md"},
        "\n\n".join(f"## Part {at}\n\n{prose(at)}\n{prose(at + 20)}\n{prose(at + 40)}" for at in range(9))
        + f"\n\n## Last\n\n{prose(60)}\nSet {WORD} to none.\n{prose(70)}",
        f"Set {WORD} to none.",
    ),
    "log": (
        "Bash",
        {"command": "cat app.log"},
        "\n".join([*LOG[:200], f"2024-01-02 03:05:01 INFO served {WORD} in 3 ms", *LOG[200:]]),
        f"INFO served {WORD} in 3 ms",
    ),
    "diff": (
        "Bash",
        {"command": "git diff"},
        "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -0,0 +1,61 @@\n"
        + "\n".join(f"+value_{at} = {at}" for at in range(40))
        + f"\n+{WORD} = 4\n"
        + "\n".join(f"+other_{at} = {at}" for at in range(20)),
        f"+{WORD} = 4",
    ),
    "csv": (
        "Bash",
        {"command": "cat rows.csv"},
        "id,name,size\n" + "\n".join(f"{at},{WORD if at == 333 else f'row{at}'},{at * 3}" for at in range(900)),
        WORD,
    ),
    "json": (
        "Bash",
        {"command": "curl x"},
        json.dumps([{"id": at, "name": WORD if at == 222 else f"n{at}", "size": at * 3} for at in range(700)]),
        WORD,
    ),
    "anything": (
        "some_tool",
        {},
        "\n".join(f"item {at} was moved over there, {'x' * (at % 40)}" for at in range(40))
        + f"\nthen the {WORD} was lost\n"
        + "\n".join(f"thing {at} is well, {'y' * (at % 30)}" for at in range(40)),
        f"then the {WORD} was lost",
    ),
}  # fmt: skip


def deep(name: str, *words: str) -> pipeline.Shrunk:
    tool, arguments, text, _ = RESULTS[name]
    return pipeline.shrink(
        text, call=ToolCall(tool, json.dumps(arguments)), policy=Policy(level="deep", keep_words=words)
    )


@pytest.mark.parametrize("name", sorted(RESULTS))
def test_what_names_a_kept_word_stays(name: str) -> None:
    expected = RESULTS[name][3]
    assert expected not in deep(name).text, "the test would not notice"
    assert expected in deep(name, WORD).text
    assert deep(name, WORD).is_lossy


def test_a_function_that_is_spoken_of_stays_whole() -> None:
    shown = deep("code", "load_7").text
    assert all(f"    step_7_{n} = path / {n}" in shown for n in range(12))
    assert "step_8_6" not in shown


def test_the_order_of_the_words_changes_nothing() -> None:
    words = (WORD, "load_3", "step_4_5")
    assert len({deep("code", *order).text for order in permutations(words)}) == 1


def test_a_word_that_everything_has_keeps_nothing() -> None:
    lines = [f"the pool of worker {at}" for at in range(200)]
    assert not named.rows(lines, ("worker",))
    assert named.rows([*lines, "the end"], ("end",)) == {200}


@given(text=shapes.ANY, words=st.lists(st.sampled_from(["def", "id", "return", "INFO", "a.py", "漢字"]), max_size=3))
def test_named_rows_have_the_word_and_are_few(text: str, words: list[str]) -> None:
    lines = text.split("\n")
    found = named.rows(lines, words)
    assert all(any(word in lines[row] for word in words) for row in found)
    assert sum(len(lines[row]) for row in found) <= named.KEPT_SHARE * len(text)
