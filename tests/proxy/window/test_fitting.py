from __future__ import annotations

import random
from typing import Any

import orjson

from headroom.values import Policy
from proxy import decisions
from proxy.conversations import Conversations
from proxy.providers import anthropic
from proxy.stores import NoStore
from proxy.values import Plan

rng = random.Random(7)
TEXT = "\n".join(
    f"{rng.getrandbits(60):x} is what {rng.getrandbits(40):x} became of {rng.getrandbits(50):x}" for _ in range(60)
)


def exchange(call_id: str) -> list[dict[str, Any]]:
    use = {"type": "tool_use", "id": call_id, "name": "Bash", "input": {"command": "cat notes"}}
    result = {"type": "tool_result", "tool_use_id": call_id, "content": TEXT}
    return [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]


async def planned(conversations: Conversations, messages: list[Any], hidden: frozenset[str]) -> Plan:
    call = anthropic.parse(orjson.dumps({"messages": [{"role": "user", "content": "go"}, *messages]}))
    return await conversations.plan(call, anthropic, owner="local", policy=Policy(), hidden=hidden)


async def test_nothing_refers_to_what_went_from_a_full_window() -> None:
    conversations = Conversations(NoStore())
    first, second = exchange("a"), exchange("b")
    call = anthropic.parse(orjson.dumps({"messages": [{"role": "user", "content": "go"}, *first]}))
    gone = frozenset({decisions.key_of("local", call.results[0])})
    seen = await planned(conversations, [*first, *second], frozenset())
    assert len(TEXT) > 3 * len(seen.replacements["messages", 4, "content", 0, "content"]), "it refers to the first copy"
    assert not (await planned(conversations, [*first, *second], gone)).replacements
    fresh = await planned(Conversations(NoStore()), [*first, *second], gone)
    assert not fresh.replacements, "nor is such a form decided on"
    assert (await planned(conversations, [*first, *second], frozenset())).replacements == seen.replacements
