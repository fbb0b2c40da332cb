"""What programs say beside their answer."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from headroom.shrinkers import chatter
from headroom.values import ToolCall
from tests.headroom.shrinkers import laws, texts

METER = """\
  % Total    % Received % Xferd  Average Speed   Time    Time     Time  Current
                                 Dload  Upload   Total   Spent    Left  Speed

  0     0    0     0    0     0      0      0 --:--:-- --:--:-- --:--:--     0
 41 12.1M   41 5120k    0     0  4096k      0  0:00:03  0:00:01  0:00:02 4096k
100 12.1M  100 12.1M    0     0  4812k      0  0:00:02  0:00:02 --:--:-- 4815k
"""
STATUS = """\
On branch main
Changes not staged for commit:
  (use "git add/rm <file>..." to update what will be committed)
  (use "git restore <file>..." to discard changes in working directory)
	modified:   app.py
	deleted:    old.py

Untracked files:
  (use "git add <file>..." to include in what will be committed)
	notes (use "git add" later).txt

no changes added to commit (use "git add" and/or "git commit -a")"""


def shown(text: str) -> str:
    (form,) = laws.forms(chatter.forms, text).values()
    return form.text


def bar(done: int, total: int = 51, what: str = "") -> str:
    return (
        f"{what}{100 * done // total:3}%|{'█' * (done * 9 // total):9}| {done}/{total} [00:0{done % 9}<00:02, 4.1it/s]"
    )


def test_of_a_bar_stays_how_far_it_got() -> None:
    text = "\n".join(["start", bar(0), "", bar(14), bar(50), "[+] done", bar(3, 9), bar(9, 9), bar(1, 7, "Loading: ")])
    assert shown(text) == "\n".join(["start", bar(50), "[+] done", bar(9, 9), bar(1, 7, "Loading: ")])
    assert not laws.forms(chatter.forms, f"{bar(1)}\nsaid between them\n{bar(2)}\n 41%|of a table| 1/2 | x")


def test_the_outcomes_of_tests_stay_without_their_percentages() -> None:
    text = """\
tests/test_a.py::test_one[x-1] PASSED                                    [  4%]
tests/test_a.py::test_two SKIPPED (needs a (real) database)              [ 50%]
tests/test_a.py::test_three SKIPPED (needs a database)                   [ 62%]
tests/test_b.py ..F.s                                                    [100%]
disk [ 93%]"""
    assert shown(text).split("\n") == [
        "tests/test_a.py::test_one[x-1] PASSED",
        "tests/test_a.py::test_two SKIPPED (needs a (real) database)              [ 50%]",
        "tests/test_a.py::test_three SKIPPED (needs a database)",
        "tests/test_b.py ..F.s",
        "disk [ 93%]",
    ]


def test_a_file_that_tells_of_it_keeps_its_spelling() -> None:
    call = ToolCall("Read", '{"file_path": "docs/testing.md"}')
    assert not laws.forms(chatter.forms, f"{METER}{bar(1)}\n{bar(2)}\ntests/test_b.py ..F.s   [100%]", call=call)


def test_of_a_transfer_the_amount_stays() -> None:
    answer = '{"id": 7}\n'
    assert shown(METER + answer) == "[curl received 12.1M bytes]\n" + answer
    assert (
        shown(METER.replace("\n 41", "\r 41").replace("\n100", "\r100") + answer)
        == "[curl received 12.1M bytes]\n" + answer
    )


def test_an_error_below_the_meter_stays() -> None:
    assert shown(METER + "curl: (22) The requested URL returned error: 404").endswith("returned error: 404")


def test_the_status_is_told_without_advice() -> None:
    assert shown(STATUS) == (
        "On branch main\nChanges not staged for commit:\n\tmodified:   app.py\n\tdeleted:    old.py\n\nUntracked files:\n"
        '\tnotes (use "git add" later).txt\n\nno changes added to commit'
    )


@given(
    st.one_of(texts.ANY, st.lists(st.sampled_from([*METER.splitlines(), *STATUS.splitlines()])).map("\n".join)),
    laws.LEVELS,
)
@example(METER.replace("\n\n", f"\n{STATUS.splitlines()[2]}\n"), "lossless")
def test_laws_hold(text: str, level: str) -> None:
    laws.assert_kept(chatter.forms, text, level)
