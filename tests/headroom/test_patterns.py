"""Patterns from strangers: the same lines as the standard library finds, in bounded time."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from headroom import patterns

PIECES = st.sampled_from(
    [*"ab.*?|()-1 ^$", "[ab]", "[^a]", r"\d", r"\b", r"\w+", "+", "{2}", "{1,3}", r"\.", "[a-c1-3]"]
)


@given(st.lists(PIECES, max_size=8).map("".join), st.text("abAB1 -.", max_size=12))
def test_the_same_lines_match_as_in_the_standard_library(pattern: str, line: str) -> None:
    assume(not re.search(r"[*?+}]\+", pattern))  # possessive there, plain here
    try:
        expected = re.compile(pattern, re.IGNORECASE).search(line) is not None
        found = patterns.matcher(pattern)(line)
    except (re.error, patterns.Unsupported):
        return
    assert found == expected


@pytest.mark.parametrize(
    "pattern", ["(", ")", "*a", "a**", "[a", "a\\", r"(a)\1", "(?=a)", "(a{90}){90}", "(" * 90, "x" * 300]
)
def test_what_is_not_understood_is_refused(pattern: str) -> None:
    with pytest.raises(patterns.Unsupported):
        patterns.matcher(pattern)


def test_a_pattern_that_costs_too_much_gives_up() -> None:
    is_in = patterns.matcher("(a|b)*a(a|b){25}c")
    with pytest.raises(patterns.Unsupported):
        for number in range(2_000):
            is_in("".join("ab"[byte & 1] for byte in hashlib.sha512(b"%d" % number).digest()))
