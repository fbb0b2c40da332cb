"""Output of test runners."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.shrinkers import test_output
from tests.headroom.shrinkers import golden, laws, texts

PASSING = [
    "PASSED tests/test_a.py::test_one",
    "tests/test_b.py::test_two PASSED                    [ 12%]",
    "test_three (tests.test_c.C) ... ok",
    "test module::tests::four ... ok",
    "    --- PASS: TestFive (0.00s)",
    "=== RUN   TestFive",
    "ok 6 - adds up",
    "  ✓ renders a page (12 ms)",
    "[       OK ] Suite.Seven (0 ms)",
]
FAILING = [
    "FAILED tests/test_a.py::test_error - assert 1 == 2",
    "E       assert 1 == 2",
    "--- FAIL: TestBroken (0.02s)",
    "    thing_test.go:12: got 3, want 4",
    "not ok 9 - subtracts",
    "  ✕ renders an error (3 ms)",
    "ValueError: cannot add 0 of pen",
    "src/main.c:3:5: error: 'x' undeclared",
    "thread 'main' panicked at src/lib.rs:12:24:",
    "=================== 3 failed, 90 passed in 4.21s ===================",
    "Ran 141 tests in 0.252s",
    "FAILED (failures=2)",
    "Tests run: 9, Failures: 1, Errors: 1, Skipped: 0",
]
RUNS = st.lists(st.one_of(st.sampled_from(PASSING), st.sampled_from(FAILING), texts.LINE), max_size=80).map("\n".join)


@pytest.mark.parametrize("name", golden.names("test_output"))
def test_real_runs_are_written_as_reviewed(name: str) -> None:
    assert golden.written("test_output", name) == golden.expected("test_output", name)


@pytest.mark.parametrize("line", PASSING)
def test_what_passed_is_counted(line: str) -> None:
    text = "\n".join(["start of it", *[line] * 50, FAILING[0], "end of it"])
    form = laws.forms(test_output.forms, text)["test_output"]
    assert form.text == f"start of it\n[50 lines of passing tests]\n{FAILING[0]}\nend of it"
    assert form.left_out == "50 of 53 lines"


@pytest.mark.parametrize("line", FAILING)
def test_what_failed_stays_among_a_thousand_that_passed(line: str) -> None:
    text = "\n".join([*PASSING * 60, line, *PASSING * 60])
    assert line in laws.forms(test_output.forms, text)["test_output"].text.split("\n")


@given(RUNS)
def test_no_failure_is_lost(text: str) -> None:
    lines = set(text.split("\n"))
    for form in laws.forms(test_output.forms, text).values():
        assert all(line in form.text for line in FAILING if line in lines)


@given(RUNS)
def test_hidden_lines_are_counted_truly(text: str) -> None:
    form = laws.forms(test_output.forms, text).get("test_output")
    if form is not None:
        hidden, total = (int(number.replace(",", "")) for number in re.findall(r"[\d,]+", form.left_out)[:2])
        assert 0 < hidden <= total
        assert len([line for line in form.text.split("\n") if line.strip()]) >= 1


def test_shell_traces_keep_the_commands_of_the_script() -> None:
    text = "\n".join(
        ["+ cd /srv/app", *["++ export A=1", "++ A=1", "+++ dirname /usr/bin/x"] * 20, "+ pytest -q", "done"]
    )
    assert laws.forms(test_output.forms, text)["test_output"].text == (
        "+ cd /srv/app\n[60 shell trace lines]\n+ pytest -q\ndone"
    )


def test_source_far_from_the_failing_line_is_counted() -> None:
    source = [f"        step_{number} = do_{'abcdefghijklmnopqrst'[number]}()" for number in range(20)]
    text = "\n".join(
        [
            "=== FAILURES ===",
            "____ test_long ____",
            "",
            "    def test_long():",
            *source,
            ">       assert step_1",
            "E       assert 0",
        ]
    )
    out = laws.forms(test_output.forms, text)["test_output"].text
    assert "    def test_long():\n[16 source lines]\n        step_16" in out
    assert ">       assert step_1\nE       assert 0" in out


def test_reports_in_json_and_xml_are_left_to_others() -> None:
    assert laws.forms(test_output.forms, '{"a": 1}\n' * 30) == {}
    assert laws.forms(test_output.forms, "<testsuite>\n</testsuite>") == {}


@given(st.one_of(RUNS, texts.ANY), laws.LEVELS)
def test_laws_hold(text: str, level: str) -> None:
    laws.assert_kept(test_output.forms, text, level)
