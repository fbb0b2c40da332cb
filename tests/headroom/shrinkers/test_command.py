"""The output of any command: tables, repeated blocks, lists of names."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom.shrinkers import command, drawn, fixed, grid, listing, records, sections, trouble
from headroom.values import Policy, Source, ToolCall
from tests.examples import examples
from tests.headroom.shrinkers import golden, texts


def best(text: str) -> str:
    forms = list(command.forms(Source(text)))
    return min((form.text for form in forms), key=len, default=text)


@pytest.mark.parametrize("name", golden.names("command"))
def test_real_output_is_written_as_reviewed(name: str) -> None:
    assert golden.written("command", name) == golden.expected("command", name)


@given(texts.ANY, st.sampled_from(["lossless", "balanced", "deep"]))
def test_no_text_makes_it_fail_or_waver(text: str, level: str) -> None:
    source = Source(text, ToolCall("Bash", '{"command": "x"}'), Policy(level=level))  # type: ignore[arg-type]
    first, second = list(command.forms(source)), list(command.forms(source))
    assert first == second
    assert level != "lossless" or not any(form.is_lossy for form in first)


@examples(15)
@given(texts.grids())
def test_every_cell_can_be_read_back_from_a_folded_table(table: tuple[list[str], list[list[str]]]) -> None:
    names, rows = table
    items = fixed.read(texts.drawn(names, rows))
    sheets = {id(item[0]): item[0] for item in items if not isinstance(item, str)}
    for sheet in sheets.values():
        layout = grid.arrange(sheet)
        fixed_cells, usual = dict(layout.constant), {column: (value, twin) for column, value, twin in layout.usual}
        for row in sheet.rows:
            if len(row.cells) != len(sheet.names):
                continue
            written = layout.write(row)
            for column, cell in enumerate(row.cells):
                if column in layout.inline:
                    assert cell in written
                elif column in fixed_cells:
                    assert fixed_cells[column] == cell
                else:
                    value, twin = usual[column]
                    said = f"{sheet.names[column]}={cell or '(empty)'}"
                    assert (said in written) or cell == (row.cells[twin] if twin >= 0 else value)


@examples(15)
@given(texts.grids(min_rows=5))
def test_lossless_forms_keep_every_value(table: tuple[list[str], list[list[str]]]) -> None:
    names, rows = table
    for form in command.forms(Source(texts.drawn(names, rows), policy=Policy(level="lossless"))):
        assert {cell for row in rows for cell in row} <= set(re.split(r"[\s;|=\[\]“”<>]+", form.text)) or all(
            cell in form.text for row in rows for cell in row
        )


def test_what_all_rows_share_is_said_once_and_exceptions_stand_in_their_row() -> None:
    rows = [[f"web-{number}", "Running", "7" if number == 5 else "0", "node-a"] for number in range(9)]
    text = best(texts.drawn(["NAME", "STATUS", "RESTARTS", "NODE"], rows))
    assert text.count("node-a") == 1
    assert text.count("Running") == 1
    assert "web-5 [RESTARTS=7]" in text
    assert text.count("RESTARTS=7") == 1


def test_a_long_cell_that_is_the_same_in_the_row_above_says_so() -> None:
    labels = [f"app=part-{part},release=spring-{part * 7919:x}" for part in range(4)]
    rows = [[f"pod-{n}", f"10.0.{n}.7", labels[part]] for n, part in enumerate([0, 0, 1, 1, 1, 2, 3, 0])]
    text = best(texts.drawn(["NAME", "IP", "LABELS"], rows)).split("\n")
    said = [line.split(" ", 2)[2] for line in text if "10.0." in line]
    assert said == [labels[0], "(as above)", labels[1], "(as above)", "(as above)", labels[2], labels[3], labels[0]]


def test_a_row_in_trouble_stays_as_it_came() -> None:
    rows = [f"web-{number}       1/1     Running            0" for number in range(30)]
    rows[11] = "web-11      0/1     CrashLoopBackOff   42"
    text = best("NAME        READY   STATUS             RESTARTS\n" + "\n".join(rows))
    assert rows[11] in text.split("\n")


def test_a_long_table_keeps_its_extremes_and_says_how_long_it_was() -> None:
    rows = [[f"job-{number:04d}", str(100 + number % 7), "ok", f"queue-{number % 3}"] for number in range(2000)]
    rows[1234][1] = "99999"
    forms = list(command.forms(Source(texts.drawn(["NAME", "MILLIS", "STATE", "QUEUE"], rows))))
    sampled = next(form for form in forms if form.name == "table_rows")
    assert "job-1234 99999" in sampled.text
    assert "job-0000" in sampled.text and "job-1999" in sampled.text
    shown = int(re.search(r"2,000 rows, ([\d,]+) of them shown", sampled.text)[1])  # type: ignore[index]
    assert sampled.left_out == f"{2000 - shown:,} of 2,000 rows"
    assert len(re.findall(r"job-\d{4}", sampled.text)) == shown


def test_rows_named_by_the_call_are_shown() -> None:
    rows = [[f"job-{number:04d}", str(number % 7), "ok", f"queue-{number % 3}"] for number in range(3000)]
    call = ToolCall("Bash", '{"command": "jobs --near job-1777"}')
    forms = list(command.forms(Source(texts.drawn(["NAME", "CODE", "STATE", "QUEUE"], rows), call)))
    assert "job-1777" in next(form for form in forms if form.name == "table_rows").text


def test_ragged_rows_survive_whole() -> None:
    rows = [f"alpha{number}   {number}   ok" for number in range(40)]
    rows[20] = "this line does not fit the columns at all"
    assert rows[20] in best("NAME     COUNT   STATE\n" + "\n".join(rows))


def test_entries_with_equal_lines_say_them_once_and_what_they_lack() -> None:
    entry = "Port {0}\n  Speed: 10G\n  Mode: trunk\n  Serial: S{0}\n  Vendor: Acme Networks\n"
    text = "".join(entry.format(number) for number in range(1, 7)).replace(
        "  Mode: trunk\n  Serial: S4\n", "  Serial: S4\n"
    )
    form = next(iter(records.forms(text.rstrip("\n"), "lossless")))
    assert form.text.count("Acme Networks") == 1
    assert all(f"Serial: S{number}" in form.text for number in range(1, 7))
    assert "Port 4\n  Serial: S4\n  none of: Mode" in form.text


def test_long_lists_of_names_say_what_kinds_they_hold() -> None:
    names = [f"part_{number:04d}.{'c' if number % 9 else 'h'}" for number in range(3000)]
    form = next(iter(listing.forms("src:\n" + "\n".join(names), "balanced")))
    assert form.text.startswith("src:\npart_0000.h")
    assert "of 3,000 names here; in all 2,666 .c, 334 .h" in form.text
    assert form.left_out.endswith("of 3,000 names")


def test_a_file_that_was_just_read_keeps_its_spelling() -> None:
    text = "\n".join(f"name{number}      = {number}        # why" for number in range(50))
    assert list(command.forms(Source(text, ToolCall("Read", '{"file_path": "/app/a.py"}')))) == []
    assert list(command.forms(Source(text, ToolCall("Bash", '{"command": "cat a.py"}')))) == []


def test_its_own_words_are_not_read_as_output_again() -> None:
    once = best(golden.source("command", "ps").text)
    assert once != golden.source("command", "ps").text
    assert list(command.forms(Source(once))) == []


@given(texts.LINE)
def test_padding_is_all_that_squeezing_takes(line: str) -> None:
    assert re.sub(r"[\s.:]+", "", drawn.squeeze(line)) == re.sub(r"[\s.:]+", "", line)


@pytest.mark.parametrize(
    "line", ["link is down", "0/3 nodes are available: FailedScheduling", "read timed out", "exit: ENOENT not found"]
)
def test_lines_of_trouble_are_known(line: str) -> None:
    assert trouble.reports(line)


@pytest.mark.parametrize("line", ["0 errors", "errors: 0", "0 input errors, 0 CRC", "countdown started", "all ready"])
def test_counts_of_no_trouble_are_none(line: str) -> None:
    assert not trouble.reports(line)


@pytest.mark.parametrize("unit", [" ", "a", "a  ", "a\t", ". . ", "| ", "- ", "│ ", "=", "a: b   "])
def test_one_endless_line_is_read_in_linear_time(unit: str) -> None:
    list(command.forms(Source(unit * (1_000_000 // len(unit)))))


@pytest.mark.parametrize(
    "line",
    [
        "281:        raise X(",
        "a/b.py:12:    def f(",
        "   7→    x = 1",
        "src/m.c-40-      y",
        "a.py:    import os",
        "12 |     let x",
    ],
)
def test_indentation_of_quoted_code_is_not_padding(line: str) -> None:
    assert drawn.squeeze(line) == line


def test_a_heading_between_entries_is_no_entry() -> None:
    entry = "{0}. Slot: s{0}\n   Date: 2026-08-1{0}\n   Type: In Person\n   Length: 30 minutes\n"
    text = best("Appointments:\n\n" + "\n".join(entry.format(number) for number in range(6)))
    assert "Appointments:" in text.split("\n")
    assert "(empty)" not in text and text.count("30 minutes") == 1


ORDERS = [
    (f"A-{7919 * n:x}", "paid" if n % 4 else "open", "eu-central-1", f"{n * 37}.50", "" if n % 3 else "call first")
    for n in range(1, 12)
]
FIELDS = ("number", "state", "region", "total_eur", "delivery_note")


def expanded() -> str:
    """What `psql -x` prints: keys and values with a bar between, each row below a line with its number."""
    out = []
    for n, row in enumerate(ORDERS, 1):
        banner = f"-[ RECORD {n} ]"
        out.append(f"{banner:-<14}+------------")
        out += [f"{name:13} | {value}" for name, value in zip(FIELDS, row, strict=True)]
    return "\n".join(out)


def vertical() -> str:
    r"""What `mysql` prints for `\G`: the keys flush right."""
    out = []
    for n, row in enumerate(ORDERS, 1):
        out.append(f"{'*' * 27} {n}. row {'*' * 27}")
        out += [f"{name:>16}: {value}" for name, value in zip(FIELDS, row, strict=True)]
    return "\n".join(out)


@pytest.mark.parametrize("text", [expanded(), vertical()], ids=["psql", "mysql"])
def test_rows_of_a_database_that_stand_one_below_the_other_become_a_table(text: str) -> None:
    (form,) = [one for one in command.forms(Source(text)) if one.name == "table_columns"]
    head, *rows = form.text.split("\n")[-len(ORDERS) - 1 :]
    assert head.split(" | ")[1] == "number" and form.text.count("eu-central-1") == 1
    for row, (number, state, _, total, note) in zip(rows, ORDERS, strict=True):
        cells = row.partition(" [")[0].split(" | ")
        assert number in cells and total in cells
        assert ("state=open" in row) == (state == "open") and ("call first" in row) == bool(note)


def test_bars_and_further_lines_in_values_leave_each_value_below_its_name() -> None:
    notes = ["left | right", "plain", "a | b | c", "", "ends |"] * 3
    out = []
    for n, note in enumerate(notes, 1):
        out.append(f"-[ RECORD {n} ]-+{'-' * 20}")
        out += [f"identifier     | {n * 7919}", f"note           | {note}", f"made_in        | {n * 31} ms"]
        out += ["query          | select 1        +", f"               | from t{n}: all"] if n % 5 == 0 else []
    (form,) = [one for one in command.forms(Source("\n".join(out))) if one.name == "table_columns"]
    head, *rows = [line.split("\t") for line in form.text.split("\n")]
    assert head == ["entry", "identifier", "note", "made_in", "also"]
    for n, (note, row) in enumerate(zip(notes, rows, strict=True), 1):
        assert row[1:4] == [str(n * 7919), note, f"{n * 31} ms"]
        assert (f"select 1↵from t{n}: all" in row[4]) == (n % 5 == 0)


def test_a_tree_that_a_column_draws_keeps_its_depths() -> None:
    depths = [0, 1, 2, 2, 3, 1, 0, 1, 2, 3, 3, 1]
    names = [f"worker-{7919 * n:x}" for n in range(len(depths))]
    lines = ["  PID STAT     TIME COMMAND"]
    for n, (depth, name) in enumerate(zip(depths, names, strict=True)):
        lines.append(f"{n * 331 + 7:5} {'Ssl' if n % 5 else 'S':4} 00:00:0{n % 2} {'    ' * depth}\\_ {name}")
    text = best("\n".join(lines))
    found = {line.split()[-1 if "[" not in line else -2]: line for line in text.split("\n") if "worker-" in line}
    assert "Ssl" not in "".join(text.split("\n")[3:]), "the columns before are still said once"
    for depth, name in zip(depths, names, strict=True):
        assert f"{'    ' * depth}\\_ {name}" in text, found
        assert f"{' ' * (4 * depth + 2)}\\_ {name}" not in text


def test_a_cell_that_a_wide_neighbour_pushes_aside_is_not_set_in() -> None:
    lines = ["  PID STAT   RSS COMMAND"]
    lines += [f"{n * 331:5} S    {102896 + n if n in (4, 9) else n * 7:5} worker-{7919 * n:x}" for n in range(14)]
    assert "  worker" not in best("\n".join(lines))


def test_the_branches_of_a_tree_in_a_line_by_itself_keep_their_depth() -> None:
    assert drawn.squeeze("root  6064      Ss      \\_ bash") == "root  6064  Ss      \\_ bash"
    assert drawn.squeeze("app      1.2      └── core") == "app  1.2      └── core"


@pytest.mark.parametrize(
    ("begins", "ends"), [('<match path="/app/part_{}.py" line={}>', "</match>"), ("### part_{}.py, L{}\n```", "```")]
)
def test_quotations_between_marks_keep_their_blanks_and_their_lines(begins: str, ends: str) -> None:
    """What an editor found in files is quoted by the next edit; only the marks are alike in all of it."""
    lines = [f"        rows_{n} = load(part[{n * 7}], limit={n})\n            if total > {n * n}:" for n in range(40)]
    text = "\n".join(f"{begins.format(n, n * 31)}\n{line}\n{ends}" for n, line in enumerate(lines))
    assert all(line in best(text) for line in lines)


def test_names_in_sections_are_left_alone_where_that_could_be_misread() -> None:
    settings = [
        f"branch.{name}.remote=origin\nbranch.{name}.merge=refs/heads/{name}\nbranch.{name}.rebase=true"
        for name in "abcd"
    ]
    (form,) = sections.forms("\n".join(settings))
    assert form.text.split("\n")[1:5] == ["branch.a.", ".remote=origin", ".merge=refs/heads/a", ".rebase=true"]
    for odd in (".hidden = 1", "The end."):
        assert list(sections.forms("\n".join([*settings, odd]))) == []
    assert list(sections.forms("\n".join(f"{name}.py: 7" for name in "abcdefgh"))) == []


def test_a_row_that_hides_little_is_not_worth_a_second_look() -> None:
    head = "NAME                 STATE    COMMENT"
    text = "\n".join(
        [
            head,
            *(
                f"{f'unit-{n * 7919:x}':<20} running  started with {n * 31 % 977} of {n * 17 % 577} and {n * 7 % 91}, then {n * 5 % 89}"
                for n in range(250)
            ),
        ]
    )
    kept = [form for form in command.forms(Source(text)) if form.is_lossy]
    assert kept == []
    assert any(form.is_lossy for form in command.forms(Source(text + text.partition("\n")[2] * 3)))


def test_values_of_several_lines_stay_in_their_column() -> None:
    row = "-[ RECORD {0} ]--+----------------\noid     | {1}\nbody    | begin          +\n        |   stop({2});    +\n        | end\nlang    | plpgsql"
    text = "\n".join(row.format(n, 16384 + n, n * 7) for n in range(1, 9))
    written = best(text)
    assert "also" not in written
    assert all(f"{16384 + n} begin↵  stop({n * 7});↵end" in written for n in range(1, 9))
