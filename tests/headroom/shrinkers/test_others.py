from __future__ import annotations

import hashlib
import json
import re
from itertools import product

import pytest

from headroom.pipeline import shrink
from headroom.shrinkers import others
from headroom.values import Policy, ToolCall

WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "islet", "jetty")
NAMES = [f"{one}-{other}" for one in WORDS for other in WORDS]


def test_rows_that_are_not_shown_are_named() -> None:
    said = others.names("balanced", [("name", NAMES)], range(90), 100, 10_000)
    assert said == ["name of the others: " + ", ".join(NAMES[90:])]


@pytest.mark.parametrize(
    "column",
    [
        [str(number * 7919) for number in range(100)],
        [hashlib.sha256(name.encode()).hexdigest() for name in NAMES],
        [f"2026-11-{1 + number % 28:02}T10:{number % 60:02}" for number in range(100)],
        ["web" if number % 2 else "db" for number in range(100)],
        [f"{name} is a whole sentence, that says much more than a name would" for name in NAMES],
        [*NAMES[:99], None],
    ],
    ids=["numbers", "hashes", "times", "kinds", "prose", "absent"],
)
def test_what_is_no_name_is_passed_over_for_what_is_one(column: list[str]) -> None:
    assert others.names("balanced", [("other", column)], (), 100, 100_000) == []
    found = others.names("balanced", [("other", column), ("name", NAMES)], (), 100, 100_000)
    assert found == ["name of the others: " + ", ".join(NAMES)]


def test_names_that_cost_too_much_or_old_rows_are_not_said() -> None:
    assert others.names("balanced", [("name", NAMES)], (), 100, 2_500) == []
    assert others.names("deep", [("name", NAMES)], (), 100, 100_000) == []


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_every_name_of_a_long_table_can_be_read(kind: str) -> None:
    rows = [
        {"name": name, "hash": hashlib.sha256(name.encode()).hexdigest(), "size": number * 37 % 101, "state": "running"}
        for number, name in enumerate(NAMES * 2)
    ]
    for number, row in enumerate(rows):
        row["name"] = f"{row['name']}-{WORDS[number // 100]}"
    if kind == "json":
        text = json.dumps(rows)
    else:
        text = "\n".join([",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)])
    found = shrink(text, call=ToolCall("Bash", "sqlite3 app.db"), policy=Policy(level="balanced"))
    assert found.left_out and found.tokens_after < found.tokens_before
    assert all(str(row["name"]) in found.text for row in rows)
    assert not all(str(row["hash"]) in found.text for row in rows)


def test_links_are_named_without_what_they_point_to_and_padding_is_no_part_of_a_name() -> None:
    called = [f"  {name} -> ../lib/{name}.so.2  " for name in NAMES]
    assert others.names("balanced", [("name", called)], range(90), 100, 50_000) == [
        "name of the others: " + ", ".join(NAMES[90:])
    ]


def test_rows_without_a_name_are_told_by_how_they_begin() -> None:
    values = [*NAMES[:90], *["/usr/bin/worker --" + "verbose" * 20] * 9, "tail"]
    (said,) = others.beginnings("balanced", "COMMAND", values, range(90), 10_000)
    assert said.startswith("COMMAND of the others, as it begins: 9× /usr/bin/worker --verbose")
    assert said.endswith("…; tail")
    assert others.beginnings("balanced", "COMMAND", values, range(90), 50) == []
    assert others.beginnings("deep", "COMMAND", values, range(90), 10_000) == []
    numbers = [str(number) for number in range(100)]
    assert others.beginnings("balanced", "PID", numbers, range(90), 10_000) == []


def listing(name: str) -> str:
    number = sum(map(ord, name)) * 7919
    return f"-rwxr-xr-x 1 root root {number % 9_999_999:>8} Jan {1 + number % 28:>2}  2023 {name}"


def process(number: int, name: str) -> str:
    used = number * 7919
    return f"root {used % 32768:>8} {used % 97 / 10:>4} {used % 9_999_999:>8} Sl {number % 24:02}:{used % 60:02} /opt/{name}/bin/{name} --data /var/lib/{name} --listen 127.0.0.1:{used % 65536}"


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(["total 1234", *(listing(f"{name}-{word}") for name in NAMES for word in WORDS[:6])]),
        "\n".join(["USER      PID %CPU      RSS STAT START COMMAND", *(process(*one) for one in enumerate(NAMES * 3))]),
    ],
    ids=["ls -l", "ps aux"],
)
def test_everything_a_command_lists_is_named(text: str) -> None:
    found = shrink(text, call=ToolCall("Bash", '{"command": "x"}'), policy=Policy(level="balanced"))
    assert found.left_out and found.tokens_after < 0.6 * found.tokens_before
    names = {line.split()[-1] if line.startswith("-") else line.split("/")[2] for line in text.split("\n")[1:]}
    assert [name for name in names if name not in found.text] == []


def test_of_settings_every_name_and_value_stays() -> None:
    settings = {
        f"net.{one}.{other}.{word}_{of}": n for n, (one, other, word, of) in enumerate(product(WORDS[:6], repeat=4))
    }
    text = "\n".join(f"{name} = {value}" for name, value in settings.items())
    found = shrink(text, call=ToolCall("Bash", '{"command": "sysctl -a"}'), policy=Policy(level="balanced"))
    assert found.form == "sections" and not found.left_out
    section, read = "", {}
    for line in found.text.split("\n")[1:]:
        if line.endswith("."):
            section = line[:-1]
        else:
            name, value = line.split(" = ")
            read[section + name] = int(value)
    assert read == settings


def test_what_several_folders_hold_is_told_below_each() -> None:
    folders = {one: [f"{one}_{other}_{n}.py" for other in WORDS for n in range(9)] for one in WORDS}
    text = "\n\n".join("\n".join([f"./{one}:", "total 99", *map(listing, names)]) for one, names in folders.items())
    found = shrink(text, call=ToolCall("Bash", '{"command": "ls -lR"}'), policy=Policy(level="balanced"))
    assert found.left_out and found.tokens_after < 0.6 * found.tokens_before
    for part, names in zip(re.split(r"(?m)^\./\w+:\n", found.text)[1:], folders.values(), strict=True):
        assert [name for name in names if name not in part] == []


def test_paths_may_be_longer_than_other_names() -> None:
    paths = [f"/srv/archive/{one}/releases/current/share/{one}-{other}-data.bin" for one in WORDS for other in WORDS]
    (said,) = others.names("balanced", [("path", paths)], range(80), 100, 50_000)
    assert "/srv/archive/islet/releases/current/share/{islet-amber-data.bin, " in said
    assert (
        others.names("balanced", [("path", [path.replace("/", "_") for path in paths])], range(80), 100, 50_000) == []
    )


@pytest.mark.parametrize(("bar", "rows"), [("\t", 700), ("|", 360)])
def test_settings_in_two_columns_are_not_sampled_for_little(bar: str, rows: int) -> None:
    names = [f"{one}_{other}_{word}" for one in WORDS for other in WORDS for word in WORDS][:rows]
    text = "\n".join(["name" + bar + "value", *(f"{name}{bar}{sum(map(ord, name)) % 7}" for name in names)])
    found = shrink(text, call=ToolCall("Bash", '{"command": "mysql -e x"}'), policy=Policy(level="balanced"))
    assert all(name in found.text for name in names) and not found.left_out


def test_names_with_numbers_in_them_are_names() -> None:
    called = [f"user{n + 100}" for n in range(100)]
    assert others.names("balanced", [("login", called)], range(90), 100, 50_000)[0].endswith(", user199")
