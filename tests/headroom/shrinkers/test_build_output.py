"""Output of compilers, linters and installers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.shrinkers import build_output, diagnostics
from tests.headroom.shrinkers import golden, laws, texts

FINDINGS = st.lists(
    st.tuples(
        st.sampled_from(["src/a.c", "src/b.c", "lib/deep/c.py", "C:\\code\\d.cpp"]),
        st.integers(1, 900),
        st.sampled_from(["warning: unused variable 'x' [-Wunused]", "E501 line too long", "error: expected ';'"]),
    ),
    min_size=5,
    max_size=40,
)


def gcc(findings: list[tuple[str, int, str]]) -> str:
    return "\n".join(f"{path}:{line}:7: {message}" for path, line, message in findings)


def msvc(findings: list[tuple[str, int, str]]) -> str:
    return "\n".join(f"{path}({line},7): {message}" for path, line, message in findings)


@pytest.mark.parametrize("name", golden.names("build_output"))
def test_real_builds_are_written_as_reviewed(name: str) -> None:
    assert golden.written("build_output", name) == golden.expected("build_output", name)


@given(FINDINGS, st.sampled_from([gcc, msvc]))
def test_every_finding_keeps_file_place_and_message(findings: list[tuple[str, int, str]], tool) -> None:  # type: ignore[no-untyped-def]
    found = laws.forms(build_output.forms, tool(findings))
    for name in ("findings_by_file", "findings_by_message"):
        assert not found[name].is_lossy
        for path, line, message in findings:
            cut = max(path.rfind("/"), path.rfind("\\")) + 1
            assert path[cut:] in found[name].text and message in found[name].text
            assert any(f"{line}{sign}7" in found[name].text for sign in ":,")


def test_one_message_in_many_places_is_written_once() -> None:
    text = gcc([(f"src/f{number}.c", number + 1, "warning: tab found") for number in range(20)])
    out = laws.forms(build_output.forms, text)["findings_by_message"].text
    assert out.count("warning: tab found") == 1
    assert out.startswith("20 times: warning: tab found\n src/f0.c:1:7 f1.c:2:7 ")


def test_snippets_stay_below_their_finding() -> None:
    finding = "a.c:1:2: warning: odd\n    1 | int x\n      | ^~~"
    out = laws.forms(build_output.forms, "\n".join([finding] * 5))["findings_by_file"].text
    assert out == "a.c\n 1:2,1:2,1:2,1:2,1:2 warning: odd\n    1 | int x\n      | ^~~"


def test_routine_is_counted_and_trouble_stays() -> None:
    text = "\n".join(
        [f"Compiling src/part{number}.cpp" for number in range(40)]
        + ["src/part7.cpp:3: warning: comparison is always true"]
        + [f"Downloading crate{number} v1.{number}.0" for number in range(40)]
        + ["make: *** [all] Error 2"]
    )
    assert laws.forms(build_output.forms, text)["test_output"].text == (
        "Compiling src/part0.cpp\n[39 similar lines]\nsrc/part7.cpp:3: warning: comparison is always true\n"
        "Downloading crate0 v1.0.0\n[39 similar lines]\nmake: *** [all] Error 2"
    )


@given(st.one_of(FINDINGS.map(gcc), FINDINGS.map(msvc), texts.ANY), laws.LEVELS)
def test_laws_hold(text: str, level: str) -> None:
    laws.assert_kept(build_output.forms, text, level)


def test_where_an_included_file_comes_from_stays_one_line() -> None:
    included = "In file included from src/include/tree_parts.h:65,\n                 from src/main.cpp:1:"
    findings = [f"{included}\nsrc/include/part_{n}.h:{n * 7}:5: error: no match for operator {n}" for n in range(8)]
    text = "\n".join(findings)
    for form in laws.forms(diagnostics.forms, text).values():
        assert form.text.count(included) == 8
