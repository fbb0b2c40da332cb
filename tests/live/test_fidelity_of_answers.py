"""What the client hears through the proxy is what it would have heard without it, piece by piece."""

from __future__ import annotations

import gzip
import string
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import brotli
import httpx
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.live import answers, proxies, wire
from tests.live.answers import CLOSE, RESET, Answer, Until
from tests.live.provider import Provider
from tests.live.proxies import Proxy

MANY = settings(examples(15), suppress_health_check=[HealthCheck.function_scoped_fixture])
ROUTES = [
    "/v1/messages",
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/v1/messages/count_tokens",
    "/v1/whatever",
]
CODECS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}
OUR_NAMES = (
    b"content-length",
    b"content-encoding",
    b"content-type",
    b"transfer-encoding",
    b"connection",
    b"keep-alive",
    b"te",
    b"trailer",
    b"upgrade",
)

STREAM = b'{"stream":true,"stream_options":{"include_usage":true}}'

names = st.text(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~", min_size=1, max_size=20).filter(
    lambda name: name.lower().encode() not in OUR_NAMES and not name.lower().startswith(("x-headroom-", "proxy-"))
)
values = st.text([chr(c) for c in range(32, 127)] + ["\t"], max_size=40).map(str.strip)
header_lines = st.lists(st.tuples(names, values), max_size=8)


def both(
    proxy: Proxy, provider: Provider, request: bytes, answer: Answer, *, has_body: bool = True
) -> tuple[wire.Heard, wire.Heard]:
    """The same answer to the same request, heard directly and through the proxy."""
    provider.say(answer, answer)
    return wire.ask(provider.url, request, has_body=has_body), wire.ask(proxy.url, request, has_body=has_body)


def assert_same(direct: wire.Heard, through: wire.Heard) -> None:
    assert (through.status, through.lines()) == (direct.status, direct.lines())
    assert (through.body, through.is_whole) == (direct.body, direct.is_whole)


@MANY
@given(
    lines=header_lines,
    body=st.binary(max_size=300),
    status=st.sampled_from([200, 201, 202, 299, 400, 404, 418, 451]),
    route=st.sampled_from(ROUTES),
    is_chunked=st.booleans(),
)
def test_any_answer_is_relayed_as_it_is(
    proxy: Proxy,
    provider: Provider,
    lines: list[tuple[str, str]],
    body: bytes,
    status: int,
    route: str,
    is_chunked: bool,
) -> None:
    answer = (
        answers.chunked([body] if body else [], status, lines, "text/odd")
        if is_chunked
        else answers.whole(body, status, lines, "text/odd")
    )
    assert_same(*both(proxy, provider, wire.request(target=route.encode(), body=STREAM), answer))


@MANY
@given(
    pieces=st.lists(st.binary(min_size=1, max_size=60), max_size=12),
    route=st.sampled_from([r for r in ROUTES if "chat" not in r]),
)
def test_any_bytes_may_call_themselves_a_stream_of_events(
    proxy: Proxy, provider: Provider, pieces: list[bytes], route: str
) -> None:
    assert_same(
        *both(proxy, provider, wire.request(target=route.encode(), body=b'{"stream":true}'), answers.chunked(pieces))
    )


def test_lines_that_come_twice_come_twice(proxy: Proxy, provider: Provider) -> None:
    lines = [("Set-Cookie", "a=1; Path=/"), ("X-Twice", "1"), ("Set-Cookie", "b=2"), ("x-twice", "2"), ("Vary", "a, b")]
    direct, through = both(proxy, provider, wire.request(), answers.json_answer({}, lines=lines))
    assert_same(direct, through)
    assert [value for key, value in through.lines() if key == b"set-cookie"] == [b"a=1; Path=/", b"b=2"]


def test_cookies_are_kept_for_nobody(proxy: Proxy, provider: Provider) -> None:
    provider.say(answers.json_answer({}, lines=[("Set-Cookie", "tenant=one; Path=/; Max-Age=9999")]))
    wire.ask(proxy.url, wire.request())
    wire.ask(proxy.url, wire.request(lines=[(b"cookie", b"mine=1")]))
    wire.ask(proxy.url, wire.request())
    assert [request.header("cookie") for request in provider.requests] == [None, "mine=1", None]


