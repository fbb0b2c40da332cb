"""Rows as Python prints them: the law is that the head and the lines give back the text."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from headroom import detect, pipeline
from headroom.shrinkers import tuples
from headroom.values import Policy, ToolCall
from tests.headroom.shrinkers import laws, texts

CALL = ToolCall("sql_query", '{"command": "SELECT * FROM city"}')
CITIES = str([(f"City {n} ", n * 977, None, Decimal(n), "Austria ") for n in range(9)])
QUOTED = r"""b?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""


def restored(form: str) -> str:
    head, *lines = form.split("\n")
    found = re.fullmatch(
        r"\[[\d,]+ tuples like \((.*?),?\), a line each; below is only what stands at the stars(?:, split by “(.)”)?\]",
        head,
    )
    assert found is not None
    like = re.findall(rf"{QUOTED}|[\w.]+\([^()]*\)|[^,\s]+", found[1])
    split = {"": "", ",": ", ", "|": " | "}[found[2] or ""]
    rows = []
    for line in lines:
        cells = _cells(line, split)
        rows.append([_whole(one, cells) for one in like])
        assert not cells
    end = "," if len(like) == 1 else ""
    return "[" + ", ".join(f"({', '.join(row)}{end})" for row in rows) + "]"


def _cells(line: str, split: str) -> list[str]:
    found, at = [], 0
    while at <= len(line):
        quoted = re.compile(QUOTED).match(line, at)
        end = quoted.end() if quoted is not None else line.find(split or "\n", at)
        end = len(line) if end < 0 else end
        found.append(line[at:end])
        at = end + len(split or "\n")
    return found


def _whole(like: str, cells: list[str]) -> str:
    if "*" not in like:
        return like
    cell = cells.pop(0)
    is_odd = re.match(r"b?['\"]|[A-Za-z_][\w.]*\(|(?:None|True|False)\Z", cell)
    return cell if is_odd else like.replace("*", cell)


def test_what_all_rows_share_is_said_once() -> None:
    (form,) = laws.forms(tuples.forms, CITIES, call=CALL).values()
    head, first, *_ = form.text.split("\n")
    assert head == (
        "[9 tuples like ('* ', *, None, Decimal('*'), 'Austria '), a line each; below is only what stands at the stars, split by “,”]"
    )
    assert first == "City 0, 0, 0"
    assert restored(form.text) == CITIES and not form.is_lossy


def test_what_is_spelled_in_another_way_stays_so() -> None:
    names = str(
        [(name,) for name in ("Wien", "Graz", "L'Aquila", "None", "Linz", "Enns", "Steyr", "Wels", "Hall", "Lienz")]
    )
    (form,) = laws.forms(tuples.forms, names, call=CALL).values()
    assert form.text.split("\n")[1:5] == ["Wien", "Graz", '"L\'Aquila"', "'None'"]
    assert restored(form.text) == names
    mixed = str([("1", 2), (3, 4), *((str(n), n) for n in range(20))])
    (form,) = laws.forms(tuples.forms, mixed, call=CALL).values()
    assert "tuples like (*, *)" in form.text, "a number is not a text of digits"


def test_the_form_is_chosen_and_stays() -> None:
    outcome = pipeline.shrink(CITIES, call=CALL, policy=Policy())
    assert (outcome.kind, outcome.form, outcome.is_lossy) == ("tuples", "tuples", False)
    assert pipeline.shrink(outcome.text, call=CALL, policy=Policy()).text == outcome.text


def test_other_lists_are_left_alone() -> None:
    for text in (
        str([(1, 2)] * 3),
        str([(1, 2), (1,), (1, 2), (1, 2)]),
        str([(n, [n]) for n in range(9)]),
        "[(a b), (c d)]",
    ):
        assert not laws.forms(tuples.forms, text, call=CALL)


CELLS = st.one_of(
    st.integers(), st.none(), st.booleans(), st.text(max_size=8), st.binary(max_size=4), st.dates().map(lambda day: day)
)


@given(st.integers(1, 4).flatmap(lambda width: st.lists(st.tuples(*[CELLS] * width), min_size=4, max_size=12)))
def test_nothing_is_lost(rows: list[tuple[object, ...]]) -> None:
    _assert_restored(rows)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["Wien", "Graz, Austria", "a | b", "it's", "x "]), st.sampled_from([date(2020, 1, 2), 7])
        ),
        min_size=4,
    )
)
def test_nothing_is_lost_of_rows_that_are_alike(rows: list[tuple[object, ...]]) -> None:
    _assert_restored(rows)


def _assert_restored(rows: list[tuple[object, ...]]) -> None:
    for form in laws.forms(tuples.forms, str(rows), call=CALL).values():
        assert restored(form.text) == str(rows)
        assert detect.kinds(form.text, CALL) == ("blob",)


@given(texts.ANY, laws.LEVELS)
def test_laws_hold(text: str, level: str) -> None:
    laws.assert_kept(tuples.forms, text, level)
    laws.assert_kept(tuples.forms, f"[({text}), ({text})]", level)
