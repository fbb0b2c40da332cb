"""CSV and its relatives."""

from __future__ import annotations

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.shrinkers import sample, table
from headroom.values import Form, Policy, Source, ToolCall
from tests.examples import examples
from tests.headroom.shrinkers import golden, texts

NO_CALL = ToolCall()


def forms(text: str, *, level: str = "balanced", call: ToolCall = NO_CALL) -> dict[str, Form]:
    return {form.name: form for form in table.forms(Source(text, call, Policy(level=level)))}  # type: ignore[arg-type]


def measures(count: int = 1500) -> list[str]:
    return [
        f"2024-{1 + number // 130:02d}-{1 + number % 28:02d},{200 + number % 50},{'ok' if number % 11 else 'late'}"
        for number in range(count)
    ]


@pytest.mark.parametrize("name", golden.names("table"))
def test_real_tables_are_written_as_reviewed(name: str) -> None:
    assert golden.written("table", name) == golden.expected("table", name)


@given(texts.ANY, st.sampled_from(["lossless", "balanced", "deep"]))
def test_no_text_makes_it_fail_or_waver(text: str, level: str) -> None:
    assert forms(text, level=level) == forms(text, level=level)


@examples(15)
@given(texts.grids(min_rows=60, max_rows=200), st.sampled_from([",", ";", "\t", "|"]), st.data())
def test_rows_that_are_shown_are_rows_of_the_table(
    grid: tuple[list[str], list[list[str]]], delimiter: str, data: st.DataObject
) -> None:
    names, rows = grid
    lines = [delimiter.join(names), *(delimiter.join(row) for row in rows)]
    found = forms("\n".join(lines), level="deep").get("csv_rows")
    if found is None:
        return
    body = found.text.split("\n")
    shown = [line for line in body[1:] if line in set(lines[1:])]
    total, kept = re.search(r"([\d,]+) rows, ([\d,]+) of them", found.text).groups()  # type: ignore[union-attr]
    assert int(total.replace(",", "")) == len(rows)
    assert int(kept.replace(",", "")) == len(shown)
    assert found.left_out == f"{len(rows) - len(shown):,} of {len(rows):,} rows"
    assert lines[1] in shown and lines[-1] in shown


@given(st.lists(st.integers(-1000, 1000), min_size=60, max_size=300))
def test_smallest_and_largest_value_are_always_shown(values: list[int]) -> None:
    lines = [f"row{index},{value}" for index, value in enumerate(values)]
    picked = {lines[index] for index in sample.pick(lines, [[str(value) for value in values]], 20)}
    assert f"row{values.index(max(values))},{max(values)}" in picked
    assert f"row{values.index(min(values))},{min(values)}" in picked


def test_a_value_far_rarer_than_its_neighbours_is_shown() -> None:
    rows = measures()
    rows[777] = "2024-06-12,210,lost"
    assert rows[777] in forms("day,size,state\n" + "\n".join(rows))["csv_rows"].text


def test_near_equal_values_are_not_called_rare() -> None:
    column = ["north"] * 240 + ["south"] * 260 + ["east"] * 250 + ["west"] * 230
    assert len(sample.standing_out(column)) == 4


def test_an_odd_cell_in_a_column_of_numbers_is_shown() -> None:
    rows = measures()
    rows[400] = "2024-04-02,n/a,ok"
    assert rows[400] in forms("day,size,state\n" + "\n".join(rows))["csv_rows"].text


def test_ragged_rows_are_tolerated() -> None:
    rows = measures()
    rows[300] = "only one cell"
    found = forms("day,size,state\n" + "\n".join(rows))
    assert "1,500 rows" in found["csv_rows"].text


def test_rows_over_several_lines_stay_in_one_piece() -> None:
    rows = [f'{number},"line one of {number}\nline two of {number}",ok' for number in range(400)]
    text = "id,note,state\n" + "\n".join(rows)
    body = forms(text)["csv_rows"].text
    assert "400 rows" in body
    assert all(f'\n{number},"line one' not in body or rows[number] in body for number in range(400))


def test_even_columns_are_said_once_and_rows_can_be_read_back() -> None:
    rows = [f'{number},"Smith, {number}",EUR,paid' for number in range(40)]
    rows[4] = '4,"Smith, 4",EUR,open'
    form = forms("id,customer,currency,state\n" + "\n".join(rows))["csv_columns"]
    assert not form.is_lossy
    assert form.text.count("EUR") == 1 and form.text.count("paid") == 1
    body = [line for line in form.text.split("\n") if re.match(r"\d", line)]
    assert next(csv.reader(io.StringIO(body[0]))) == ["0", "Smith, 0"]
    assert body[4].endswith("[state=open]")


def test_rows_keep_their_spelling_where_even_columns_are_small() -> None:
    rows = [f"{number},customer number {number},open,{number * 37}.00,0" for number in range(40)]
    assert "csv_columns" not in forms("id,customer,state,sum,flag\n" + "\n".join(rows))


def test_a_csv_file_that_was_read_is_not_spelled_otherwise() -> None:
    rows = [f"{number},EUR,paid" for number in range(30)]
    assert forms("id,currency,state\n" + "\n".join(rows), call=ToolCall("Bash", '{"command": "cat conf.yaml"}')) == {}


@pytest.mark.parametrize(
    "text", ["", "\n" * 50, "a,b\n" * 3, ",".join("abc") * 100_000, '"' * 5000, "a,b\n" + 'x,"' * 400, "a\0b,c\n" * 20]
)
def test_what_is_no_table_is_left_alone(text: str) -> None:
    assert "csv_rows" not in forms(text)


def test_prose_with_commas_is_no_table() -> None:
    text = "\n".join("Well, this is a sentence that goes on for a while." for _ in range(80))
    assert forms(text) == {}
