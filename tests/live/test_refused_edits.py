"""A provider that takes what clients send and minds what we make of it is asked twice two times, and not at every turn."""

from __future__ import annotations

import gzip
import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxy import refused_edits
from tests.live import answers, proxies, wire
from tests.live.answers import FOREVER
from tests.live.provider import Provider, Received
from tests.live.proxies import Proxy
from tests.proxy.accounting import sessions

PATHS = {"anthropic": "/v1/messages", "openai": "/v1/chat/completions"}
TURNS = 6
REFUSED_AT = 2
"""The turn from which on the provider minds."""


class Particular:
    """Minds a mark of ours in a body, for a reason of its own, once the conversation has so many results."""

    def __init__(self, bodies: list[bytes]) -> None:
        self.sent = set(bodies)

    def __call__(self, received: Received) -> answers.Answer:
        if received.body in self.sent or received.body.count(b"[headroom") < REFUSED_AT:
            is_chat = received.path.endswith("completions")
            return answers.json_answer(answers.completion() if is_chat else answers.message())
        return answers.json_answer(answers.anthropic_error("invalid_request_error", "we do not like this"), 400)


def ask(proxy: Proxy, dialect: str, body: bytes) -> str:
    answer = proxies.post(f"{proxy.url}{PATHS[dialect]}", content=body)
    assert answer.status_code == 200
    return str(answer.headers.get("x-headroom-reason", ""))


@pytest.mark.parametrize("dialect", PATHS)
def test_a_refused_conversation_is_left_alone_from_then_on(
    start_proxy: Callable[..., Proxy], provider: Provider, dialect: str
) -> None:
    bodies = list(sessions.requests(dialect, TURNS, lines=200))
    provider.script = Particular(bodies)
    proxy = start_proxy()
    reasons = []
    for turn, body in enumerate(bodies):
        if turn == TURNS - 1:  # it is known after a restart, too
            proxy.stop()
            proxy.start()
        reasons.append(ask(proxy, dialect, body))
    assert reasons == ["no_tool_results", "", *["edit_refused"] * 4]
    assert len(provider.requests) == TURNS + 2, "it was sent twice two times"
    assert [one.body for one in provider.requests[-3:]] == bodies[-3:]
    rows = proxies.eventually(proxy.rows, lambda rows: len(rows) == TURNS + 2)
    assert [row["http_status"] for row in rows] == [200, 200, 400, 200, 400, 200, 200, 200]
    assert [row["reason"] for row in rows[-2:]] == ["edit_refused"] * 2
    assert [row["saved_nano_usd"] for row in rows[-2:]] == [0, 0]


def test_one_refusal_does_not_leave_a_conversation_alone(proxy: Proxy, provider: Provider) -> None:
    bodies = list(sessions.requests("anthropic", 12, lines=240))
    refusal = answers.json_answer(answers.anthropic_error("invalid_request_error", "a whim"), 400)
    reasons = []
    for turn, body in enumerate(bodies):
        if turn in (2, 5, 9):
            provider.say(refusal)
        reasons.append(ask(proxy, "anthropic", body))
    assert [turn for turn, reason in enumerate(reasons) if reason == "edit_refused"] == [2, 5, 9]
    assert set(reasons[3:5]) == {""}
    assert len(provider.requests) == len(bodies) + 3


class Keeping:
    """Keeps conversations, minds any mark of ours, and names each of its answers."""

    def __init__(self, sent: set[bytes], lines: answers.Lines = ()) -> None:
        self.sent, self.answered, self.lines = sent, 0, lines

    def __call__(self, received: Received) -> answers.Answer:
        if received.body not in self.sent and b"[headroom" in received.body:
            return answers.json_answer(answers.openai_error("we do not like this"), 400)
        self.answered += 1
        name = b"resp_%d" % self.answered
        if received.json.get("stream"):
            return answers.chunked([event.replace(b"resp_1", name) for event in answers.response_events()])
        body = json.dumps(answers.response()).encode().replace(b"resp_1", name)
        if not self.lines:
            return answers.whole(body)
        return answers.whole(gzip.compress(body), lines=self.lines)


def kept_turn(turn: int, way: str) -> bytes:
    """A request of a conversation that the provider keeps: all that it brings is what is new."""
    document: dict[str, Any] = {"model": "gpt-4o", "stream": way == "streamed"}
    if way == "conversation":
        document["conversation"] = {"id": "conv_refused"}
    elif turn:
        document["previous_response_id"] = f"resp_{turn}"
    text = sessions.log(turn, 240)
    output = {"type": "function_call_output", "call_id": f"c{turn}", "output": text}
    document["input"] = [output] if turn else [{"role": "user", "content": f"Read the logs, {way}."}]
    return json.dumps(document).encode()


