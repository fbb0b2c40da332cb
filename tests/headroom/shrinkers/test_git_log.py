"""`git log`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.shrinkers import git_log
from tests.headroom.shrinkers import golden, laws, texts


def commit(number: int, subject: str = "Fix it", files: int = 2) -> str:
    stats = "".join(f" src/part{at}/file{at}.py | {at + 1:4} {'+' * (at + 1)}\n" for at in range(files))
    return (
        f"commit {number:040x}\nAuthor: Kim <kim@example.org>\nDate:   Mon Feb 2 10:00:0{number % 10} 2026 +0100\n\n"
        f"    {subject}\n\n        indented body\n\n{stats} {files} files changed, 9 insertions(+), 3 deletions(-)\n"
    )


LOGS = st.lists(
    st.builds(commit, st.integers(0, 99), st.text("abc :|.", max_size=20), st.integers(0, 30)), min_size=3, max_size=6
).map("\n".join)


@pytest.mark.parametrize("name", golden.names("git_log"))
def test_real_logs_are_written_as_reviewed(name: str) -> None:
    assert golden.written("git_log", name) == golden.expected("git_log", name)


def test_hash_author_date_subject_and_totals_stay() -> None:
    form = laws.forms(git_log.forms, "\n".join(commit(number, f"Subject {number}") for number in range(5)))["git_log"]
    assert not form.is_lossy
    for number in range(5):
        assert f"commit {number:040x}, Kim <kim@example.org>, Mon Feb 2 10:00:0{number} 2026 +0100" in form.text
        assert f"\n Subject {number}\n" in form.text
    assert form.text.count(" 2 files +9 -3") == 5


def test_large_commits_name_their_largest_files_and_count_the_rest() -> None:
    form = laws.forms(git_log.forms, "\n".join(commit(number, files=40) for number in range(3)))["git_log_short"]
    assert "src/part39/file39.py 40" in form.text
    assert "[34 more files: " in form.text
    assert form.left_out == "102 file statistics of large commits, their totals kept"


def test_logs_with_patches_are_left_to_the_diff() -> None:
    text = "\n".join(commit(number) + "diff --git a/x b/x\n" for number in range(4))
    assert laws.forms(git_log.forms, text) == {}


@given(st.one_of(LOGS, texts.ANY), laws.LEVELS)
def test_laws_hold(text: str, level: str) -> None:
    laws.assert_kept(git_log.forms, text, level)
