"""Lookups that come to nothing: what the model is told, what the client sees, and that the conversation goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.live import answers, models
from tests.live.agents import ALL, EACH, HASH, NAME, Client, Messages, hash_in, key_of, log, own_results, texts
from tests.live.models import Part
from tests.live.provider import Provider, Received
from tests.live.proxies import Proxy


def test_lookups_in_a_row_come_to_an_end_and_bad_hashes_are_explained(
    client_of: Callable[..., Client], provider: Provider
) -> None:
    client = client_of(Messages, is_streaming=True)
    asked: list[Any] = [
        {"hash": "0" * 24},
        {"query": "no hash"},
        {"hash": "f" * 24},
        {"hash": "a" * 24},
        {"hash": "b" * 24},
    ]

    def mind(document: dict[str, Any]) -> list[Part]:
        found = own_results(document)
        return (
            [("call", f"own{len(found)}", NAME, asked[len(found)])] if len(found) < len(asked) else [("say", "never")]
        )

    provider.script = models.script(mind)
    answer = client.ask("endless")
    assert answer.stop_reason == "end_turn"
    assert answer.content == []
    told = own_results(provider.last.json)
    assert "run the tool again" in told[0]
    assert "hash is missing" in told[1]
    assert "no more than 3 lookups" in told[3]
    assert [block["is_error"] for m in provider.last.json["messages"][2::2] for block in m["content"]] == [True] * 4
    assert len(provider.requests) == 5


@ALL
@EACH
def test_a_lookup_that_is_not_answered_any_more_stays_in_the_conversation(
    client_of: Callable[..., Client], provider: Provider, kind: type[Client], is_streaming: bool
) -> None:
    client = client_of(kind, is_streaming=is_streaming)

    def mind(document: dict[str, Any]) -> list[Part]:
        done = len(own_results(document))
        if done == 5:
            return [("say", "Gladly.")]
        return [("think", f"look {done}"), ("say", f"Look {done}. "), ("call", f"own{done}", NAME, {"hash": "0" * 24})]

    provider.script = models.script(mind)
    stubborn = client.ask(f"stubborn {client.path}{is_streaming}")
    assert texts(client, stubborn) == "Look 0. Look 1. Look 2. Look 3. Look 4. "
    seen = provider.last.json[key_of(client)]
    assert texts(client, client.ask("thanks")) == "Gladly."
    sent = provider.last.json[key_of(client)]
    assert sent[: len(seen)] == seen
    assert "own4" in json.dumps(sent)
    assert "no more than 3 lookups" in own_results(provider.last.json)[4]


ODD = [
    {"hash": "\ud800"},
    {"hash": "\0" * 24},
    {"hash": "0" * 24, "query": "\ud83d"},
    {"hash": "0" * 24, "start_line": 10**12, "end_line": -1},
    {"hash": "0" * 24, "start_line": 2**70 + 1},
]


@ALL
@EACH
def test_whatever_a_model_asks_for_is_answered_and_sent_back_as_it_was(
    client_of: Callable[..., Client], provider: Provider, kind: type[Client], is_streaming: bool
) -> None:
    client = client_of(kind, is_streaming=is_streaming)
    calls: list[Part] = [("call", f"own{n}", NAME, arguments) for n, arguments in enumerate(ODD)]
    provider.script = models.script(lambda document: [("say", "Done.")] if own_results(document) else calls)
    assert texts(client, client.ask(f"odd {client.path}{is_streaming}")) == "Done."
    assert all("run the tool again" in told for told in own_results(provider.last.json))
    seen = provider.last.json[key_of(client)]
    assert all(
        json.dumps(arguments)[1:-1] in json.dumps(seen).replace("\\\\", "\\").replace('\\"', '"') for arguments in ODD
    )
    client.ask("thanks")
    assert provider.last.json[key_of(client)][: len(seen)] == seen


@ALL
def test_a_round_that_cannot_be_spelled_ends_in_an_error(
    offering: Proxy, provider: Provider, http: httpx.Client, is_streaming: bool
) -> None:
    endless = models.script(lambda document: [("call", "own1", NAME, {"hash": "0" * 24, "start_line": 5e300})])
    provider.say(
        lambda received: [
            piece.replace(b"e+300", b"e+900") if isinstance(piece, bytes) else piece for piece in endless(received)
        ]
    )
    asked = {"model": "m", "max_tokens": 9, "stream": is_streaming, "tools": Messages.tools}
    asked["messages"] = [{"role": "user", "content": f"no end {is_streaming}"}]
    answer = http.post(f"{offering.v1}/messages", json=asked)
    assert answer.status_code == (200 if is_streaming else 500)
    assert "api_error" in answer.text
    assert NAME not in answer.text


@ALL
def test_a_round_that_fails_is_the_providers_error(
    offering: Proxy, provider: Provider, http: httpx.Client, is_streaming: bool
) -> None:
    refusal = answers.json_answer(answers.anthropic_error("invalid_request_error", "no"), 400)
    call = models.script(lambda document: [("say", "Well. "), ("call", "own1", NAME, {"hash": "0" * 24})])
    provider.say(call, refusal, refusal)
    asked = {"model": "m", "max_tokens": 9, "stream": is_streaming, "tools": Messages.tools}
    asked["messages"] = [{"role": "user", "content": f"fail {is_streaming}"}]
    answer = http.post(f"{offering.v1}/messages", json=asked)
    if is_streaming:
        assert answer.status_code == 200
        assert "Well" in answer.text or "We" in answer.text
        assert answer.text.endswith(
            'event: error\ndata: {"type":"error","error":{"type":"invalid_request_error","message":"no"}}\n\n'
        )
    else:
        assert (answer.status_code, answer.json()["error"]["message"]) == (400, "no")
    rows = offering.rows_of(answer.headers["x-headroom-request-id"], count=3)
    assert [(row["origin"], row["http_status"]) for row in rows] == [("client", 200), *[("retrieval", 400)] * 2]


@pytest.mark.parametrize("is_streaming", [True, False])
@EACH
def test_what_the_provider_does_not_take_back_is_gone_on_without(
    provider: Provider, client_of: Callable[..., Client], kind: type[Client], is_streaming: bool
) -> None:
    client = client_of(kind, is_streaming=is_streaming)
    label = f"too long {client.path}{is_streaming}"

    def mind(document: dict[str, Any]) -> list[Part]:
        if found := own_results(document):
            return [("say", "I go on." if "Go on without" in found[-1] else "never")]
        if HASH.search(json.dumps(document)):
            return [("say", "Let me look. "), ("call", "own1", NAME, {"hash": hash_in(document), "query": "run 417"})]
        return [("call", "c1", "Bash", {"command": "make"})]

    def narrow(received: Received) -> answers.Answer:
        if any("took" in found for found in own_results(received.json)):
            return answers.json_answer(answers.anthropic_error("invalid_request_error", "prompt is too long"), 400)
        return minded(received)

    minded, provider.script = models.script(mind), narrow
    client.ask(label)
    assert texts(client, client.give(c1=log(label))) == "Let me look. I go on."
    assert len(provider.requests) == 4
    seen = provider.last.json[key_of(client)]
    client.ask("thanks")
    assert provider.last.json[key_of(client)][: len(seen)] == seen
