"""Runs of lines that stood before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headroom.shrinkers import repeats

LINES = st.lists(st.sampled_from(["", "a" * 50, "b" * 50, "c" * 50, "}"]), max_size=80)


@given(LINES)
def test_copies_are_equal_ordered_and_apart(lines: list[str]) -> None:
    done = 0
    for copy in repeats.copies(lines):
        assert copy.start >= done
        assert copy.source + copy.length <= copy.start
        assert lines[copy.start : copy.start + copy.length] == lines[copy.source : copy.source + copy.length]
        done = copy.start + copy.length


@given(LINES)
def test_sources_are_never_copies_themselves(lines: list[str]) -> None:
    copied: set[int] = set()
    for copy in repeats.copies(lines):
        assert copied.isdisjoint(range(copy.source, copy.source + copy.length))
        copied.update(range(copy.start, copy.start + copy.length))


@given(LINES)
def test_lines_that_take_no_part_are_never_in_a_copy(lines: list[str]) -> None:
    sides = ["" if line == "}" else "x" for line in lines]
    for copy in repeats.copies(lines, sides):
        assert "}" not in lines[copy.start : copy.start + copy.length]
