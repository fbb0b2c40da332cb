"""Whoever goes first, the other side hears of it at once, and the ledger says what it cost."""

from __future__ import annotations

import signal
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.live import answers, proxies, wire
from tests.live.answers import CLOSE, FOREVER, RESET
from tests.live.provider import Provider
from tests.live.proxies import Proxy

TEXT = "The quick brown fox jumps over the lazy dog. " * 20
STREAMS = {
    "/v1/messages": answers.message_events([TEXT, TEXT])[:4],
    "/v1/chat/completions": answers.chat_events([TEXT, TEXT])[:2],
    "/v1/responses": answers.response_events([TEXT, TEXT])[:4],
}
BODY = b'{"model":"m","stream":true,"stream_options":{"include_usage":true}}'


@pytest.fixture
def session() -> str:
    """The session of this test alone: rows of the test before may still be on their way."""
    return uuid.uuid4().hex


def ask_in(session: str, target: bytes = b"/v1/messages", body: bytes = BODY) -> bytes:
    """A request of that session."""
    return wire.request(target=target, body=body, lines=[(b"x-headroom-session-id", session.encode())])


def rows_in(proxy: Proxy, session: str, count: int = 1) -> list[dict[str, Any]]:
    """The rows of a session, once there are so many."""
    return proxies.eventually(lambda: proxy.rows("session = ?", session), lambda rows: len(rows) >= count)


@pytest.mark.parametrize("target", STREAMS)
@pytest.mark.parametrize("is_polite", [True, False])
def test_a_client_that_leaves_in_the_middle_of_a_stream_stops_the_provider(
    proxy: Proxy, provider: Provider, target: str, is_polite: bool
) -> None:
    provider.say(answers.chunked([*STREAMS[target], FOREVER]))
    with wire.connected(proxy.url) as connection:
        connection.send(wire.request(target=target.encode(), body=BODY))
        heard = connection.hear_head()
        connection.hear_until(heard, sum(map(len, STREAMS[target])))
        (connection.close if is_polite else connection.reset)()
    provider.wait_until(lambda: provider.last.is_left)
    row = proxy.row_of((heard.header(b"x-headroom-request-id") or b"").decode())
    assert (row["status"], row["http_status"], row["error"]) == ("partial", 200, "the client hung up")
    assert row["output_tokens"] in (200, 201)
    assert row["basis"] == ("partial" if target == "/v1/messages" else "estimated")
    assert row["input_fresh_tokens"] > 0


def test_a_client_that_leaves_before_the_answer_stops_the_provider(
    proxy: Proxy, provider: Provider, session: str
) -> None:
    provider.say([FOREVER])
    with wire.connected(proxy.url) as connection:
        connection.send(ask_in(session))
        provider.wait_until(lambda: bool(provider.requests))
    provider.wait_until(lambda: provider.last.is_left)
    (row,) = rows_in(proxy, session)
    assert (row["status"], row["http_status"], row["basis"]) == ("interrupted", None, "estimated")


def test_a_client_that_leaves_while_uploading_sends_nothing(proxy: Proxy, provider: Provider, session: str) -> None:
    with wire.connected(proxy.url) as connection:
        connection.send(ask_in(session, body=b"x" * 5000)[:-100])
    time.sleep(0.3)
    assert provider.requests == []
    assert proxy.rows("session = ?", session) == []


def test_a_client_that_leaves_while_uploading_a_file_ends_the_upload(
    proxy: Proxy, provider: Provider, session: str
) -> None:
    with wire.connected(proxy.url) as connection:
        connection.send(ask_in(session, b"/v1/files", b"x" * 500_000)[:-100])
        time.sleep(0.2)
    (row,) = rows_in(proxy, session)
    assert row["status"] == "interrupted"
    assert provider.requests == []


def test_a_client_that_leaves_after_the_closing_event_has_had_all(proxy: Proxy, provider: Provider) -> None:
    provider.say(answers.chunked([*answers.message_events(), FOREVER]))
    with wire.connected(proxy.url) as connection:
        connection.send(wire.request(body=BODY))
        heard = connection.hear_head()
        pieces = connection.pieces(heard)
        while b"message_stop" not in next(pieces):
            pass
    row = proxy.row_of((heard.header(b"x-headroom-request-id") or b"").decode())
    assert (row["status"], row["basis"]) == ("complete", "measured")


def test_a_client_that_leaves_while_the_proxy_waits_to_try_again_is_not_tried_for(
    proxy: Proxy, provider: Provider, session: str
) -> None:
    provider.say(answers.json_answer(answers.anthropic_error("overloaded_error", "wait"), 529, [("retry-after", "3")]))
    with wire.connected(proxy.url) as connection:
        connection.send(ask_in(session))
        provider.wait_until(lambda: bool(provider.requests))
        time.sleep(0.2)
    time.sleep(3.2)
    assert len(provider.requests) == 1
    assert [row["http_status"] for row in proxy.rows("session = ?", session)] == [529]


