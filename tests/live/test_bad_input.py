"""Whatever a client sends: the provider judges it, or a clear refusal of ours does; no traceback, no stuck worker."""

from __future__ import annotations

import functools
import gzip
import json
import zlib
from collections.abc import Callable
from pathlib import Path

import brotli
import pytest
import zstandard

from benchmarks.rig import processes
from tests.live import answers, proxies, wire
from tests.live.provider import Provider
from tests.live.proxies import Proxy

ROUTES = ["/v1/messages", "/v1/chat/completions", "/v1/responses", "/v1/embeddings"]
MIB = 1024 * 1024

LOG = "\\n".join(f"12:00:{n % 60:02} INFO bad input run {n} took {n % 7} ms" for n in range(300))
TURNS = '{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"Bash","input":%s}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"%s"}]}'


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


JUDGED_BY_THE_PROVIDER: dict[str, bytes] = {
    "nothing": b"",
    "white space": b" \r\n\t",
    "broken JSON": b'{"model": "m", "messages": [',
    "no JSON": b"hello",
    "a list": b"[1,2]",
    "a string": b'"x"',
    "null": b"null",
    "a number": b"1e400",
    "invalid UTF-8": b'{"model":"\xff\xfe","messages":[]}',
    "a NUL": b'{"model":"a\x00b"}',
    "an escaped NUL": b'{"model":"a\\u0000b","stream":true}',
    "a byte order mark": b'\xef\xbb\xbf{"model":"m"}',
    "a lone surrogate": b'{"model":"\\ud800","messages":[{"role":"user","content":"\\udfff"}],"user":"\\ud800","prompt_cache_key":"\\udc00"}',
    "65-bit integers": b'{"model":"m","max_tokens":36893488147419103232,"messages":[]}',
    "an integer of 5,000 digits": b'{"max_tokens":' + b"9" * 5000 + b"}",
    "NaN": b'{"model":"m","temperature":NaN,"top_p":-Infinity}',
    "the same key twice": b'{"model":"a","model":"b","stream":true,"stream":false}',
    "wrong types": b'{"model":7,"messages":{"role":[]},"input":{"a":1},"stream":"yes","metadata":[],"user":{},"tools":3,"prompt_cache_key":[]}',
    "wrong types inside": b'{"model":null,"messages":[null,7,"x",[],{"role":7,"content":7},{"role":"assistant","content":[null,7,{"type":"tool_use"}],"tool_calls":[null,{"function":7},7]},{"role":"tool","content":[{"type":"text","text":7},null]},{"role":"user","content":[{"type":"tool_result","content":[7,{"type":"text"}]},{"type":"tool_result","content":7}]}]}',
    "wrong types in items": b'{"input":[null,7,[],{"type":7},{"type":"function_call","arguments":{}},{"type":"function_call_output","output":[null,{"type":"input_text","text":7}]},{"type":"function_call_output","call_id":{},"output":7}]}',
    "tool calls that are no list": b'{"messages":[{"role":"assistant","tool_calls":7},{"role":"assistant","tool_calls":{"a":1}},{"role":"tool","content":"x"}]}',
    "content that is no list": b'{"messages":[{"role":"assistant","content":7}],"input":[{"type":"message","content":7}]}',
    "nesting of 100": b'{"messages":%s}' % nested(100).encode(),
    "nesting of 900": b'{"messages":%s}' % nested(900).encode(),
    "nesting of 100,000": b'{"messages":%s}' % nested(100_000).encode(),
    "nested arguments of 600": ('{"messages":[%s]}' % (TURNS % (nested(600), "short"))).encode(),
    "a million spaces": b'{"model":"m","messages":[{"role":"user","content":"' + b" " * 1_000_000 + b'"}]}',
    "unknown fields": b'{"model":"m","messages":[],"new":{"a":[1.0,1e2]},"stream_options":null}',
}  # fmt: skip


