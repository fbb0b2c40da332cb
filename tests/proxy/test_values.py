"""Values that are frozen by the type checker alone."""

from __future__ import annotations

from dataclasses import replace

from tests.proxy.requests import make_result


def test_results_that_say_the_same_are_one_key() -> None:
    one, known = make_result(text="a"), make_result(text="a", known={"about": "it"})
    assert {one: 1}[known] == 1
    assert {one, known, replace(one, text="b")} == {one, make_result(text="b")}
