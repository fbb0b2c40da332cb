from __future__ import annotations

from typing import Any

import orjson
import pytest

from proxy import splice
from proxy.providers import anthropic, openai_responses
from proxy.values import Call, Cut
from proxy.window import cuts, importance, records, units
from proxy.window.importance import Way
from proxy.window.units import Unit


def use(call_id: str, text: str = "") -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": call_id, "name": "Bash", "input": {"say": text}}],
    }


def result(call_id: str, text: str = "done", **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call_id, "content": text, **more}]}


def asked(*messages: Any) -> Call:
    return anthropic.parse(orjson.dumps({"messages": [{"role": "user", "content": "go"}, *messages]}))


def spans(call: Call) -> list[tuple[int, int]]:
    return [(unit.start, unit.end) for unit in units.find(call, {})]


@pytest.mark.parametrize(
    ("messages", "free"),
    [
        ([use("a"), result("a"), use("b"), result("b")], [(0, 1), (1, 3), (3, 5)]),
        ([use("a"), result("other"), use("b"), result("b")], [(0, 1), (3, 5)]),
        ([use("a"), {"role": "system", "content": "x"}, result("a")], [(0, 1)]),
        ([result("a"), use("a")], [(0, 1)]),
        ([use(""), result("")], [(0, 1)]),
        ([use("a"), use("b"), result("a"), result("b")], [(0, 1), (1, 5)]),
        ([None, 7, {"role": 3}, use("a"), result("a"), use("c")], [(0, 1), (4, 6)]),
    ],
)
def test_a_call_and_its_results_are_one_unit_and_what_does_not_pair_is_none(
    messages: list[Any], free: list[tuple[int, int]]
) -> None:
    assert spans(asked(*messages)) == free


def test_items_of_one_answer_are_one_unit() -> None:
    items = [
        {"role": "user", "content": "go"},
        {"type": "reasoning", "id": "r"},
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "2", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "2", "output": "two"},
        {"type": "function_call_output", "call_id": "1", "output": "one"},
        {"type": "item_reference", "id": "x"},
    ]
    found = units.find(openai_responses.parse(orjson.dumps({"input": items})), {})
    assert [(unit.start, unit.end, unit.tools) for unit in found] == [(0, 1, ()), (1, 6, ("f", "f"))]
    assert "two" in found[1].text


def order(way: Way, found: list[Unit], question: str = "", learned: dict[str, float] | None = None) -> list[int]:
    return [unit.start for unit in importance.ascending(found, question, way, learned or {})]


def test_what_is_important_goes_last() -> None:
    filler = "\n".join(f"row {n}" for n in range(50))
    plain = asked(*(m for n in range(8) for m in (use(str(n)), result(str(n), filler))), use("end"))
    found = [unit for unit in units.find(plain, {}) if not unit.is_persons]
    assert order("oldest", found) == [1, 3, 5, 7, 9, 11, 13, 15]
    assert order("position", found)[0] == 5, "the beginning says what all is about"
    telling = {5: "Traceback: it failed", 7: "src/parser/lexer.py defines Lexer", 9: filler}
    messages = [m for n in range(8) for m in (use(str(n)), result(str(n), telling.get(2 * n + 1, filler)))]
    messages += [use("later", "open src/parser/lexer.py"), result("later")]
    found = [unit for unit in units.find(asked(*messages), {}) if not unit.is_persons]
    ranked = order("content", found, "why does the lexer fail?")
    assert ranked.index(9) < ranked.index(5)
    assert ranked.index(9) < ranked.index(7)
    assert order("content", found, "why?", {"Bash": 1.0}) == order("content", found, "why?", {"Bash": 0.0})
    assert importance.ascending([], "", "content", {}) == []


BODY = b"""{ "messages" : [ {"role":"user","content":"a ] [ , \\" {"},
  {"role":"assistant","content":"x" , "n": 1.50}, {"role":"user","content":"b"},"odd" ],
  "model":"m", "metadata": {"messages":[1,2]} }"""


def cut(body: bytes, *made: Cut) -> bytes:
    return splice.replace_items(body, "messages", [cuts.edit(one, "messages") for one in made])


def test_cutting_touches_no_other_byte() -> None:
    edited = cut(BODY, Cut(1, 3, "gone"))
    assert edited == BODY.replace(
        b"""{"role":"assistant","content":"x" , "n": 1.50}, {"role":"user","content":"b"}""",
        b'{"role":"user","content":"gone"}',
    )
    assert orjson.loads(cut(BODY, Cut(0, 1, "a"), Cut(3, 4, "b")))["messages"][3]["content"] == "b"
    twice = b'{"messages":[1,2,3],"messages":[{"role":"user"},[4],{}]}'
    assert cut(twice, Cut(1, 2, "x")) == (
        b'{"messages":[1,2,3],"messages":[{"role":"user"},{"role":"user","content":"x"},{}]}'
    )
    for odd in (b"[]", b'{"messages":[]}', b'{"messages":7}', b'{"x":[{"messages":[1]}]}'):
        with pytest.raises(splice.Unspliceable):
            cut(odd, Cut(0, 1, "x"))


def test_items_are_put_in_and_behind() -> None:
    added = splice.replace_items(
        b'{"tools": [ 1, {"a":2} ] ,"x":1}', "tools", [splice.Edit(1, 1, (9,)), splice.Edit(2, 2, (3, 4))]
    )
    assert added == b'{"tools": [ 1, 9,{"a":2},3,4 ] ,"x":1}'


def test_a_moving_cache_mark_does_not_make_another_conversation() -> None:
    marked = result("a")
    marked["content"][0]["cache_control"] = {"type": "ephemeral"}
    assert records.digest([marked]) == records.digest([result("a")])
    assert records.digest([result("a")]) != records.digest([result("a", "other")])
