from __future__ import annotations

import json

import pytest

from headroom import answers

FIRST = "Replaced text in src/a.py. Changed 12 characters to 3 characters."
FIRST_CALL = {"path": "src/a.py", "old": "twelve chars", "new": "two"}


@pytest.mark.parametrize(
    ("text", "given", "is_told"),
    [
        pytest.param(
            "Replaced text in lib/b.py. Changed 5 characters to 7 characters.",
            {"path": "lib/b.py", "old": "fives", "new": "sevens!"},
            True,
            id="of another call",
        ),
        pytest.param(
            "Replaced text in lib/b.py. Changed 5 characters to 8 characters.",
            {"path": "lib/b.py", "old": "fives", "new": "sevens!"},
            False,
            id="another length than the call's text has",
        ),
        pytest.param(
            "Replaced text in lib/c.py. Changed 5 characters to 7 characters.",
            {"path": "lib/b.py", "old": "fives", "new": "sevens!"},
            False,
            id="of another file than the call names",
        ),
        pytest.param(
            "Replaced text in lib/b.py. Changed 5 characters to 7 characters. Line 3 is too long.",
            {"path": "lib/b.py", "old": "fives", "new": "sevens!"},
            False,
            id="more than the first one said",
        ),
        pytest.param(
            "Replaced text in lib/b.py. Changed 7 characters to 5 characters.",
            {"path": "lib/b.py", "old": "fives", "new": "sevens!"},
            False,
            id="the other way round",
        ),
        pytest.param(FIRST, {}, False, id="the same without anything that its call says"),
    ],
)
def test_an_answer_is_told_by_another_when_only_its_call_is_different(
    text: str, given: dict[str, str], is_told: bool
) -> None:
    assert answers.is_told_by(text, json.dumps(given), FIRST, json.dumps(FIRST_CALL)) is is_told


def test_amounts_count_only_with_their_unit() -> None:
    first = "3 of 12 tests of spec.ts failed", json.dumps({"file": "spec.ts", "name": "two"})
    assert not answers.is_told_by(
        "5 of 12 tests of spec.ts failed", json.dumps({"file": "spec.ts", "name": "fives"}), *first
    )


@pytest.mark.parametrize("arguments", ["", "[]", "{", '"text"', "[" * 100_000])
def test_arguments_that_are_no_object_tell_nothing(arguments: str) -> None:
    assert not answers.is_told_by("Wrote src/a.py", arguments, "Wrote src/a.py", arguments)


def test_where_the_first_one_may_mean_either_of_two_values_it_tells_nothing_of_others() -> None:
    first = "The page is now called home", json.dumps({"page": "home", "name": "home"})
    for called in ("menu", "list"):
        given = json.dumps({"page": "menu", "name": "list"})
        assert not answers.is_told_by(f"The page is now called {called}", given, *first)
    assert answers.is_told_by("The page is now called menu", json.dumps({"page": "menu", "name": "menu"}), *first)


def test_long_calls_are_not_looked_into_nor_kept() -> None:
    answers._parts.cache_clear()
    given = json.dumps({"path": "src/a.py", "text": "x" * answers.MAX_ARGUMENTS_CHARS})
    assert not answers.is_told_by("Wrote src/a.py", given, "Wrote src/b.py", '{"path": "src/b.py"}')
    assert not answers.is_told_by("Wrote src/b.py", '{"path": "src/b.py"}', "Wrote src/a.py", given)
    assert answers._parts.cache_info().currsize == 0
