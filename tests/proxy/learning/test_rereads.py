"""Which file reads are second ones, and which are natural."""

from __future__ import annotations

from proxy.learning import rereads
from proxy.values import ToolResult
from tests.proxy.requests import make_result


def read(path: str = "/src/a.py", age_turns: int = 0, **arguments: int) -> ToolResult:
    more = "".join(f', "{name}": {value}' for name, value in arguments.items())
    return make_result(tool="Read", arguments=f'{{"file_path": "{path}"{more}}}', age_turns=age_turns)


def edit(path: str = "/src/a.py", age_turns: int = 1) -> ToolResult:
    return make_result(tool="Edit", arguments=f'{{"file_path": "{path}", "new_string": "x"}}', age_turns=age_turns)


def test_a_file_that_nothing_changed_is_read_again() -> None:
    first = read(age_turns=3)
    assert rereads.find([first, read("/src/b.py", 2), read()]) == [first]
    assert rereads.find([first, read(offset=10)]) == [first], "a part of what was there"


def test_what_was_changed_or_seen_in_part_only_is_news() -> None:
    assert rereads.find([read(age_turns=3), edit(), read()]) == []
    assert rereads.find([read(age_turns=3, offset=1, limit=9), read(offset=10)]) == []
    assert rereads.find([read(), read()]) == [], "asked for at the same time"
    assert rereads.find([read(age_turns=2), make_result()]) == []


def test_only_the_latest_copy_was_not_enough() -> None:
    second = read(age_turns=2)
    assert rereads.find([read(age_turns=5), second, read()]) == [second]
