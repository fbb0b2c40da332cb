"""Unified diffs."""

from __future__ import annotations

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.shrinkers import diff, diff_parts
from tests.examples import examples
from tests.headroom.shrinkers import golden, laws, texts

FILE = st.lists(
    st.sampled_from([f"line {number}" for number in range(30)] + ["", "}", "-- sql", "++ more"]), max_size=40
)


def git_diff(old: list[str], new: list[str], path: str = "src/a.py", context: int = 3) -> str:
    body = list(difflib.unified_diff(old, new, f"a/{path}", f"b/{path}", n=context, lineterm=""))
    return "\n".join([f"diff --git a/{path} b/{path}", "index 1234567..89abcde 100644", *body])


def patched(old: list[str], hunks: list[diff_parts.Hunk]) -> list[str]:
    """Apply hunks the way `patch` does, by the numbers in their heads."""
    new: list[str] = []
    done = 0
    for hunk in hunks:
        start, _, count = hunk.head.split(" ")[1][1:].partition(",")
        at = int(start) - 1 if count != "0" else int(start)
        new += old[done:at]
        new += [line[1:] for line in hunk.lines if line[:1] in ("+", " ", "")]
        done = at + sum(1 for line in hunk.lines if line[:1] in ("-", " ", ""))
    return new + old[done:]


@pytest.mark.parametrize("name", golden.names("diff"))
def test_real_diffs_are_written_as_reviewed(name: str) -> None:
    assert golden.written("diff", name) == golden.expected("diff", name)


@examples(50)
@given(FILE, FILE, st.integers(0, 6))
def test_trimmed_hunks_still_apply(old: list[str], new: list[str], context: int) -> None:
    files = [part for part in diff_parts.parse(git_diff(old, new, context=context)) if not isinstance(part, str)]
    short = "\n".join(
        ["diff --git a/x b/x", *(line for file in files for line in diff.lines(file, level="balanced")[1:])]
    )
    again = [part for part in diff_parts.parse(short) if not isinstance(part, str)]
    assert patched(old, [hunk for file in again for hunk in file.hunks]) == new


@given(FILE, FILE, st.sampled_from(["lossless", "balanced"]))
def test_every_changed_line_stands_in_every_form(old: list[str], new: list[str], level: str) -> None:
    text = git_diff(old, new)
    changed = [line[1:] for line in text.split("\n")[4:] if line[:1] in ("+", "-")]
    for form in laws.forms(diff.forms, text, level=level).values():
        assert all(line in form.text for line in changed)


def test_modes_renames_and_binary_notes_stay() -> None:
    text = (
        "diff --git a/run.sh b/run.sh\nold mode 100644\nnew mode 100755\n"
        "diff --git a/tool b/tool\nnew file mode 100755\nindex 0000000..1234567\n--- /dev/null\n+++ b/tool\n"
        "@@ -0,0 +1 @@\n+#!/bin/sh\n"
        "diff --git a/a.png b/b.png\nsimilarity index 90%\nrename from a.png\nrename to b.png\n"
        "index 1234567..89abcde 100644\nBinary files a/a.png and b/b.png differ\n"
    )
    form = laws.forms(diff.forms, text)["diff_headings"]
    for line in (
        "old mode 100644",
        "new mode 100755",
        "new file mode 100755",
        "similarity index 90%",
        "rename to b.png",
    ):
        assert line in form.text.split("\n")
    assert "Binary files a/a.png and b/b.png differ" in form.text
    assert "index 1234567" not in form.text


def test_lock_files_keep_versions_and_true_counts() -> None:
    body = "".join(f'-    {{ url = "https://x.example/{n}", hash = "sha256:{n}" }},\n' for n in range(30))
    text = (
        "diff --git a/uv.lock b/uv.lock\n--- a/uv.lock\n+++ b/uv.lock\n@@ -1,33 +1,3 @@\n"
        f' name = "left"\n-version = "1.0"\n+version = "1.1"\n{body} \n'
    )
    form = laws.forms(diff.forms, text)["diff_balanced"]
    assert '-version = "1.0"\n+version = "1.1"\n' in form.text
    assert "[30 of 32 changed lines of this file are not shown]" in form.text
    assert form.left_out == "30 changed lines of lock or generated files"


def test_moved_code_is_told_once() -> None:
    moved = [f"    call_number_{n}(with_some, arguments)" for n in range(12)]
    rest = [f"rest {n}" for n in range(30)]
    text = git_diff([*moved, *rest], [*rest, "between", *moved])
    form = laws.forms(diff.forms, text)["diff_headings"]
    assert form.text.count("call_number_5(") == 1
    assert "[+11 lines: the same as after this line where it was removed above]" in form.text


def test_a_hunk_that_breaks_off_is_left_as_it_is() -> None:
    text = git_diff([f"line {n}" for n in range(20)], [f"line {n}" for n in range(20) if n != 10])
    cut = text[: text.index(" line 12")]
    (form,) = (form for name, form in laws.forms(diff.forms, cut).items() if name == "diff_headings")
    assert "@@ -8,7 +8,6 @@\n line 7\n line 8\n line 9\n-line 10\n line 11\n" in form.text
    assert "diff_balanced" not in laws.forms(diff.forms, cut)


def test_dos_line_ends_make_no_difference() -> None:
    text = git_diff(["one", "two", "three"], ["one", "2", "three"])
    assert laws.forms(diff.forms, text.replace("\n", "\r\n")) == laws.forms(diff.forms, text)


@examples(50)
@given(st.one_of(st.builds(git_diff, FILE, FILE), texts.ANY), laws.LEVELS)
def test_laws_hold(text: str, level: str) -> None:
    laws.assert_kept(diff.forms, text, level)
