"""Lines that all begin alike: the law is that the words said once and the rest give back the text."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from headroom import pipeline
from headroom.shrinkers import shared_start
from headroom.values import Policy, Source, ToolCall
from tests.headroom.shrinkers import laws, texts

LOG = "\n".join(f"2026-03-01 12:{n:02}:07 INFO  user {n * 37} bought {n % 7} of item-{n * 911 % 83}" for n in range(12))
CALL = ToolCall("Bash", '{"command": "tail app.log | sort -k4"}')


def restored(form: str) -> str:
    head, _, rest = form.partition("\n")
    found = re.fullmatch(r"\[every line begins with “(.+?)”(, but is whole behind “\|”)?\]", head)
    assert found is not None
    whole = "| " if found[2] else "\n"
    return "\n".join(
        line.removeprefix(whole) if line.startswith(whole) or not line.strip() else found[1] + line
        for line in rest.split("\n")
    )


def test_the_day_of_a_log_is_said_once() -> None:
    (form,) = laws.forms(shared_start.forms, LOG, call=CALL).values()
    assert form.text.startswith("[every line begins with “2026-03-01 ”]\n12:00:07 INFO  user 0")
    assert restored(form.text) == LOG and not form.is_lossy
    iso = LOG.replace("2026-03-01 ", "2026-03-01T")
    assert "with “2026-03-01T”]" in laws.forms(shared_start.forms, iso, call=CALL)["shared_start"].text
    outcome = pipeline.shrink(LOG, call=CALL, policy=Policy(level="lossless"))
    assert pipeline.shrink(outcome.text, call=CALL, policy=Policy(level="lossless")).text == outcome.text


def test_lines_that_report_trouble_can_be_searched_for_literally() -> None:
    lines = LOG.split("\n")
    lines[5] = "2026-03-01 12:05:07 ERROR user 185 cannot buy item-74: card refused"
    (form,) = laws.forms(shared_start.forms, "\n".join(lines), call=CALL).values()
    assert f"\n| {lines[5]}\n" in form.text
    assert restored(form.text) == "\n".join(lines)


def test_paths_files_and_json_stay_as_they_are() -> None:
    paths = "\n".join(f"/srv/app/reports/part_{n}.py" for n in range(9))
    file = "\n".join(f"        value_{n} = {n}" for n in range(9))
    for text, call in [
        (paths, CALL),
        (f"{LOG}\nTraceback (most recent call last):", CALL),
        (file, ToolCall("Read", '{"file_path": "a.py"}')),
        (LOG, ToolCall("Bash", '{"command": "cat app.py"}')),
        ("\n".join(['{"level": "info", "n": 1}'] * 9), CALL),
    ]:
        assert not list(shared_start.forms(Source(text, call)))


@given(
    st.one_of(
        texts.ANY,
        st.lists(st.sampled_from(["shared words of it", "a", "b c", "", " ", "an error", "| an error"])).map("\n".join),
    )
)
def test_nothing_is_lost(text: str) -> None:
    for prefix in ("", "2026-03-01 12:00 host-7 "):
        written = "\n".join(prefix + line for line in text.split("\n"))
        for form in laws.forms(shared_start.forms, written, call=CALL).values():
            assert restored(form.text) == written


@given(texts.ANY, laws.LEVELS)
def test_laws_hold(text: str, level: str) -> None:
    laws.assert_kept(shared_start.forms, text, level)
