"""Test runs as JSON lines."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from headroom.shrinkers import test_events
from tests.headroom.shrinkers import laws, texts


def event(action: str, test: str, **more: object) -> str:
    return json.dumps({"Time": "2026-01-02T03:04:05Z", "Action": action, "Package": "p", "Test": test, **more})


def run(test: str, verdict: str, *said: str) -> list[str]:
    outputs = [event("output", test, Output=f"{line}\n") for line in said]
    return [event("run", test), event("output", test, Output=f"=== RUN   {test}\n"), *outputs, event(verdict, test)]


EVENTS = st.lists(
    st.builds(
        event,
        st.sampled_from(["run", "output", "pass", "fail", "skip"]),
        st.sampled_from("AB"),
        Output=st.text(max_size=9),
    ),
    max_size=30,
).map("\n".join)


def test_failing_tests_stay_verbatim_and_passing_ones_are_counted() -> None:
    failing = run("TestBad", "fail", "    bad_test.go:7: got 1", "something printed", "--- FAIL: TestBad (0.00s)")
    lines = [*run("TestGood", "pass", "chatter"), *failing, *run("TestFine", "pass")]
    form = laws.forms(test_events.forms, "\n".join(lines))["test_events"]
    assert form.text.split("\n") == [
        "[6 events of tests that started or passed]",
        *failing[2:],
        "[3 events of tests that started or passed]",
    ]
    assert form.left_out == "9 of 13 events"


def test_what_a_passing_test_says_with_a_place_stays() -> None:
    lines = [*run("TestA", "pass", "    a_test.go:3: slow machine"), *run("TestB", "pass")]
    assert lines[2] in laws.forms(test_events.forms, "\n".join(lines))["test_events"].text


def test_other_json_lines_are_left_alone() -> None:
    assert laws.forms(test_events.forms, '{"level": "info", "msg": "up"}\n' * 20) == {}


@given(st.one_of(EVENTS, texts.ANY), laws.LEVELS)
def test_laws_hold(text: str, level: str) -> None:
    laws.assert_kept(test_events.forms, text, level)