@pytest.mark.parametrize("target", ROUTES)
@pytest.mark.parametrize("kind", JUDGED_BY_THE_PROVIDER)
def test_odd_bodies_reach_the_provider_as_they_are(proxy: Proxy, provider: Provider, target: str, kind: str) -> None:
    body = JUDGED_BY_THE_PROVIDER[kind]
    provider.script = lambda _: answers.json_answer(answers.openai_error("scripted judgement"), 400)
    heard = wire.ask(proxy.url, wire.request(target=target.encode(), body=body))
    assert (heard.status, b"scripted judgement" in heard.body) == (400, True)
    assert provider.last.body == body


@pytest.mark.parametrize("depth", [200, 500, 900, 1000])
def test_deep_arguments_beside_a_result_that_is_shortened(proxy: Proxy, provider: Provider, depth: int) -> None:
    body = ('{"messages":[%s]}' % (TURNS % (nested(depth), LOG))).encode()
    heard = wire.ask(proxy.url, wire.request(body=body))
    assert heard.status == 200
    assert nested(depth).encode() in provider.last.body


FILLINGS = {
    "spaces": " " * 1_000_000,
    "tabs": "\\t" * 500_000,
    "one word": "a" * 1_000_000,
    "words": "a " * 500_000,
    "surrogates": "\\ud800" * 50_000,
    "braces": "{" * 200_000,
    "quotes": '\\"' * 200_000,
    "newlines": "\\n" * 500_000,
}


@pytest.mark.parametrize("filling", FILLINGS)
def test_a_megabyte_of_one_thing_as_a_tool_result_stops_nobody(proxy: Proxy, provider: Provider, filling: str) -> None:
    body = ('{"messages":[%s]}' % (TURNS % ("{}", FILLINGS[filling]))).encode()
    before = processes.cpu_s(proxy.pid)
    assert wire.ask(proxy.url, wire.request(body=body)).status == 200
    assert processes.cpu_s(proxy.pid) - before < 8


@pytest.mark.parametrize("target", ROUTES)
def test_more_than_the_limit_is_refused_in_the_routes_words(proxy: Proxy, provider: Provider, target: str) -> None:
    with wire.connected(proxy.url) as connection:
        connection.send(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (target.encode(), 101 * MIB))
        connection.send(b"x" * 1000)
        heard = connection.hear()
    assert heard.status == 413
    error = json.loads(heard.body)["error"]
    assert "101" in error["message"].replace(",", "")[:60] or str(101 * MIB) in error["message"].replace(",", "")
    assert error["type"] == ("request_too_large" if target == "/v1/messages" else "invalid_request_error")
    assert provider.requests == []


def test_101_megabytes_that_really_come_are_refused_and_forgotten(proxy: Proxy, provider: Provider) -> None:
    before = _resident_mib(proxy)
    with wire.connected(proxy.url) as connection:
        connection.send(b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        piece = b"%x\r\n%s\r\n" % (MIB, b"x" * MIB)
        try:
            for _ in range(101):
                connection.send(piece)
            connection.send(b"0\r\n\r\n")
        except OSError:
            pass  # it need not wait for the end
        assert connection.hear_head().status in (413, 0)
    assert provider.requests == []
    assert wire.ask(proxy.url, wire.request()).status == 200
    proxies.eventually(lambda: _resident_mib(proxy) - before, lambda grown: grown < 140)


def test_large_bodies_within_the_limit_pass(proxy: Proxy, provider: Provider) -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"' + b"x" * (20 * MIB) + b'"}]}'
    assert wire.ask(proxy.url, wire.request(body=body)).status == 200
    assert provider.last.body == body


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": functools.partial(gzip.compress, compresslevel=1),
    "x-gzip": functools.partial(gzip.compress, compresslevel=1),
    "deflate": functools.partial(zlib.compress, level=1),
    "br": functools.partial(brotli.compress, quality=4),
    "zstd": zstandard.ZstdCompressor().compress,
}
RAW_DEFLATE = zlib.compressobj(wbits=-15)


