"""Findings with source drawn around them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headroom.shrinkers import frames
from tests.headroom.shrinkers import laws, texts


def finding(at: int, message: str = "E501 Line too long (121 > 120)") -> str:
    return (
        f"{message}\n  --> src/part{at}.py:{at}:121\n   |\n{at - 1} | before = {at}\n{at} | meant = {at}\n   |         ^^^^\n"
        f"{at + 1} | after = {at}\n   |\n   = help: cut it\n\n"
    )


def test_findings_seen_before_keep_their_place_message_and_line() -> None:
    form = laws.forms(frames.forms, "".join(map(finding, range(10, 20))))["finding_frames"]
    assert form.is_lossy
    for at in range(10, 20):
        assert f"--> src/part{at}.py:{at}:121" in form.text
        assert f"{at} | meant = {at}" in form.text
    assert form.text.count("E501 Line too long") == form.text.count("= help: cut it") == 10
    assert form.text.count("before =") == form.text.count("after =") == frames.WHOLE
    assert form.left_out.startswith("40 lines")


def test_errors_and_labels_keep_their_source() -> None:
    errors = "".join(finding(at, f"error[E0{at}]: no") for at in range(10, 20))
    assert "finding_frames" not in laws.forms(frames.forms, errors)
    labelled = "".join(map(finding, range(10, 20))).replace("^^^^", "^^^^ used here")
    assert laws.forms(frames.forms, labelled)["finding_frames"].text.count("used here") == 10


@given(st.one_of(texts.ANY, st.integers(0, 12).map(lambda count: "".join(map(finding, range(count))))), laws.LEVELS)
def test_any_text_keeps_the_laws(text: str, level: str) -> None:
    laws.assert_kept(frames.forms, text, level)
