"""Search results."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom import pipeline
from headroom.shrinkers import search
from headroom.values import Policy, ToolCall
from tests.examples import examples
from tests.headroom.shrinkers import golden, laws, texts

PATHS = ["a.py", "src/a.py", "src/b c.py", "src/deep/er/x.tsx", "C:/code/y.cs", "docs/read-me.md"]
MATCHES = st.lists(
    st.tuples(
        st.sampled_from(PATHS),
        st.integers(1, 5000),
        st.text("abz (){}:=-,;#'\"", max_size=30).map(lambda text: text + "x"),
    ),
    min_size=4,
    max_size=40,
)


def printed(matches: list[tuple[str, int, str]]) -> str:
    return "\n".join(f"{path}:{number}:{text}" for path, number, text in matches)


def read_by_file(text: str) -> set[tuple[str, int, str]]:
    """Read the grouped form back as a person would."""
    found = set()
    path = ""
    for line in text.split("\n")[1:]:
        match = re.match(r"([\d,]+):(.*)", line)
        if match is None:
            path = line
            continue
        found |= {(path, int(number), match[2]) for number in match[1].split(",")}
    return found


@pytest.mark.parametrize("name", golden.names("search"))
def test_real_searches_are_written_as_reviewed(name: str) -> None:
    assert golden.written("search", name) == golden.expected("search", name)


@given(MATCHES)
def test_grouping_loses_no_match(matches: list[tuple[str, int, str]]) -> None:
    assert read_by_file(laws.forms(search.forms, printed(matches))["search_by_file"].text) == set(matches)


@given(MATCHES)
def test_names_and_texts_stand_in_every_form(matches: list[tuple[str, int, str]]) -> None:
    for form in laws.forms(search.forms, printed(matches)).values():
        assert all(path.rpartition("/")[2] in form.text and text in form.text for path, _, text in matches)


def test_context_lines_go_with_their_file() -> None:
    text = "a/b.py-1-import re\na/b.py:2:x = 1\na/b.py-3-y = 2\n--\na/b.py:9:x = 3\na/c.py:1:x\na/c.py:4:x"
    assert laws.forms(search.forms, text)["search_by_file"].text == (
        "4 matches in 2 files:\na/b.py\n1-import re\n2:x = 1\n3-y = 2\n--\n9:x = 3\na/c.py\n1,4:x"
    )


def test_long_lines_are_cut_around_what_was_searched() -> None:
    long = "x" + ";y=1" * 300 + ";needle=2" + ";z=3" * 300
    text = "\n".join(f"dist/{name}.js:1:{long}" for name in "abcd")
    cut = laws.forms(search.forms, text, call=ToolCall("Bash", '{"command": "rg needle"}'))["search_by_file_cut"]
    assert "needle=2" in cut.text
    assert cut.left_out == "the far ends of 4 very long lines"
    assert len(cut.text) < len(text) / 4


@pytest.mark.parametrize(
    "text",
    [
        "Jan  3 12:30:45 host sshd: closed\n" * 9,
        "2024-01-03 12:30:45 INFO started\n" * 9,
        "\n".join(f'  "key{number}": {{"a": {number}}},' for number in range(20)),
        "plain words without any colon\n" * 9,
    ],
)
def test_logs_and_other_texts_are_no_search(text: str) -> None:
    assert laws.forms(search.forms, text) == {}


@examples(50)
@given(st.one_of(MATCHES.map(printed), texts.ANY), laws.LEVELS)
def test_laws_hold(text: str, level: str) -> None:
    laws.assert_kept(search.forms, text, level)


@pytest.mark.parametrize(("command", "is_thinned"), [("grep -rn x src", True), ("flake8 src", False)])
def test_only_what_was_searched_for_is_thinned_when_old(command: str, is_thinned: bool) -> None:
    text = "\n".join(f"src/a.py:{at}:{at % 7}: E501 line too long ({at} > 79)" for at in range(1, 60))
    call = ToolCall("Bash", f'{{"command": "{command}"}}')
    assert ("search_first" in laws.forms(search.forms, text, level="deep", call=call)) == is_thinned


VERBS = ["raised", "saw", "lost", "carried", "folded", "remembered"]
NOUNS = ["The captain", "A stranger", "Every soldier", "Nobody", "The old man", "Our guide"]
PROSE = [f"{noun} {verb} the flag, and {other} went on" for noun in NOUNS for verb in VERBS for other in VERBS]


NUMBERED = [f"{at}:{line}" for at, line in enumerate(PROSE, 7)]


def searched(command: str, lines: list[str], *, tool: str = "bash") -> pipeline.Shrunk:
    call = ToolCall(tool, json.dumps({"command": command}))
    return pipeline.shrink("\n".join(lines), call=call, policy=Policy())


@pytest.mark.parametrize("command", ["strings disk.img | grep flag", "grep -i Flag book.txt", "rg flag book.txt"])
def test_of_prose_that_was_searched_what_is_no_prose_stays_with_each_word_that_was_found(command: str) -> None:
    odd = [
        "flag{n0_pr0se}",
        "set the flag --force",
        "see flags.md for the flag",
        "the useFlag hook sets it",
        "flag 7 was set",
    ]
    words = ["They flagged him down at once", "It was a general conflagration, they said"]
    lines = list(PROSE)
    for at, line in enumerate([*odd, *words]):
        lines.insert(20 + 25 * at, line)
    shrunk = searched(command, lines)
    assert shrunk.form == "search_prose" and shrunk.tokens_after * 5 < shrunk.tokens_before
    shown = shrunk.text.split("\n")
    assert {*odd, *words, *lines[:4], *lines[-4:]} <= set(shown)
    gaps = sum(int(found[1]) for found in re.finditer(r"^\[(\d+) more\]$", shrunk.text, re.MULTILINE))
    assert gaps == len(lines) - len(set(shown) & set(lines))
    assert shrunk.left_out.startswith(f"{gaps} of {len(lines)} matches") and "flag" in shrunk.left_out


def test_lines_with_their_numbers_are_prose_too() -> None:
    assert searched("grep -n flag book.txt", NUMBERED).form == "search_prose"


@pytest.mark.parametrize(
    ("command", "lines"),
    [
        ("grep flag book.txt", PROSE[:60]),
        ("cat book.txt", PROSE),
        ("grep -E 'flag|pennant' book.txt", PROSE),
        ("grep -v pennant book.txt", PROSE),
        ("grep flag main.c", [f"    flag_{at} = set(flag, {at});" for at in range(200)]),
        ("grep -n flag notes.txt", [f"{at}:the flag of {at} wins" for at in range(200)]),
        ("grep flag names.txt", [f"flag {verb}" for verb in VERBS] * 30),
    ],
)
def test_other_lines_that_were_found_stay_whole(command: str, lines: list[str]) -> None:
    assert searched(command, lines).form != "search_prose"


@examples(30)
@given(st.lists(st.sampled_from([*PROSE, "flag{x}", "", "no match"]), min_size=80, max_size=160), laws.LEVELS)
def test_laws_hold_for_prose_that_was_searched(lines: list[str], level: str) -> None:
    laws.assert_kept(search.forms, "\n".join(lines), level, call=ToolCall("grep", '{"command": "grep flag book"}'))


def test_paths_stay_whole_where_folders_would_save_little() -> None:
    few = "\n".join(
        f"packages/{name}/src/main.ts:{n}:const value_{n} = compute({n}, {n * n});"
        for name in "ab"
        for n in range(1, 5)
    )
    assert [*laws.forms(search.forms, few)] == ["search_by_file"]
    many = "\n".join(f"packages/tui/src/components/widget_{n}.ts:{n + 1}:const x = {n};" for n in range(12))
    assert [*laws.forms(search.forms, many)] == ["search_by_file", "search_by_folder"]


def test_of_an_old_search_every_file_stays() -> None:
    call = ToolCall("Bash", '{"command": "grep -rn compute packages"}')
    text = "\n".join(
        f"packages/{name}/src/main.ts:{n}:const value_{n} = compute({n}, {n * n});" for name in "abc" for n in (3, 7, 9)
    )
    old = pipeline.shrink(text, call=call, policy=Policy(level="deep"))
    assert old.form == "search_first"
    assert old.text.split("\n")[1:4] == [
        "packages/a/src/main.ts",
        "3:const value_3 = compute(3, 9);",
        "[2 more matches: 7, 9]",
    ]
    assert all(f"packages/{name}/src/main.ts" in old.text for name in "abc")
