"""Lists of paths."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.shrinkers import path_list
from tests.headroom.shrinkers import golden, laws, texts

PATHS = st.lists(st.from_regex(r"\./([a-c]{1,2}/){0,3}[a-z]{1,5}\.[a-z]{1,3}", fullmatch=True), min_size=8, max_size=60)


def read(text: str) -> list[str]:
    """Read the folded list back as its first line says."""
    found = []
    for line in text.split("\n")[1:]:
        first, *names = line.split(" ")
        found += [first, *(first[: first.rfind("/") + 1] + name for name in names)]
    return found


@pytest.mark.parametrize("name", golden.names("path_list"))
def test_real_lists_are_written_as_reviewed(name: str) -> None:
    assert golden.written("path_list", name) == golden.expected("path_list", name)


@given(PATHS)
def test_every_path_can_be_read_back(paths: list[str]) -> None:
    (form,) = laws.forms(path_list.forms, "\n".join(paths)).values()
    assert sorted(read(form.text)) == sorted(paths)
    assert form.text.startswith(f"{len(paths)} paths in ")


def test_a_short_list_has_paths_in_folders_of_few_names_in_full() -> None:
    pairs = [f"/srv/app/src/{name}/{name}{end}" for name in ("menu", "item", "list") for end in (".test.js", ".js")]
    many = [f"/srv/app/icons/icon_{n}.js" for n in range(9)]
    (form,) = laws.forms(path_list.forms, "\n".join([*pairs, *many])).values()
    assert form.text.split("\n")[1:7] == pairs and form.text.endswith(
        "/icons/icon_0.js " + " ".join(f"icon_{n}.js" for n in range(1, 9))
    )
    longer = [f"/srv/app/src/part_{n // 2}/{n}.js" for n in range(80)]
    (form,) = laws.forms(path_list.forms, "\n".join(longer)).values()
    assert "/srv/app/src/part_3/6.js 7.js" in form.text.split("\n")


def test_complaints_stay_below_the_list() -> None:
    complaints = ["grep: write error: Broken pipe", "find: ‘standard output’: Broken pipe", "find: write error"]
    text = "\n".join([*(f"/srv/app/parts/part_{n}.py" for n in range(9)), *complaints])
    (form,) = laws.forms(path_list.forms, text).values()
    assert form.text.split("\n")[2:] == complaints and " part_8.py" in form.text


def test_lines_that_are_no_paths_leave_the_list_alone() -> None:
    assert laws.forms(path_list.forms, "\n".join(["see ./a/b for more"] * 20)) == {}


@given(st.one_of(PATHS.map("\n".join), texts.ANY), laws.LEVELS)
def test_laws_hold(text: str, level: str) -> None:
    laws.assert_kept(path_list.forms, text, level)
