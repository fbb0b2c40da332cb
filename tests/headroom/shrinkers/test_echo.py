"""What the call says already: the law is that the form and the call together give back the text."""

from __future__ import annotations

import json
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom import pipeline
from headroom.shrinkers import echo
from headroom.values import Policy, Source, ToolCall
from tests.examples import examples
from tests.headroom.shrinkers import laws, texts

NEW = "def total(rows):\n    return sum(row.size for row in rows if row.is_counted)\n\n\ndef mean(rows):\n    return total(rows) / len(rows)"
CALL = ToolCall("Edit", json.dumps({"file_path": "/app/a.py", "old_string": "pass", "new_string": NEW}))
SNIPPET = "\n".join(
    f"{number:>6}→{line}" for number, line in enumerate(["import json", "", *NEW.split("\n"), "x = 1"], 7)
)
SHOWN = f"The file /app/a.py has been updated. Here is a snippet of it:\n{SNIPPET}"


def restored(form: str, written: dict[str, str]) -> str:
    out: list[str] = []
    for line in form.split("\n"):
        mark = re.fullmatch(r"\[(?:lines (\d+)-(\d+)|(\d+) (added )?lines) as in (\w+)(?:, lines (\d+)-(\d+))?\]", line)
        if mark is None:
            out.append(line)
            continue
        count = int(mark[3]) if mark[3] else int(mark[2]) - int(mark[1]) + 1
        lines = written[mark[5]].split("\n")
        part = lines[int(mark[6]) - 1 : int(mark[7])] if mark[6] else lines[:count]
        sign = "+" if mark[4] else ""
        out += [f"{int(mark[1]) + n}:{one}" if mark[1] else f"{sign}{one}" for n, one in enumerate(part)]
    return "\n".join(out)


def test_what_an_editor_shows_of_an_edit_is_told_by_the_call() -> None:
    outcome = pipeline.shrink(SHOWN, call=CALL, policy=Policy(level="lossless"))
    assert outcome.form == "echo" and not outcome.is_lossy
    assert outcome.text.split("\n")[1:] == [
        "     7→import json",
        "     8→",
        "[lines 9-14 as in new_string]",
        "    15→x = 1",
    ]
    assert pipeline.shrink(outcome.text, call=CALL, policy=Policy(level="lossless")).text == outcome.text


def test_what_a_terminal_repeats_of_a_script_is_told_by_the_keys_that_typed_it() -> None:
    script = f"cat > a.py <<'PY'\n{NEW}\nPY\n"
    call = ToolCall("terminal", json.dumps({"commands": [{"keystrokes": "ls\n\n\n"}, {"keystrokes": script}]}))
    shown = "\n".join(f"> {line}".rstrip() for line in f"{NEW}\nPY".split("\n"))
    (form,) = echo.forms(Source(f"root@box:/app# cat > a.py <<'PY'\n{shown}\nroot@box:/app#", call))
    assert form.text.split("\n")[1:-1] == ["[7 typed lines as in commands 2 keystrokes, lines 2-8]"]


def test_lines_that_the_edit_changed_on_the_way_are_shown() -> None:
    changed = SHOWN.replace("len(rows)", "max(1, len(rows))")
    (form,) = echo.forms(Source(changed, CALL))
    assert (
        "    14→    return total(rows) / max(1, len(rows))" in form.text
        and "lines 9-13 as in new_string, lines 1-5]" in form.text
    )


def test_a_stretch_is_added_as_a_whole_or_not_at_all() -> None:
    lines = [f"value_{n} = compute_the_total(of, all, rows)" for n in range(6)]
    half = "\n".join(f"+{line}" if n < 3 else line for n, line in enumerate(lines))
    (form,) = echo.forms(Source(half, ToolCall("Write", json.dumps({"content": "\n".join(lines)}))))
    assert form.text == "[3 added lines as in content, lines 1-3]\n[3 lines as in content, lines 4-6]"


def test_a_gap_in_the_numbers_ends_a_stretch() -> None:
    gap = SHOWN.replace("    12→", "    13→")
    assert not any("9-14" in form.text for form in echo.forms(Source(gap, CALL)))


def test_short_arguments_and_strange_ones_say_nothing() -> None:
    for arguments in ("", "not json", "[" * 5_000, '{"command": "make"}', json.dumps({"deep": [[[[[NEW]]]]]})):
        assert not list(echo.forms(Source(SHOWN, ToolCall("Edit", arguments))))


@pytest.mark.parametrize("line", ["", " ", "}", "x = 1", "# a comment of some length"])
def test_lines_that_repeat_stay_cheap(line: str) -> None:
    rows = [f"{n}:{line}" for n in range(1, 20_001)]
    call = ToolCall("Write", json.dumps({"content": f"{line}\n" * 20_000}))
    started = time.process_time()
    for text in ("\n".join(rows), f"{line}\n" * 20_000, f"{line}\nother\n" * 10_000):
        list(echo.forms(Source(text, call)))
    assert time.process_time() - started < 3


WORDS = st.lists(
    st.sampled_from(["", "}", "value = compute_the_total(of, all, rows)", "# a comment of some length", "x"]),
    max_size=30,
)


@examples(75)
@given(WORDS, WORDS, st.integers(0, 30), st.integers(0, 30), st.sampled_from(["", "number", "sign"]))
def test_the_form_and_the_call_give_back_the_text(
    wrote: list[str], around: list[str], start: int, end: int, before: str
) -> None:
    lines = [*around[:5], *wrote[start:end], *around[5:], *wrote]
    signs = [f"{n}:" if before == "number" else "+" * (before == "sign" and n > 4) for n in range(1, len(lines) + 1)]
    text = "\n".join(sign + line for sign, line in zip(signs, lines, strict=True))
    written = {"content": "\n".join(wrote)}
    for form in echo.forms(Source(text, ToolCall("Write", json.dumps(written)))):
        assert len(form.text) < len(text)
        assert restored(form.text, written) == text


@given(texts.ANY, laws.LEVELS)
def test_laws_hold(text: str, level: str) -> None:
    laws.assert_kept(echo.forms, text, level)
