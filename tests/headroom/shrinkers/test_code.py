"""Source files as agents read them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from headroom import pipeline, tokens
from headroom.shrinkers import code, grammars, numbered
from headroom.values import Form, Level, Policy, Source, ToolCall
from tests.examples import examples
from tests.headroom.shrinkers import golden, programs, texts

LEVELS: tuple[Level, ...] = ("lossless", "balanced", "deep")


def read(path: str, **arguments: object) -> ToolCall:
    return ToolCall("Read", json.dumps({"file_path": f"/repo/{path}", **arguments}))


def outline(text: str, call: ToolCall, level: Level = "deep", *, code_aware: bool = True) -> str:
    forms = list(code.forms(Source(text, call, Policy(level=level, code_aware=code_aware))))
    return forms[0].text if forms else text


def cat_n(text: str, first: int = 1) -> str:
    return "\n".join(f"{number:>6}→{line}" for number, line in enumerate(text.split("\n"), first))


@pytest.mark.parametrize("name", golden.names("code"))
@pytest.mark.parametrize("level", ["balanced", "deep"])
def test_real_files_are_written_as_reviewed(name: str, level: Level) -> None:
    assert golden.written_file("code", name, level) == golden.expected_file("code", name, level)


@pytest.mark.parametrize("program", programs.PROGRAMS, ids=lambda program: program.path)
def test_an_old_read_keeps_signatures_and_folds_bodies(program: programs.Program) -> None:
    text = outline(program.text, read(program.path))
    for signature in program.signatures:
        assert signature in text
    assert "value7" not in text and re.search(r"^\s*\.\.\. lines \d+-\d+$", text, re.MULTILINE)


@pytest.mark.parametrize("program", programs.PROGRAMS, ids=lambda program: program.path)
def test_a_fresh_read_keeps_every_statement(program: programs.Program) -> None:
    text = outline(program.text, read(program.path), "balanced")
    for line in program.text.split("\n"):
        assert line in text or "talk" in line or not line.strip()


@pytest.mark.parametrize("program", programs.PROGRAMS, ids=lambda program: program.path)
def test_what_a_fold_names_are_the_lines_it_stands_for(program: programs.Program) -> None:
    original = program.text.split("\n")
    back: list[str] = []
    for line in outline(program.text, read(program.path)).split("\n"):
        fold = re.fullmatch(r"\s*\.\.\. lines (\d+)-(\d+)", line)
        back.extend(original[int(fold[1]) - 1 : int(fold[2])] if fold else [line])
    assert back == original


def test_numbered_reads_name_the_numbers_of_the_file() -> None:
    text = outline(cat_n(programs.PROGRAMS[0].text, first=101), read("app/pool.py", offset=101))
    assert "101→import socket" in text and re.search(r"\.\.\. lines 112-\d+", text)


def test_a_definition_that_the_call_names_stays_whole() -> None:
    program = programs.PROGRAMS[4]
    assert "value7" in outline(program.text, read(program.path, symbol="Free"))


def test_licences_are_shortened_at_first_sight() -> None:
    text = "\n".join(
        ["/*", " * Copyright 2020 A. Uthor", *[" * Licensed to you"] * 12, " */", programs.PROGRAMS[6].text]
    )
    shown = outline(text, read("src/Pool.java"), "balanced")
    assert (
        shown.startswith("/*\n * Copyright 2020 A. Uthor\n... lines 3-14\n */\npackage a.b;")
        or "... lines 3-14" in shown
    )


@pytest.mark.parametrize(("rows", "is_whole"), [(4, True), (5, False)])
def test_only_long_docstrings_are_shortened_at_first_sight(rows: int, *, is_whole: bool) -> None:
    """An edit quotes the short ones."""
    said = "\n".join(f"    It says what happens in the case of {n} and of more." for n in range(rows - 2))
    text = "".join(
        f'def part_{n}(rows):\n    """Part of it.\n\n{said}"""\n    total = sum(rows) * {n} + len(rows)\n    return total + rows[{n}]\n\n'
        for n in range(9)
    )
    assert (outline(text, read("parts.py"), "balanced") == text) == is_whole


def test_names_that_only_a_dropped_comment_has_are_told_at_first_sight() -> None:
    said = "\n".join(f"    It says what happens in the case of {n} and of more." for n in range(6))
    names = "    Set POOL_MAX_IDLE or --no-reuse, or call close_pool; total_rows is in the result."
    text = (
        f'def part(total_rows):\n    """Part of it.\n\n{said}\n{names}\n    """\n    return rows\n' + "value = 1\n" * 60
    )
    shown = outline(text, read("parts.py"), "balanced")
    assert "    ... lines 3-10: POOL_MAX_IDLE, --no-reuse, close_pool\n" in shown
    assert "close_pool" not in outline(text, read("parts.py"))


@pytest.mark.parametrize(("statements", "is_whole"), [(2, True), (60, False)])
def test_a_file_that_mostly_documents_keeps_that_but_for_its_licence(statements: int, *, is_whole: bool) -> None:
    licence = ["/* Copyright 2020 A. Uthor", *["   Licensed to you"] * 9, "*/", ""]
    said = ["/**", *(f" * Frees the {n}th buffer, which must not be used from then on." for n in range(30)), " */"]
    text = "\n".join([*licence, *said, *(f"int free_part_{n}(struct part *one);" for n in range(statements))])
    shown = outline(text, read("parts.h"), "balanced")
    assert "... lines 2-10" in shown and all(f"int free_part_{n}" in shown for n in range(statements))
    assert all(line in shown for line in said) == is_whole


def test_code_aware_switched_off_folds_no_bodies() -> None:
    program = programs.PROGRAMS[0]
    assert "value7" in outline(program.text, read(program.path), code_aware=False)


def test_a_traceback_that_quotes_code_is_no_program() -> None:
    text = "\n".join(
        f"tests/test_a.py:{n}: in test_{n}\n    def helper(x):\n>       assert x == {n}\nE       assert 1 == {n}"
        for n in range(20)
    )
    assert not list(
        code.forms(Source(text, ToolCall("Bash", '{"command": "pytest tests/test_a.py"}'), Policy(level="deep")))
    )


def test_programs_without_a_file_name_are_recognised() -> None:
    program = programs.PROGRAMS[4]
    assert "value7" not in outline(program.text, ToolCall())


def test_a_missing_grammar_only_means_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(grammars._FOLDS, "cobol", "")  # type: ignore[misc]
    assert "cobol" in grammars.missing()
    assert grammars.parse("x", "cobol") is None  # type: ignore[arg-type]


def test_every_grammar_of_the_default_install_is_there() -> None:
    assert grammars.missing() == ()


@given(
    st.integers(1, 3_000),
    st.lists(texts.LINE, min_size=15, max_size=60),
    st.sampled_from(["→", "\t", "|", "| ", " | ", ". ", ": "]),
    st.integers(4, 7),
    st.sampled_from(" 0"),
)
def test_thinned_line_numbers_can_be_counted_back(first: int, rows: list[str], mark: str, width: int, pad: str) -> None:
    rows = [*rows, "", "and on"]
    numbers = [f"{str(number).rjust(width, pad)}{mark}" for number in range(first, first + len(rows))]
    lines = [
        "Here is the file:",
        *(number + row if row else number.rstrip(" ") for number, row in zip(numbers, rows, strict=True)),
        "",
        "end",
    ]
    run = numbered.find(lines)
    assume(run is not None and run.mark == mark)  # a text that begins with a blank may look like a part of the mark
    assert run is not None
    thin = numbered.thinned(lines, run)
    assert thin.pop(run.start) == numbered.NOTE
    counted = range(run.start, run.end)
    texts = [thin[row].removeprefix(numbered.label(run, row)) for row in counted]
    assert texts == rows[run.start - 1 : run.end - 1]
    assert [int(numbers[row - 1].strip().removesuffix(mark.strip())) for row in counted] == list(
        map(run.number, counted)
    )
    assert numbered.find(thin) is None or numbered.find(thin) != run


@pytest.mark.parametrize("mark", ["|", " | ", ". ", ": "])
def test_rows_that_count_without_an_empty_line_may_be_a_table_or_a_list(mark: str) -> None:
    rows = [f"{number}{mark}Item {number * 7}, at {number * 13} for each" for number in range(1, 40)]
    assert numbered.find(rows) is None
    run = numbered.find([*rows[:20], f"21{mark}", *rows[21:]])
    assert run is not None and run.end == 39


def test_a_blank_behind_the_number_of_an_indented_line_is_its_own() -> None:
    rows = [f"{number}:{' ' * (number % 3)}step({number})" for number in range(98, 130)]
    run = numbered.find(rows, is_loose=True)
    assert run is not None and (run.end, run.mark) == (32, ":")
    assert numbered.find([*rows, "130:"]) is None, "whoever edits by these numbers counts on them"


def test_line_numbers_cost_a_tenth() -> None:
    text = cat_n("\n".join(programs.PROGRAMS[index].text for index in (0, 1, 2)))
    shrunk = pipeline.shrink(text, call=read("notes.txt"), policy=Policy(level="lossless"))
    assert shrunk.form == "line_numbers" and shrunk.tokens_after < shrunk.tokens_before * 0.85


SNIPPETS = st.sampled_from(
    [
        *(line for program in programs.PROGRAMS for line in program.text.split("\n")),
        '"""',
        "/*",
        "*/",
        "}",
        "{",
        "((",
        "   ",
    ]
)


