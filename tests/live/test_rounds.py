"""The model gets back what was left out, inside the proxy: with both SDKs, against a provider that checks every rule."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.live import answers, models, proxies
from tests.live.agents import ALL, EACH, HASH, NAME, Client, Messages, hash_in, key_of, log, own_results, texts, used
from tests.live.models import Part
from tests.live.provider import Provider
from tests.live.proxies import Proxy


@ALL
@EACH
def test_the_answer_comes_as_if_nothing_had_been_left_out(
    offering: Proxy, provider: Provider, client_of: Callable[..., Client], kind: type[Client], is_streaming: bool
) -> None:
    client = client_of(kind, is_streaming=is_streaming)
    label = f"{client.path}{is_streaming}"

    def mind(document: dict[str, Any]) -> list[Part]:
        found = own_results(document)
        if "run it" in json.dumps(document) and "thanks" in json.dumps(document):
            return [("say", "Gladly.")]
        if found:
            return [("think", "there it is"), ("say", f"It took {found[-1].split('run 417 took ')[1][:4]}.")]
        if HASH.search(json.dumps(document)):
            call = ("call", "own1", NAME, {"hash": hash_in(document), "query": "run 417"})
            return [("think", "I need more"), ("say", "Let me look. "), call]
        return [("call", "c1", "Bash", {"command": "make"})]

    provider.script = models.script(mind)
    client.ask(f"run it {label}")
    answer = client.give(c1=log(label))
    assert texts(client, answer) == "Let me look. It took 4 ms."
    assert used(client, answer) == (200, 40)
    assert NAME not in json.dumps(client.history), "the client never hears of it"
    declared = [json.dumps(received.json["tools"]) for received in provider.requests]
    assert len(set(declared)) == 1, "the tool is there from the first request on"

    _, asked, again = provider.requests
    seen = again.json[key_of(client)]
    assert seen[: len(asked.json[key_of(client)])] == asked.json[key_of(client)]
    client.ask("thanks")
    sent = provider.last.body
    start, end = again.body.index(b"own1") - 300, again.body.rindex(b"run 417 took")
    assert again.body[start:end] in sent, "the provider sees again what it saw, byte for byte"
    assert provider.last.json[key_of(client)][: len(seen)] == seen
    rows = proxies.eventually(lambda: offering.rows("session = ?", client.session), lambda found: len(found) == 4)
    told = [(row["origin"], row["attempt"], row["status"], row["output_tokens"]) for row in rows]
    assert told == [("client", 0, "complete", 20)] * 2 + [
        ("retrieval", 1, "complete", 20),
        ("client", 0, "complete", 20),
    ]
    assert rows[2]["tokens_saved"] < 0, "without us there had been no such call"


@pytest.mark.parametrize(("is_streaming", "is_first"), [(True, False), (False, True)])
@EACH
def test_beside_a_call_of_the_clients_ours_is_answered_with_its_next_request(
    offering: Proxy,
    provider: Provider,
    client_of: Callable[..., Client],
    kind: type[Client],
    is_streaming: bool,
    is_first: bool,
) -> None:
    client = client_of(kind, is_streaming=is_streaming)
    label = f"mixed {client.path}{is_streaming}{is_first}"

    def mind(document: dict[str, Any]) -> list[Part]:
        spelled = json.dumps(document)
        if found := own_results(document):
            return [("say", f"It took {found[-1].split('run 417 took ')[1][:4]} and {'twice' in spelled}.")]
        if HASH.search(spelled):
            own = ("call", "own1", NAME, {"hash": hash_in(document), "query": "run 417"})
            theirs = ("call", "c2", "Bash", {"command": "date"})
            return [("think", "both"), ("say", "One moment. "), *((own, theirs) if is_first else (theirs, own))]
        return [("call", "c1", "Bash", {"command": "make"})]

    provider.script = models.script(mind)
    client.ask(label)
    mixed = client.give(c1=log(label))
    assert texts(client, mixed) == "One moment. "
    assert len(provider.requests) == 2, "the client has its call at once"
    assert NAME not in json.dumps(client.history)
    assert "c2" in json.dumps(client.history)
    answer = client.give(c2="twice")
    assert texts(client, answer) == "It took 4 ms and True."
    assert used(client, answer) == (100, 20)
    if client.path == "/v1/messages":
        results = provider.last.json["messages"][-1]["content"]
        assert [block["tool_use_id"] for block in results] == ["own1", "c2"], "one message with all results"


@ALL
@EACH
def test_numbers_of_the_clients_own_calls_keep_their_digits(
    client_of: Callable[..., Client], provider: Provider, kind: type[Client], is_streaming: bool
) -> None:
    client, number = client_of(kind, is_streaming=is_streaming), 2**70 + 1

    def mind(document: dict[str, Any]) -> list[Part]:
        if own_results(document):
            return [("say", "Done.")] if "twice" in json.dumps(document) else [("call", "c1", "Bash", {"n": number})]
        return [("say", "One moment. "), ("call", "own1", NAME, {"hash": "0" * 24})]

    provider.script = models.script(mind)
    client.ask(f"large {client.path}{is_streaming}")
    assert str(number) in json.dumps(client.history)
    client.give(c1="twice")
    assert b"%d" % number in provider.last.body
    assert b"own1" in provider.last.body


@pytest.mark.parametrize("looks_up", [0, 1], ids=["first", "second"])
@EACH
def test_an_answer_that_reads_like_one_with_a_lookup_stays_as_it_was(
    provider: Provider, client_of: Callable[..., Client], kind: type[Client], looks_up: int
) -> None:
    client = client_of(kind, is_streaming=bool(looks_up))

    def mind(document: dict[str, Any]) -> list[Part]:
        is_at = json.dumps(document).count("question") - 1 == looks_up
        own: list[Part] = [("call", "own1", NAME, {"hash": "0" * 24})]
        return own if is_at and not own_results(document) else [("say", "Done.")]

    provider.script = models.script(mind)
    for n in range(3):
        client.ask(f"question {client.path} {looks_up} {n}")
    assert len(provider.requests) == 4, "none was refused"
    *_, before, last = (received.json[key_of(client)] for received in provider.requests)
    assert last[: len(before)] == before
    assert len(own_results(provider.last.json)) == 1


def test_text_is_passed_on_before_the_next_round_is_asked_for(
    offering: Proxy, provider: Provider, http: httpx.Client
) -> None:
    heard: list[str] = []
    first = models.spelled("/v1/messages", [("say", "Early"), ("call", "own1", NAME, {"hash": "0" * 24})], 1)
    cut = next(n for n, event in enumerate(first) if b"tool_use" in event)
    waiting = answers.Until(lambda: any("ly" in line for line in heard))
    provider.say(answers.chunked([*first[:cut], waiting, *first[cut:]]))
    provider.script = models.script(lambda document: [("say", "late")])
    asked = {"model": "m", "max_tokens": 9, "stream": True, "tools": Messages.tools}
    asked["messages"] = [{"role": "user", "content": "early"}]
    with http.stream("POST", f"{offering.v1}/messages", json=asked) as answer:
        heard.extend(answer.iter_lines())
    events = [json.loads(line[5:]) for line in heard if line.startswith("data:")]
    assert [e["index"] for e in events if e["type"] == "content_block_start"] == [0, 1]
    assert [e["type"] for e in events].count("message_start") == 1
    assert events[-2]["usage"]["output_tokens"] == 40
    assert events[-1] == {"type": "message_stop"}


PLAIN: dict[str, Any] = {"model": "m", "max_tokens": 9, "tools": Messages.tools}
OWN_TOOL = [{"name": "mcp__headroom__headroom_retrieve", "input_schema": {"type": "object"}}]
ANSWERED = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]


@pytest.mark.parametrize(
    "more",
    [
        {"tools": []},
        {"tools": OWN_TOOL},
        {"tool_choice": {"type": "any"}},
        {"tool_choice": {"type": "tool", "name": "Bash"}},
        {"messages": ANSWERED},
    ],
)
def test_who_is_not_offered_the_tool(offering: Proxy, provider: Provider, http: httpx.Client, more: Any) -> None:
    asked = (
        PLAIN
        | {
            "messages": [
                {"role": "user", "content": f"not {sorted(more)} {len(more['tools']) if 'tools' in more else ''}"}
            ]
        }
        | more
    )
    body = json.dumps(asked).encode()
    http.post(f"{offering.v1}/messages", content=body)
    assert provider.last.body == body


def test_marks_of_the_client_stay_and_the_tool_comes_last(
    offering: Proxy, provider: Provider, http: httpx.Client
) -> None:
    marked = [{**Messages.tools[0], "cache_control": {"type": "ephemeral"}}]
    asked = PLAIN | {"tools": marked, "messages": [{"role": "user", "content": "marked"}]}
    http.post(f"{offering.v1}/messages", json=asked)
    assert provider.last.json["tools"][0] == marked[0]
    assert provider.last.json["tools"][1]["name"] == NAME
    assert len(provider.last.json["tools"]) == 2
    forced = asked | {"messages": [*asked["messages"], *ANSWERED[1:]], "tool_choice": {"type": "any"}}
    http.post(f"{offering.v1}/messages", json=forced)
    assert len(provider.last.json["tools"]) == 2, "once offered, always offered"


def test_by_default_nothing_is_offered_on_loopback(proxy: Proxy, provider: Provider, http: httpx.Client) -> None:
    body = json.dumps(PLAIN | {"system": "x " * 60_000, "messages": [{"role": "user", "content": "big"}]}).encode()
    http.post(f"{proxy.v1}/messages", content=body)
    assert provider.last.body == body
