"""Reports in XML."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.shrinkers import xml_report
from tests.headroom.shrinkers import golden, laws, texts

PASSED = '<testcase classname="a.B" name="works_{0}" time="0.0{0}"/>'
FAILED = '<testcase classname="a.B" name="breaks" time="0.1"><failure message="expected 3 but was 4">at a.B:12</failure></testcase>'
SOUP = st.lists(
    st.sampled_from(
        ["<a>", "</a>", "<b x='1'/>", '<b x="2" y="3"/>', "text", "<!--", "-->", "<![CDATA[", "]]>", "<", ">", "\n"]
    ),
    max_size=50,
).map("".join)


def report(*cases: str) -> str:
    return '<?xml version="1.0"?>\n<testsuite name="s" tests="9">\n' + "\n".join(cases) + "\n</testsuite>\n"


@pytest.mark.parametrize("name", golden.names("xml_report"))
def test_real_reports_are_written_as_reviewed(name: str) -> None:
    assert golden.written("xml_report", name) == golden.expected("xml_report", name)


def test_failures_stay_letter_by_letter_and_the_rest_is_counted() -> None:
    passed = [PASSED.format(number) for number in range(9)]
    form = laws.forms(xml_report.forms, report(*passed[:4], FAILED, *passed[4:]))["test_report"]
    assert form.text == (
        '<?xml version="1.0"?>\n<testsuite name="s" tests="9">\n[4 testcase elements, none failed]\n'
        f"{FAILED}\n[5 testcase elements, none failed]\n</testsuite>"
    )
    assert form.left_out == "9 elements of tests that did not fail"


@pytest.mark.parametrize("outcome", ['outcome="Failed"', 'result="Skipped"', 'success="False"', 'status="error"'])
def test_other_outcomes_than_passed_are_shown(outcome: str) -> None:
    case = f'<test-case name="odd" {outcome}/>'
    fine = ['<test-case name="fine" outcome="Passed"/>'] * 6
    assert case in laws.forms(xml_report.forms, report(*fine, case, *fine))["test_report"].text


def test_findings_become_rows_with_what_they_share_said_once() -> None:
    rows = "\n".join(f'<violation line="{n}" rule="R{n}" priority="3">message {n}</violation>' for n in range(4))
    form = laws.forms(xml_report.forms, f'<pmd><file name="a/B.java">{rows}</file></pmd>')["xml_rows"]
    assert not form.is_lossy
    assert (
        '4 violation elements, each with priority="3"; rows: line | rule: text\n0 | R0: message 0\n1 | R1' in form.text
    )
    assert '<file name="a/B.java">' in form.text


def test_broken_xml_is_left_alone() -> None:
    assert laws.forms(xml_report.forms, report(*[PASSED.format(1)] * 9).replace("</testsuite>", "")) == {}


@given(st.one_of(SOUP, texts.ANY), laws.LEVELS)
def test_laws_hold(text: str, level: str) -> None:
    laws.assert_kept(xml_report.forms, text, level)