@pytest.mark.parametrize("way", ["whole", "streamed", "compressed", "conversation"])
def test_what_the_provider_keeps_is_left_alone_once_it_refused_an_edit(
    start_proxy: Callable[..., Proxy], provider: Provider, way: str
) -> None:
    bodies = [kept_turn(turn, way) for turn in range(TURNS)]
    provider.script = Keeping(set(bodies), [("content-encoding", "gzip")] if way == "compressed" else ())
    proxy = start_proxy()
    reasons = []
    for turn, body in enumerate(bodies):
        if turn == TURNS - 1:
            proxy.stop()
            proxy.start()
        answer = proxies.post(f"{proxy.url}/v1/responses", content=body)
        assert answer.status_code == 200
        assert f"resp_{turn + 1}" in answer.text
        reasons.append(answer.headers.get("x-headroom-reason", ""))
    assert len(provider.requests) == TURNS + 2, "it was sent twice two times"
    assert reasons[3:] == ["edit_refused"] * (TURNS - 3)
    assert [one.body for one in provider.requests[-3:]] == bodies[-3:]


def test_a_client_that_leaves_while_an_answer_is_looked_at_leaves_no_call_without_its_price(
    proxy: Proxy, provider: Provider
) -> None:
    for patience_s in (0.1, 1, 10):
        refused, looked_at = _left_while_looked_at(proxy, provider, patience_s)
        assert (refused["status"], refused["http_status"]) == ("complete", 400)
        assert looked_at["input_fresh_tokens"] > 0 and looked_at["cost_nano_usd"] > 0
        if looked_at["status"] == "partial":
            break  # or else the client left before the proxy had read where the answer begins
    assert (looked_at["status"], looked_at["http_status"]) == ("partial", 200)
    assert looked_at["error"] == "the client hung up"


def _left_while_looked_at(proxy: Proxy, provider: Provider, patience_s: float) -> list[dict[str, Any]]:
    """The rows of a request whose client leaves so long after its second answer, which tells no name, began."""
    provider.reset()
    nameless = answers.chunked([answers.event({"type": "response.in_progress"}), FOREVER])
    provider.say(answers.json_answer(answers.openai_error("we do not like this"), 400), nameless)
    session = uuid.uuid4().hex
    lines = [(b"x-headroom-session-id", session.encode())]
    with wire.connected(proxy.url) as connection:
        connection.send(wire.request(target=b"/v1/responses", body=kept_turn(1, "streamed"), lines=lines))
        provider.wait_until(lambda: len(provider.requests) == 2)
        time.sleep(patience_s)
        connection.close()
    provider.wait_until(lambda: provider.last.is_left)
    return proxies.eventually(lambda: proxy.rows("session = ?", session), lambda rows: len(rows) == 2)


def test_what_the_provider_minds_itself_is_held_against_nobody(proxy: Proxy, provider: Provider) -> None:
    bodies = list(sessions.requests("anthropic", 4, lines=210))
    refusal = answers.json_answer(answers.anthropic_error("invalid_request_error", "your credit is low"), 400)
    provider.say(answers.json_answer(answers.message()), refusal, refusal)
    ask(proxy, "anthropic", bodies[0])
    assert proxies.post(f"{proxy.url}/v1/messages", content=bodies[1]).status_code == 400
    assert ask(proxy, "anthropic", bodies[2]) in ("", "history")
    assert ask(proxy, "anthropic", bodies[3]) == ""
    assert len(provider.requests) == 5


def test_conversations_that_open_with_the_same_words_begin_anew(proxy: Proxy, provider: Provider) -> None:
    asked = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "Is an edit refused here?"}]}
    body = json.dumps(asked).encode()
    provider.say(answers.json_answer(answers.openai_error("what is include_usage?"), 400))
    for is_taken in (False, True):
        ask(proxy, "openai", body)
        assert (provider.last.body != body) is is_taken
    asked["messages"] += [{"role": "assistant", "content": "No."}, {"role": "user", "content": "Sure?"}]  # type: ignore[operator]
    assert ask(proxy, "openai", json.dumps(asked).encode()) == "no_tool_results"
    assert [b"include_usage" in one.body for one in provider.requests] == [True, False, True, True]


def test_another_conversation_that_begins_alike_is_not_concerned(proxy: Proxy, provider: Provider) -> None:
    bodies = list(sessions.requests("anthropic", 4, lines=220))
    provider.script = Particular(bodies)
    assert [ask(proxy, "anthropic", body) for body in bodies][-1] == "edit_refused"
    provider.script = Particular([])
    (other,) = [body.replace(b"task 0-", b"job 0-") for body in bodies[1:2]]
    assert ask(proxy, "anthropic", other) == ""


@pytest.mark.postgres
def test_all_workers_know_of_a_refusal(provider: Provider, tmp_path: Path, migrated_postgres_url: str) -> None:
    env: dict[str, Any] = {"HEADROOM_DATABASE_URL": migrated_postgres_url}
    bodies = list(sessions.requests("anthropic", TURNS, lines=230))
    provider.script = Particular(bodies)
    with (
        proxies.running(tmp_path / "one", provider.url, env=env, is_first_start=True) as one,
        proxies.running(tmp_path / "other", provider.url, env=env, is_first_start=True) as other,
    ):
        for turn, body in enumerate(bodies):
            ask((one, other)[turn % 2], "anthropic", body)
            if turn >= REFUSED_AT:
                time.sleep(refused_edits.INTERVAL_S + 0.5)
        assert len(provider.requests) == TURNS + 2