@examples(40)
@given(
    st.one_of(texts.ANY, st.lists(SNIPPETS, max_size=80).map("\n".join)),
    st.sampled_from(programs.PROGRAMS),
    st.sampled_from(LEVELS),
    st.booleans(),
)
def test_no_text_makes_it_fail_or_waver(text: str, program: programs.Program, level: Level, is_numbered: bool) -> None:
    shown = cat_n(text) if is_numbered else text
    source = Source(shown, read(program.path), Policy(level=level))
    first: list[Form] = list(code.forms(source))
    assert first == list(code.forms(source))
    for form in first:
        assert form.text.strip() and form.left_out and len(form.text) <= len(shown) + 200


@examples(15)
@given(
    st.lists(SNIPPETS, min_size=30, max_size=120).map("\n".join),
    st.sampled_from(programs.PROGRAMS),
    st.sampled_from(LEVELS),
)
def test_the_laws_hold_through_the_pipeline(text: str, program: programs.Program, level: Level) -> None:
    policy = Policy(level=level)
    once = pipeline.shrink(text, call=read(program.path), policy=policy)
    assert tokens.count(once.text) <= tokens.count(text) and once.text.strip() == once.text.strip() != ""
    assert pipeline.shrink(once.text, call=read(program.path), policy=policy).text == once.text


