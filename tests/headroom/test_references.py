"""The same result again in one conversation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headroom import Policy, compress

SOURCE = "\n".join(f"def part_{at}(value: int) -> int:\n    return value * {at * 37 % 101}\n" for at in range(60))
EDITED = SOURCE.replace("return value * 74", "return value + 74")


def read(call_id: str, text: str, path: str = "/repo/a.py") -> list[dict[str, Any]]:
    call = {"id": call_id, "name": "Read", "input": {"file_path": path}, "type": "tool_use"}
    return [
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call_id, "content": text}]},
    ]


def results(messages: list[dict[str, Any]], **options: Any) -> list[str]:
    sent = compress(messages, model="m", **options).messages
    return [block["content"] for m in sent for block in m["content"] if block["type"] == "tool_result"]


def test_the_same_file_again_is_one_line_and_can_be_had_back() -> None:
    talk = read("a", SOURCE) + read("b", SOURCE)
    first, second = results(talk)
    assert first == SOURCE
    assert second.startswith("[Exactly as in the Read result for /repo/a.py]") and len(second) < 400
    result = compress(talk, model="m")
    assert result.originals[result.ccr_hashes[0]] == SOURCE and result.transforms_summary == {"router:duplicate": 1}
    assert compress(result.messages, model="m").messages == result.messages


def test_an_edited_file_shows_its_edit() -> None:
    first, second = results(read("a", SOURCE) + read("b", EDITED))
    assert first == SOURCE and "return value + 74" in second and len(second) < len(EDITED) / 4


def test_only_what_goes_out_in_full_is_referred_to() -> None:
    _, second, third = results(read("a", SOURCE) + read("b", EDITED) + read("c", EDITED))
    assert "Exactly as in" not in third, "the second is itself a reference"
    assert "/repo/a.py, with changes" in second and "/repo/a.py, with changes" in third


@pytest.mark.parametrize(
    "options",
    [
        {"token_budget": 10**6},
        {"policy": Policy(excluded_tools=frozenset(["Read"]))},
        {"policy": Policy(unwanted_forms=frozenset([("Read", "duplicate", "balanced")]))},
    ],
    ids=["a budget may take the copy away", "an excluded tool is left alone", "readers came back from references"],
)
def test_there_are_times_to_repeat_oneself(options: dict[str, Any]) -> None:
    assert results(read("a", SOURCE) + read("b", SOURCE), **options) == [SOURCE, SOURCE]


def test_strangers_are_not_compared() -> None:
    other = json.dumps([{"id": at, "kind": f"k{at * 7 % 13}"} for at in range(9)])
    assert results(read("a", SOURCE) + read("b", other, "/repo/b.json"))[1] == other
