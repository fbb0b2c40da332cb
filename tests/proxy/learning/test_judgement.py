"""The arithmetic behind proposals."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.learning import judgement
from proxy.learning.judgement import Cohort


def make_cohort(
    tool: str = "Bash", form: str = "log", level: str = "balanced", sent: int = 100, **counts: Any
) -> Cohort:
    return Cohort(tool, form, level, sent, **counts)


def rules(*cohorts: Cohort) -> list[judgement.Rule]:
    return [finding.rule for finding in judgement.findings(cohorts)]


def test_a_form_whose_originals_are_fetched_too_often_is_found() -> None:
    (found,) = judgement.findings([make_cohort(asked=40), make_cohort(form="search", asked=10)])
    assert found.rule == ("Bash", "log", "balanced")
    assert (found.why, found.count, found.total, found.share) == ("asked", 40, 100, 0.4)
    assert found.low == pytest.approx(0.3094, abs=1e-4) and found.high == pytest.approx(0.4980, abs=1e-4)


@pytest.mark.parametrize(
    ("asked", "sent", "is_found"), [(19, 19, False), (7, 20, False), (8, 20, True), (25, 100, False)]
)
def test_little_evidence_needs_to_be_stronger(asked: int, sent: int, is_found: bool) -> None:
    assert bool(rules(make_cohort(sent=sent, asked=asked))) is is_found


def test_each_form_and_level_is_judged_by_itself() -> None:
    deep = make_cohort(level="deep", asked=60)
    assert rules(make_cohort(asked=2), deep, make_cohort("Grep", asked=0)) == [("Bash", "log", "deep")]


def test_what_was_dropped_or_has_no_name_is_no_form() -> None:
    assert rules(make_cohort(form="dropped", level="dropped", asked=100), make_cohort(tool="", asked=100)) == []


def test_files_that_are_read_again_count_only_beyond_what_is_usual() -> None:
    shortened = make_cohort("Read", "code", "deep", sent=60, files=60, reread=30)
    rare = make_cohort("Read", "", "whole", sent=60, files=60, reread=5)
    often = make_cohort("Read", "", "whole", sent=60, files=60, reread=25)
    (found,) = judgement.findings([shortened, rare])
    assert (found.rule, found.why, found.count, found.usual) == (("Read", "code", "deep"), "reread", 30, 5 / 60)
    assert rules(shortened, often) == [], "files are read that often anyway"
    assert rules(shortened) == [], "nothing to compare with"
    assert rules(shortened, make_cohort("Grep", "", "whole", files=60)) == [], "another tool says nothing"


def test_even_a_respelled_form_can_be_unwanted() -> None:
    respelled = make_cohort("Read", "json_table", "lossless", sent=60, files=60, reread=40)
    whole = make_cohort("Read", "", "whole", sent=60, files=60, reread=5)
    assert rules(respelled, whole) == [("Read", "json_table", "lossless")]


def test_intervals_are_those_of_the_books() -> None:
    # Newcombe (1998), Statistics in Medicine 17, 857 and 873: Wilson's score without correction, and his method 10.
    assert judgement.wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert judgement.wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert judgement.excess(56, 70, 48, 80) == pytest.approx(0.0524, abs=1e-4)


@given(st.integers(1, 5000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_the_interval_holds_the_share_and_narrows(seen: tuple[int, int]) -> None:
    count, total = seen
    low, high = judgement.wilson(count, total)
    assert 0 <= low <= count / total + 1e-12 and count / total - 1e-12 <= high <= 1
    closer_low, closer_high = judgement.wilson(4 * count, 4 * total)
    assert closer_high - closer_low < high - low


@given(st.integers(0, 50), st.integers(0, 50))
def test_an_excess_is_never_above_the_difference(first: int, second: int) -> None:
    assert judgement.excess(first, 50, second, 50) <= (first - second) / 50
