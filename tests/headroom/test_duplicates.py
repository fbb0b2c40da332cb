"""A file read again, a test run again: the law is that the earlier copy and the form together give back the text."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from headroom import duplicates
from headroom.duplicates import Visible
from tests.examples import examples

SOURCE = Path(duplicates.__file__).read_text()
WHERE = "in the Read of duplicates.py"


def numbered(text: str, first: int = 1) -> str:
    return "\n".join(f"{number:>6}→{line}" for number, line in enumerate(text.split("\n"), first))


def refer(text: str, *earlier: str) -> duplicates.Repeat:
    found = duplicates.refer(text, [Visible(WHERE, one) for one in earlier])
    assert found is not None
    return found


def restored(form: str, earlier: str) -> str:
    """Read a form as the model would: each named stretch stands for those lines of the earlier copy."""
    old = earlier.split("\n")
    if form.startswith("[Exactly"):
        return earlier
    out: list[str] = []
    for line in form.split("\n")[1:]:
        mark = re.fullmatch(r"\[(?:lines )?(\d+)-(\d+) unchanged\]", line)
        out += old[int(mark[1]) - 1 : int(mark[2])] if mark else [line]
    return "\n".join(out)


def test_the_same_again_is_one_line() -> None:
    found = refer(SOURCE, "something else", SOURCE)
    assert found.source == 1 and found.form.text.startswith(f"[Exactly as {WHERE}]")


def test_an_edited_file_shows_its_edit() -> None:
    lines = SOURCE.split("\n")
    edited = "\n".join([*lines[:30], "# a new line", *lines[33:]])
    found = refer(edited, SOURCE)
    assert "# a new line" in found.form.text and len(found.form.text) < 300
    assert restored(found.form.text, SOURCE) == edited
    assert found.form.left_out == f"{len(lines) - 3} of {len(lines) - 2} lines, which stand {WHERE} above"


def test_a_shift_of_line_numbers_changes_nothing_but_is_told() -> None:
    lines = SOURCE.split("\n")
    edited = "\n".join([*lines[:10], "import re", *lines[10:]])
    form = refer(numbered(edited), numbered(SOURCE)).form.text
    assert "    11→import re" in form
    assert "[lines 1-10 unchanged]" in form and f"[11-{len(lines)} unchanged, now 12-{len(lines) + 1}]" in form


def test_line_numbers_of_an_editor_may_shift_as_well() -> None:
    lines = [f"statement_{n}()" for n in range(40)]
    window = [f"{number}:{line}" for number, line in enumerate(lines, 237)]
    shifted = [f"{number}:{line}" for number, line in enumerate([*lines[:12], "added()", *lines[12:]], 237)]
    form = refer("\n".join(["[File: a.py]", *shifted]), "\n".join(window)).form.text
    assert form.split("\n")[2:] == [
        "[lines 237-248 unchanged]",
        "249:added()",
        "[249-276 unchanged, now 250-277]",
    ]


def test_a_window_of_a_file_is_found_in_the_whole() -> None:
    window = numbered("\n".join(SOURCE.split("\n")[40:90]), first=41)
    assert "[lines 41-90 unchanged]" in refer(window, numbered(SOURCE)).form.text


def test_a_rerun_shows_the_new_outcome() -> None:
    run = "\n".join([*(f"tests/test_{n}.py::test_{n} PASSED [{n}%]" for n in range(60)), "60 passed in 2.31s"])
    again = run.replace("test_31 PASSED", "test_31 FAILED").replace(
        "60 passed in 2.31s", "1 failed, 59 passed in 2.44s"
    )
    form = refer(again, run).form.text
    assert "test_31 FAILED" in form and "1 failed, 59 passed in 2.44s" in form and len(form) < len(again) / 4


def test_the_closest_copy_is_named_and_the_latest_of_equals() -> None:
    assert refer(SOURCE + "\nend", SOURCE[:900], SOURCE, SOURCE, SOURCE[900:]).source == 2


def test_strangers_are_left_alone() -> None:
    assert duplicates.refer(SOURCE, [Visible("in the build", "gcc -o a a.c\n" * 50)]) is None
    assert duplicates.refer(SOURCE, []) is None
    assert duplicates.refer("ok", [Visible("in the build", "ok")]) is None


LINES = st.lists(
    st.one_of(
        st.sampled_from(["}", "", "    return value_of_something", "import something_long_enough", "x = 1"]),
        st.text(st.characters(exclude_characters="\n"), max_size=50),
    ),
    max_size=60,
)


@examples(75)
@given(LINES, LINES, st.integers(0, 60), st.integers(0, 60))
def test_the_earlier_copy_and_the_form_give_back_the_text(old: list[str], new: list[str], start: int, end: int) -> None:
    earlier = "\n".join(old * 3)
    text = "\n".join([*new[:4], *(old * 3)[start:end], *new[4:8], *(old * 2)])
    found = duplicates.refer(text, [Visible("in the run", earlier)])
    assert found == duplicates.refer(text, [Visible("in the run", earlier)])
    if found is not None:
        assert len(found.form.text) < len(text) and found.form.left_out
        if "→" not in text and "\t" not in text:
            assert restored(found.form.text, earlier) == text


def test_hostile_texts_stay_cheap() -> None:
    for line in ("}", "", "a" * 50):
        many = "\n".join([line] * 40_000)
        duplicates.refer(many + "\nx", [Visible("in the run", "y\n" + many)])
        duplicates.refer("\n".join([line, "b"] * 20_000), [Visible("in the run", "\n".join([line, "c"] * 20_000))])


def test_a_text_that_shares_a_part_says_so() -> None:
    part, other = "\n".join(SOURCE.split("\n")[20:40]), "\n".join(f"{n} is new here: {n * n}" for n in range(60))
    text = f"{other}\n{part}\nand this is the end"
    form = refer(text, SOURCE).form.text
    assert form.startswith(f"[Unchanged lines are as {WHERE}]\n0 is new here: 0\n")
    assert form.endswith("\n[lines 21-40 unchanged]\nand this is the end")
    assert restored(form, SOURCE) == text


def test_excerpts_of_a_numbered_file_are_found_in_it() -> None:
    window = [f"{number}:    statement_{number}(of='this file')" for number in range(237, 277)]
    excerpt = ["Your edit would look like this:", *window[8:13], "250:oops", *window[14:18], "Try again.", "shell-$"]
    form = refer(
        "\n".join(excerpt), "\n".join([*window, "Open file: /repo/a.py", "Folder: /repo", "shell-$"])
    ).form.text
    assert form.split("\n")[1:] == [
        "Your edit would look like this:",
        "[lines 245-249 unchanged]",
        "250:oops",
        "[251-254 unchanged]",
        "Try again.",
        "shell-$",
    ]


def test_what_stands_below_numbered_lines_is_not_named_by_a_number() -> None:
    notes = ["Open file: /repo/a.py", "Current directory: /repo/with/a/long/name/to/it/that/is/worth/it", "shell-$"]
    old = [*(f"{number}:statement_{number}(of='this file')" for number in range(1, 40)), *notes]
    form = refer("\n".join([*old[:9], "10:changed()", *old[10:]]), "\n".join(old)).form.text
    assert form.split("\n")[1:] == [
        "[lines 1-9 unchanged]",
        "10:changed()",
        "[11-39 unchanged]",
        "[last 3 lines unchanged]",
    ]