def test_hop_by_hop_lines_stay_on_their_hop(proxy: Proxy, provider: Provider) -> None:
    lines = [
        ("Connection", "keep-alive, X-Private"),
        ("X-Private", "1"),
        ("Keep-Alive", "timeout=5"),
        ("X-Public", "2"),
    ]
    provider.say(answers.json_answer({}, lines=lines))
    heard = wire.ask(proxy.url, wire.request())
    assert heard.header(b"x-public") == b"2"
    assert heard.header(b"x-private") is heard.header(b"keep-alive") is None


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("is_streaming", [False, True])
@pytest.mark.parametrize("is_lying", [False, True])
def test_compressed_answers_stay_compressed(
    proxy: Proxy, provider: Provider, codec: str, is_streaming: bool, is_lying: bool
) -> None:
    plain = b"".join(answers.message_events()) if is_streaming else b'{"usage":{"input_tokens":7,"output_tokens":3}}'
    packed = plain if is_lying else CODECS[codec](plain)
    lines = [("Content-Encoding", codec)]
    answer = (
        answers.chunked(answers.recut([packed], 11), lines=lines)
        if is_streaming
        else answers.whole(packed, lines=lines)
    )
    direct, through = both(proxy, provider, wire.request(body=b'{"stream":true}'), answer)
    assert_same(direct, through)
    row = proxy.row_of(through.header(b"x-headroom-request-id").decode())
    assert row["basis"] == ("measured" if not is_lying else "estimated")


def lockstep(events: list[bytes], seen: list[bytes]) -> Answer:
    """Each event leaves only after the client has seen all of those before it: whoever holds one back is stuck."""
    sent = [0]

    def wait_for(total: int) -> Until:
        return Until(lambda: sum(map(len, seen)) >= total)

    pieces: list[Any] = []
    for one in events:
        pieces += [wait_for(sent[0]), one]
        sent[0] += len(one)
    return answers.chunked(pieces)


@pytest.mark.parametrize(
    ("route", "events"),
    [
        ("/v1/messages", answers.message_events([str(n) for n in range(20)])),
        ("/v1/messages", answers.recut(answers.message_events(["Grüße 🙂"]), 5)),
        ("/v1/responses", answers.recut(answers.response_events(["Grüße 🙂"]), 11)),
        ("/v1/chat/completions", answers.chat_events([str(n) for n in range(20)], has_usage=False)),
        ("/v1/new", answers.recut(answers.message_events(["ä"])[3:5], 1)),
    ],
)
def test_no_piece_of_a_stream_is_held_back(proxy: Proxy, provider: Provider, route: str, events: list[bytes]) -> None:
    seen: list[bytes] = []
    provider.say(lockstep(events, seen))
    with wire.connected(proxy.url) as connection:
        connection.send(wire.request(target=route.encode(), body=b'{"model":"m","stream":true}'))
        heard = connection.hear_head()
        for piece in connection.pieces(heard):
            seen.append(piece)
    assert seen == events
    assert heard.is_whole


def test_header_lines_come_before_the_first_byte_of_the_body(proxy: Proxy, provider: Provider) -> None:
    has_head: list[bool] = []
    provider.say(answers.chunked([Until(lambda: bool(has_head)), *answers.message_events()]))
    with wire.connected(proxy.url) as connection:
        connection.send(wire.request(body=b'{"stream":true}'))
        assert connection.hear_head().status == 200
        has_head.append(True)


def test_the_usage_chunk_that_nobody_asked_for_is_taken_out_whatever_the_cuts(proxy: Proxy, provider: Provider) -> None:
    events = answers.chat_events(["Grüße", ' data: {"choices":[],"usage":{}}', "\n\n"])
    wanted = b"".join(one for one in events if b'"choices": []' not in one)
    for size in (1, 2, 3, 7, 50, 10_000):
        provider.say(answers.chunked(answers.recut(events, size)))
        heard = wire.ask(proxy.url, wire.request(target=b"/v1/chat/completions", body=b'{"model":"m","stream":true}'))
        assert heard.body == wanted
        assert heard.is_whole
        assert proxy.row_of(heard.header(b"x-headroom-request-id").decode())["basis"] == "measured"


def test_a_filtered_stream_that_breaks_off_in_an_event_gives_what_came_of_it(proxy: Proxy, provider: Provider) -> None:
    events = [*answers.chat_events()[:2], b'data: {"id": "chatcmpl-1", "obj']
    provider.say(answers.chunked(events, end=[CLOSE]))
    heard = wire.ask(proxy.url, wire.request(target=b"/v1/chat/completions", body=b'{"model":"m","stream":true}'))
    assert heard.body == b"".join(events)
    assert not heard.is_whole


