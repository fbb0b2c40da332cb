from __future__ import annotations

import hashlib
import json

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
    assert others.names("balanced", [("name", NAMES)], (), 100, 4_000) == []
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