@pytest.mark.parametrize(
    "text", ["(" * 100_000, "{" * 50_000 + "\n" * 50, "def f(" * 20_000, '"""' * 30_000, "/*\n" * 30_000]
)
def test_hostile_programs_stay_cheap(text: str) -> None:
    for path in ("a.py", "a.js", "a.c"):
        list(code.forms(Source("x = 1\n" * 20 + text, read(path), Policy(level="deep"))))


def test_this_repository_reads_back_by_its_own_fold_marks() -> None:
    for path in sorted(Path(code.__file__).parent.glob("*.py")):
        text = path.read_text()
        original = text.split("\n")
        for line in outline(text, read(path.name)).split("\n"):
            assert line in original or re.fullmatch(r"\s*\.\.\. lines \d+-\d+", line), path.name


def test_a_file_that_is_shown_from_within_a_docstring_keeps_the_code_behind_it() -> None:
    """The first quotes close what began above the window."""
    said = "\n".join(f"          option_{n}: Add parameter {7919 * n} to the request." for n in range(6))
    method = '''\
        """
        if not path_name:
            raise ValueError(f"Expected a value for `path_name` but received {path_name!r}")
        return self._delete(f"/v2/boxes/{name}/snapshots/{path_name}")

    def unshare(
        self,
        name: str,
        *,
        port: int | Omit = omit,
        timeout: float | None = None,
    ) -> BoxShare:
        """
        Removes the sharing grant for one port, or for every port when port is omitted.

        Args:
'''
    end = '\n        """\n        return self._post(f"/v2/boxes/{name}/unshare", {"port": port})\n'
    window = f"{said}\n{method}{said}{end}"
    for text in (window, window[window.index('        """') :]):
        shown = outline(text, read("boxes.py", offset=534), "balanced")
        for line in method[method.index("if not") :].split("\n")[:9]:
            assert line in shown