def test_many_clients_may_leave_at_once(proxy: Proxy, provider: Provider, session: str) -> None:
    provider.script = lambda _: answers.chunked([*answers.message_events()[:4], FOREVER])
    connections = [wire.Connection(proxy.url) for _ in range(40)]
    for connection in connections:
        connection.send(ask_in(session))
    for number, connection in enumerate(connections):
        if number % 2:
            connection.hear_head()
        connection.reset()
    provider.wait_until(lambda: all(one.is_left for one in provider.requests))
    reached = len(provider.requests)
    rows = proxies.eventually(lambda: proxy.rows("session = ?", session), lambda rows: len(rows) >= reached)
    assert len(rows) <= 40  # one that left while we were still connecting has a row and was never sent
    assert {row["status"] for row in rows} <= {"partial", "interrupted"}


@pytest.mark.parametrize("end", [CLOSE, RESET])
def test_a_provider_that_takes_the_request_and_leaves_is_never_asked_twice(
    proxy: Proxy, provider: Provider, end: Any, session: str
) -> None:
    provider.say([end])
    heard = wire.ask(proxy.url, ask_in(session))
    assert heard.status == 502
    assert b'"type": "api_error"' in heard.body
    assert len(provider.requests) == 1
    (row,) = rows_in(proxy, session)
    assert (row["status"], row["basis"]) == ("interrupted", "estimated")


def test_a_kept_connection_that_the_provider_closed_meanwhile_does_no_harm(proxy: Proxy, provider: Provider) -> None:
    provider.say([*answers.json_answer({}), CLOSE])
    assert wire.ask(proxy.url, wire.request()).status == 200
    time.sleep(0.1)
    assert wire.ask(proxy.url, wire.request()).status == 200


@pytest.fixture(scope="module")
def hasty(_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A proxy that waits for two seconds at most."""
    with proxies.running(
        tmp_path_factory.mktemp("hasty") / "workspace", _provider.url, flags=("--request-timeout-seconds", "2")
    ) as proxy:
        yield proxy


def test_a_provider_that_never_answers_is_given_up_on(hasty: Proxy, provider: Provider, session: str) -> None:
    for target, words in (
        (b"/v1/messages", b'"type": "error"'),
        (b"/v1/chat/completions", b'"code": "upstream_timeout"'),
    ):
        provider.say([FOREVER])
        heard = wire.ask(hasty.url, ask_in(session, target))
        assert heard.status == 504
        assert words in heard.body
    rows = proxies.eventually(lambda: hasty.rows("session = ?", session), lambda rows: len(rows) == 2)
    assert [(row["status"], row["basis"]) for row in rows] == [("interrupted", "estimated")] * 2
    assert len(provider.requests) == 2


def test_a_provider_that_falls_silent_is_given_up_on(hasty: Proxy, provider: Provider) -> None:
    provider.say(answers.chunked([*answers.message_events()[:4], FOREVER]))
    heard = wire.ask(hasty.url, wire.request(body=BODY))
    assert (heard.status, heard.is_whole) == (200, False)
    assert hasty.row_of((heard.header(b"x-headroom-request-id") or b"").decode())["status"] == "partial"
    provider.wait_until(lambda: provider.last.is_left)


def test_a_client_that_reads_nothing_is_given_up_on(hasty: Proxy, provider: Provider, session: str) -> None:
    provider.say(answers.chunked([b"x" * 65536] * 2000, content_type="application/octet-stream"))
    with wire.connected(hasty.url) as connection:
        connection.send(ask_in(session))
        (row,) = rows_in(hasty, session)
    assert row["status"] == "partial"
    assert provider.last.answered_bytes < 100 * 1024 * 1024


def test_nobody_there_is_a_502_and_costs_nothing(start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy("--retry-max-attempts", "2", upstream_url=f"http://127.0.0.1:{proxies.free_port()}")
    for target, words in (
        (b"/v1/messages", b'"type": "error"'),
        (b"/v1/responses", b'"code": "upstream_unreachable"'),
        (b"/v1/other", b'"code": "upstream_unreachable"'),
    ):
        heard = wire.ask(proxy.url, wire.request(target=target, body=BODY))
        assert heard.status == 502
        assert words in heard.body
    rows = proxies.eventually(proxy.rows, lambda rows: len(rows) == 5)  # what is streamed up is not sent again
    assert {(row["status"], row["cost_nano_usd"]) for row in rows} == {("void", 0)}


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_running_stream_is_finished_when_the_proxy_is_told_to_stop(
    start_proxy: Callable[..., Proxy], provider: Provider, how: signal.Signals
) -> None:
    proxy = start_proxy()
    assert proxy.process is not None
    events = answers.message_events([str(n) for n in range(20)])
    provider.say(answers.chunked(answers.spaced(events, 5 / len(events) if how is signal.SIGTERM else 1 / len(events))))
    with wire.connected(proxy.url) as connection:
        connection.send(wire.request(body=BODY))
        heard = connection.hear_head()
        threading.Timer(0.3, proxy.process.send_signal, [how]).start()
        body = b"".join(connection.pieces(heard))
    assert body == b"".join(events)
    assert heard.is_whole
    assert proxy.process.wait(proxies.WAIT_S) in (0, -how), proxy.output
    rows = proxy.rows()
    assert [(row["status"], row["basis"], row["error"]) for row in rows] == [("complete", "measured", "")]
    assert list((proxy.workspace / "journal").iterdir()) == []