def test_a_filtered_stream_that_cannot_be_decoded_breaks_off(proxy: Proxy, provider: Provider) -> None:
    provider.say(answers.chunked(answers.chat_events(), lines=[("Content-Encoding", "gzip")]))
    heard = wire.ask(proxy.url, wire.request(target=b"/v1/chat/completions", body=b'{"model":"m","stream":true}'))
    assert not heard.is_whole


def test_a_filtered_stream_is_decoded(proxy: Proxy, provider: Provider) -> None:
    events = answers.chat_events()
    provider.say(
        answers.chunked(answers.recut([gzip.compress(b"".join(events))], 20), lines=[("Content-Encoding", "gzip")])
    )
    heard = wire.ask(proxy.url, wire.request(target=b"/v1/chat/completions", body=b'{"model":"m","stream":true}'))
    assert heard.header(b"content-encoding") is None
    assert heard.body == b"".join(one for one in events if b'"choices": []' not in one)


@pytest.mark.parametrize("end", [CLOSE, RESET])
@pytest.mark.parametrize("is_streaming", [True, False])
@pytest.mark.parametrize("route", ["/v1/messages", "/v1/chat/completions", "/v1/responses"])
def test_an_answer_that_breaks_off_breaks_off(
    proxy: Proxy, provider: Provider, end: Any, is_streaming: bool, route: str
) -> None:
    events = {
        "messages": answers.message_events,
        "completions": answers.chat_events,
        "responses": answers.response_events,
    }[route.rpartition("/")[2]]()[:3]
    answer = (
        answers.chunked(events, end=[end])
        if is_streaming
        else [answers.head(200, [("Content-Length", "100")]), b"x" * 60, end]
    )
    direct, through = both(
        proxy, provider, wire.request(target=route.encode(), body=b'{"model":"m","stream":true}'), answer
    )
    assert not through.is_whole
    if end is CLOSE:
        assert_same(direct, through)
    row = proxy.row_of(through.header(b"x-headroom-request-id").decode())
    assert (row["status"], row["http_status"]) == ("partial", 200)


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_a_body_have_none(proxy: Proxy, provider: Provider, status: int) -> None:
    answer = [answers.head(status, [("ETag", '"1"')])]
    assert_same(*both(proxy, provider, wire.request("GET", b"/v1/models", body=None), answer, has_body=False))


def test_a_304_that_says_how_long_its_body_would_have_been_ends_no_connection(proxy: Proxy, provider: Provider) -> None:
    provider.say([answers.head(304, [("Content-Length", "1234"), ("ETag", "1")])])
    with wire.connected(proxy.url) as connection:
        for status in (304, 200):
            connection.send(wire.request("GET", b"/v1/models", body=None))
            assert connection.hear(has_body=status == 200).status == status


def test_head_hears_what_get_would_have_said(proxy: Proxy, provider: Provider) -> None:
    for target in (b"/", b"/v1/models"):
        answer = [answers.head(200, [("Content-Length", "1234"), ("Content-Type", "application/json")])]
        assert_same(*both(proxy, provider, wire.request("HEAD", target, body=None), answer, has_body=False))


def test_redirects_are_the_clients_to_follow(proxy: Proxy, provider: Provider) -> None:
    answer = [answers.head(307, [("Location", f"{provider.url}/elsewhere"), ("Content-Length", "0")])]
    assert_same(*both(proxy, provider, wire.request(), answer))
    assert len(provider.requests) == 2


def test_a_connection_serves_one_request_after_another(proxy: Proxy, provider: Provider) -> None:
    with httpx.Client(base_url=proxy.url, **proxies.UNENCRYPTED) as client:
        for _ in range(5):
            assert client.post("/v1/messages", content=b"{}").json()["content"][0]["text"] == "Hello"
    assert len({request.connection for request in provider.requests}) == 1


def test_a_long_answer_takes_no_long_memory(proxy: Proxy, provider: Provider) -> None:
    piece = b"x" * 65536
    provider.say(answers.chunked([piece] * 1600, content_type="application/octet-stream"))
    before = _settled_bytes(proxy.pid)
    heard = wire.ask(proxy.url, wire.request("GET", b"/v1/files/f/content", body=None))
    assert len(heard.body) == 1600 * len(piece)
    assert _resident_bytes(proxy.pid) - before < 40 * 1024 * 1024


def _settled_bytes(pid: int) -> int:
    """What a process takes once it has read what it reads after it said that it is ready, such as its vocabulary."""
    before, now = 0, _resident_bytes(pid)
    while now - before > 1024 * 1024:
        time.sleep(1)
        before, now = now, _resident_bytes(pid)
    return now


def _resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