@pytest.mark.parametrize("codec", PACKERS)
def test_compressed_bodies_are_understood(proxy: Proxy, provider: Provider, codec: str) -> None:
    plain = ('{"model":"m","messages":[%s]}' % (TURNS % ("{}", LOG))).encode()
    for body, is_shortened in ((plain, True), (b'{"model":"m"}', False)):
        packed = PACKERS[codec](body)
        heard = wire.ask(proxy.url, wire.request(body=packed, lines=[(b"content-encoding", codec.encode())]))
        assert heard.status == 200
        if is_shortened:
            assert provider.last.header("content-encoding") is None
            assert len(provider.last.body) < len(plain)
            assert provider.last.json["model"] == "m"
        else:
            assert (provider.last.header("content-encoding"), provider.last.body) == (codec, packed)


def test_raw_deflate_and_stacked_codings_are_understood(proxy: Proxy, provider: Provider) -> None:
    plain = ('{"model":"m","messages":[%s]}' % (TURNS % ("{}", LOG))).encode()
    raw = RAW_DEFLATE.compress(plain) + RAW_DEFLATE.flush()
    for coding, body in (
        (b"deflate", raw),
        (b"gzip, br", brotli.compress(gzip.compress(plain))),
        (b"identity", plain),
        (b"GZIP", gzip.compress(plain)),
    ):
        assert wire.ask(proxy.url, wire.request(body=body, lines=[(b"content-encoding", coding)])).status == 200
        assert provider.last.json["model"] == "m"
        assert len(provider.last.body) < len(plain)


@pytest.mark.parametrize("codec", PACKERS)
def test_bombs_are_refused_before_they_go_off(proxy: Proxy, provider: Provider, codec: str) -> None:
    bomb = PACKERS[codec](b" " * (300 * MIB))
    before = _resident_mib(proxy)
    heard = wire.ask(proxy.url, wire.request(body=bomb, lines=[(b"content-encoding", codec.encode())]))
    assert heard.status == 413
    assert provider.requests == []
    assert _resident_mib(proxy) - before < 150


@pytest.mark.parametrize(
    ("codec", "body"),
    [
        ("gzip", b"no gzip"),
        ("br", b"\xff\xff\xff"),
        ("zstd", b"no zstd"),
        ("deflate", b"\xff\xff"),
        ("gzip", gzip.compress(b"{}" * 500, mtime=0)[:-20]),
        ("br", brotli.compress(b"{}" * 500)[:-3]),
        ("odd", b"{}"),
    ],
)
def test_bodies_that_are_not_what_they_say_are_refused_or_passed_on(
    proxy: Proxy, provider: Provider, codec: str, body: bytes
) -> None:
    heard = wire.ask(proxy.url, wire.request(body=body, lines=[(b"content-encoding", codec.encode())]))
    if heard.status == 200:
        assert (provider.last.body, provider.last.header("content-encoding")) == (body, codec)
    else:
        assert heard.status == 400
        assert json.loads(heard.body)["error"]["type"] == "invalid_request_error"
        assert provider.requests == []


HEARD_S = 5
"""Some of it is answered by nothing: the server waits for the rest of what it takes for a request."""

SMUGGLED = {
    "two lengths": b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
    "length and chunks": b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunks twice": b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "odd coding": b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "negative length": b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n{}",
    "signed length": b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: +2\r\n\r\n{}",
    "space before the colon": b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length : 2\r\n\r\n{}",
    "folded line": b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n X-B: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a bare newline": b"POST /v1/messages HTTP/1.1\r\nHost: x\nX-Evil: 1\r\nContent-Length: 2\r\n\r\n{}",
    "a NUL in a value": b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nX-A: a\x00b\r\nContent-Length: 2\r\n\r\n{}",
    "a newline in a value": b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nX-A: a\rX-Evil: 1\r\nContent-Length: 2\r\n\r\n{}",
    "two hosts": b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nHost: y\r\nContent-Length: 2\r\n\r\n{}",
    "no host": b"POST /v1/messages HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
    "an absolute target": b"POST http://evil.example/v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
    "a strange target": b"POST evil.example:80 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
    "CONNECT": b"CONNECT evil.example:80 HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "an unknown method": b"BREW /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
    "HTTP/1.0": b"POST /v1/messages HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "a huge head": b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nX-A: "
    + b"a" * 200_000
    + b"\r\nContent-Length: 2\r\n\r\n{}",
    "many lines": b"POST /v1/messages HTTP/1.1\r\nHost: x\r\n" + b"X-A: a\r\n" * 5000 + b"Content-Length: 2\r\n\r\n{}",
    "a connection line that names the length": b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nConnection: Content-Length, Host, X-Api-Key\r\nContent-Length: 2\r\n\r\n{}",
    "an upgrade": b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\n{}",
    "a chunk that lies": b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n",
    # The server takes a trailer for a header line; what matters is that it can neither frame nor address anything.
    "a trailer": b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nContent-Length: 9\r\nHost: evil\r\n\r\n",
    "a second request in the body": b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 45\r\n\r\nGET /v1/models HTTP/1.1\r\nHost: evil\r\n\r\n{}\r\n\r\n",
}


@pytest.mark.parametrize("kind", SMUGGLED)
def test_smuggling_gets_nothing_past_the_proxy(proxy: Proxy, provider: Provider, kind: str) -> None:
    with wire.connected(proxy.url) as connection:
        connection.socket.settimeout(HEARD_S)
        connection.send(SMUGGLED[kind])
        try:
            heard = connection.hear()
        except (TimeoutError, ConnectionError):
            heard = wire.Heard()
    assert b"Traceback" not in heard.body
    assert heard.status in (0, 200, 400, 404, 405, 408, 413, 414, 431, 501, 505)
    # The provider (which refuses ambiguous HTTP) got nothing, or exactly one proper request to itself.
    assert len(provider.requests) <= 1
    for request in provider.requests:
        assert request.header("host") == f"127.0.0.1:{provider.port}"
        assert request.header("x-evil") is None
        assert request.body in (b"{}", b"", SMUGGLED[kind][-45:])
    assert wire.ask(proxy.url, wire.request()).status == 200


def test_a_websocket_is_told_to_use_http(proxy: Proxy, provider: Provider) -> None:
    """Codex goes on by HTTP at once when it hears 426, and only after five tries when it hears anything else."""
    with wire.connected(proxy.url) as connection:
        connection.send(
            b"GET /v1/responses HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        heard = connection.hear()
    assert heard.status == 426 and heard.header(b"x-headroom-error") == b"no_websocket"
    assert json.loads(heard.body)["error"]["code"] == "no_websocket"
    assert not provider.requests


def test_uploads_that_never_end_and_readers_that_never_read_stop_nobody(proxy: Proxy, provider: Provider) -> None:
    provider.script = lambda received: (
        answers.chunked([b"x" * 65536] * 500, content_type="application/octet-stream")
        if b"slow" in received.target
        else answers.json_answer({})
    )
    stuck = [wire.Connection(proxy.url) for _ in range(40)]
    for number, connection in enumerate(stuck):
        if number % 4 == 0:
            connection.send(
                b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
            )
        elif number % 4 == 1:
            connection.send(b"POST /v1/files HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        elif number % 4 == 2:
            connection.send(wire.request(target=b"/v1/slow"))
        else:
            connection.send(b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nX-Half: ")
    for _ in range(20):  # none of the stuck ones ends before its client does
        assert wire.ask(proxy.url, wire.request()).status == 200
    for connection in stuck:
        connection.close()


def _resident_mib(proxy: Proxy) -> float:
    return int(Path(f"/proc/{proxy.pid}/statm").read_text().split()[1]) * 4096 / MIB
