"""What the provider gets is what the client sent, byte for byte, but for the inside of strings that were shortened."""

from __future__ import annotations

import json
import string
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.live import odd_json, wire
from tests.live.odd_json import spellings, with_odd_neighbours
from tests.live.provider import Provider
from tests.live.proxies import Proxy

MANY = settings(examples(20), suppress_health_check=[HealthCheck.function_scoped_fixture])
ROUTES = [
    "/v1/messages",
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/v1/messages/count_tokens",
    "/v1/whatever",
]

LOG = "\n".join(
    f"2025-03-01T12:{n // 60:02}:{n % 60:02}Z INFO worker/{n % 4} request {n * 7919} served in {n % 90} ms — größe {n}"
    for n in range(400)
)
RECORDS = json.dumps(
    [
        {"id": n, "name": f"item {n}", "state": "ok", "url": f"https://example.org/ä/{n}", "tags": ["a", "b"]}
        for n in range(150)
    ],
    ensure_ascii=False,
)


def send(proxy: Proxy, provider: Provider, body: bytes, target: str = "/v1/messages") -> tuple[bytes, wire.Heard]:
    """What the provider got of a body, and what the client heard."""
    heard = wire.ask(
        proxy.url, wire.request(target=target.encode(), body=body, lines=[(b"content-type", b"application/json")])
    )
    assert heard.status == 200, heard
    return provider.last.body, heard


@MANY
@given(body=odd_json.values(odd_json.lenient_scalars), route=st.sampled_from(ROUTES))
def test_any_json_arrives_as_it_was_sent(proxy: Proxy, provider: Provider, body: bytes, route: str) -> None:
    assert send(proxy, provider, body, route)[0] == body


@MANY
@given(body=st.binary(max_size=200), route=st.sampled_from(ROUTES))
def test_any_bytes_arrive_as_they_were_sent(proxy: Proxy, provider: Provider, body: bytes, route: str) -> None:
    assert send(proxy, provider, body, route)[0] == body


def _anthropic(result: bytes) -> list[tuple[str, bytes]]:
    use = b'{"type":"tool_use","id":"t1","name":"Bash","input":{"command":"cat big \\u002d n"}}'
    messages = b'[{"role":"user","content":"go"},{"role":"assistant","content":[%s]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":%s}]}]'
    return [("model", b'"claude-x"'), ("max_tokens", b"1e3"), ("messages", messages % (use, result))]


def _anthropic_blocks(result: bytes) -> list[tuple[str, bytes]]:
    use = b'{"input":{"command":1.0},"type":"tool_use","name":"Bash","id":"t1"}'
    block = b'{"content":[{"text":%s,"type":"text"},{"type":"image","source":{}}],"tool_use_id":"t1","type":"tool_result","cache_control":{"type":"ephemeral"}}'
    return [
        ("messages", b'[{"role":"assistant","content":[%s]},{"content":[%s],"role":"user"}]' % (use, block % result))
    ]


def _chat(result: bytes) -> list[tuple[str, bytes]]:
    call = b'{"id":"c1","type":"function","function":{"name":"shell","arguments":"{\\"cmd\\": 1}"}}'
    messages = b'[{"role":"user","content":"go"},{"role":"assistant","tool_calls":[%s]},{"role":"tool","tool_call_id":"c1","content":%s}]'
    return [("model", b'"gpt-x"'), ("messages", messages % (call, result))]


def _responses(result: bytes) -> list[tuple[str, bytes]]:
    call = b'{"type":"function_call","call_id":"c1","name":"shell","arguments":"{}"}'
    output = b'{"call_id":"c1","output":%s,"type":"function_call_output"}' % result
    return [("store", b"false"), ("input", b'[{"role":"user","content":"go"},%s,%s]' % (call, output))]


SHAPES: dict[str, tuple[str, Callable[[bytes], list[tuple[str, bytes]]]]] = {
    "anthropic": ("/v1/messages", _anthropic),
    "anthropic blocks": ("/v1/messages", _anthropic_blocks),
    "chat": ("/v1/chat/completions", _chat),
    "responses": ("/v1/responses", _responses),
}


@pytest.mark.parametrize("shape", SHAPES)
@settings(examples(10), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_outside_the_shortened_string_not_a_byte_differs(
    proxy: Proxy, provider: Provider, shape: str, data: st.DataObject
) -> None:
    target, members = SHAPES[shape]
    text = data.draw(st.sampled_from([LOG, RECORDS]))
    spelling = data.draw(st.sampled_from(spellings(text)))
    marked = b'"\x00the result\x00"'
    body = data.draw(with_odd_neighbours(members(marked)))
    if data.draw(st.booleans()):
        # The same text once more, where nothing may be touched, before and after the result.
        body = b'{"system":%s,%s,"metadata":{"note":%s}}' % (spelling, body.strip()[1:-1], spelling)
    before, after = body.split(marked)
    got, heard = send(proxy, provider, before + spelling + after, target)
    assert got.startswith(before)
    assert got.endswith(after)
    shortened = json.loads(got[len(before) : len(got) - len(after)])
    assert isinstance(shortened, str)
    assert len(shortened) < len(text) * 0.9
    assert int(heard.header(b"x-headroom-tokens-saved") or 0) > 0


@pytest.mark.parametrize("shape", SHAPES)
def test_the_second_turn_sends_the_same_short_form_again(proxy: Proxy, provider: Provider, shape: str) -> None:
    target, members = SHAPES[shape]
    document = json.loads(_written(members(json.dumps(LOG).encode())))
    send(proxy, provider, json.dumps(document).encode(), target)
    first = provider.last.json
    turns = document["messages"] if "messages" in document else document["input"]
    turns += [{"role": "assistant", "content": "I see."}, {"role": "user", "content": "And now?"}]
    second_body, _ = send(proxy, provider, json.dumps(document).encode(), target)
    field = "messages" if "messages" in document else "input"
    assert json.loads(second_body)[field][: len(first[field])] == first[field]


def test_a_result_first_seen_in_the_middle_of_a_conversation_stays(proxy: Proxy, provider: Provider) -> None:
    document = json.loads(_written(_anthropic(json.dumps(LOG + "\nanother end").encode())))
    document["messages"] += [{"role": "assistant", "content": "I see."}, {"role": "user", "content": "And now?"}]
    body = json.dumps(document).encode()
    got, heard = send(proxy, provider, body)
    assert got == body
    assert heard.header(b"x-headroom-reason") == b"history"


@pytest.mark.parametrize("line", [(b"x-headroom-bypass", b"true"), (b"x-headroom-mode", b"passthrough")])
def test_a_bypassed_request_arrives_as_it_was_sent(proxy: Proxy, provider: Provider, line: tuple[bytes, bytes]) -> None:
    body = _written(_anthropic(json.dumps(LOG).encode()))
    heard = wire.ask(proxy.url, wire.request(body=body, lines=[line]))
    assert provider.last.body == body
    assert heard.header(b"x-headroom-reason") == b"bypass"


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-32"])
def test_what_cannot_be_replaced_alone_is_left_alone(proxy: Proxy, provider: Provider, codec: str) -> None:
    body = _written(_anthropic(json.dumps(LOG).encode())).decode().encode(codec)
    got, heard = send(proxy, provider, body)
    assert got == body
    assert heard.header(b"x-headroom-tokens-saved") == b"0"


def test_with_keys_that_come_twice_the_last_one_counts(proxy: Proxy, provider: Provider) -> None:
    result = json.dumps(LOG).encode()
    body = _written(
        [("messages", b"%s" % json.dumps([{"role": "user", "content": LOG}]).encode()), *_anthropic(result)]
    )
    got, _ = send(proxy, provider, body)
    before = body[: body.rindex(result)]
    assert got.startswith(before)
    assert len(got) < len(body)


@pytest.mark.parametrize("options", [b"{}", b'{"include_obfuscation":false}', b"{ }"])
@pytest.mark.parametrize("end", [b"}", b" \n }\r\n"])
def test_asking_for_usage_changes_nothing_else(proxy: Proxy, provider: Provider, options: bytes, end: bytes) -> None:
    for before, after in (
        (b'{"model":"m","stream":true , "n":1e0,"stream_options":', end),
        (b'{"stream_options" : ', b',"stream":true,"model":"m"' + end),
    ):
        got, _ = send(proxy, provider, before + options + after, "/v1/chat/completions")
        assert got.startswith(before + b'{"include_usage":true')
        assert got.endswith(options[1:] + after)
        assert json.loads(got)["stream_options"] == {**json.loads(options), "include_usage": True}
    got, _ = send(proxy, provider, b'{"stream":true,"n":1e0' + end, "/v1/chat/completions")
    assert got.startswith(b'{"stream":true,"n":1e0')
    assert json.loads(got) == {"stream": True, "n": 1, "stream_options": {"include_usage": True}}


@pytest.mark.parametrize(
    "options",
    [b"null", b'"odd"', b"[]", b'{"include_usage":false}', b'{"include_usage":true}', b'{"include_usage":null}'],
)
def test_stream_options_with_a_will_of_their_own_are_left_alone(
    proxy: Proxy, provider: Provider, options: bytes
) -> None:
    body = b'{"stream":true,"stream_options":%s}' % options
    assert send(proxy, provider, body, "/v1/chat/completions")[0] == body


SEGMENTS = [
    "%7E",
    "~",
    "%2f",
    "%2F",
    "",
    "a",
    "a%20b",
    "%C3%A9",
    "..",
    ".",
    "a;b=1",
    "+",
    "%25",
    "@",
    "a:b",
    "%E2%82",
    "$",
    "(",
    "%00",
    "%0a",
    "!",
    "*",
]
QUERIES = [
    "",
    "?a=b&&c",
    "?a=%7E%2f",
    "?q=a+b%20c",
    "??",
    "?a[]=1&a[]=2",
    "?=",
    "?a=b=c&",
    "?%C3%A9=%ff",
    "?a;b",
    "?next=http://x/y?z",
]


@MANY
@given(
    parts=st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=5),
    query=st.sampled_from(QUERIES),
    method=st.sampled_from(["GET", "POST", "DELETE", "PUT", "PATCH"]),
)
def test_any_target_arrives_as_it_was_sent(
    proxy: Proxy, provider: Provider, parts: list[str], query: str, method: str
) -> None:
    target = ("/v1/x/" + "/".join(parts) + query).encode()
    heard = wire.ask(proxy.url, wire.request(method, target))
    assert heard.status == 200
    assert (provider.last.method, provider.last.target) == (method, target)


@pytest.mark.parametrize(
    "target",
    [
        "//v1/messages",
        "/",
        "/v1/messages/",
        "/v1/messages?beta=true",
        "/v1/messages?a=%2F&&b",
        "/V1/messages",
        "/v1/./messages",
        "/v1%2fmessages",
        "/modelsque",
        "/p",
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET", "OPTIONS"])
def test_targets_like_ours_arrive_as_they_were_sent(proxy: Proxy, provider: Provider, target: str, method: str) -> None:
    assert wire.ask(proxy.url, wire.request(method, target.encode())).status == 200
    assert (provider.last.method, provider.last.target) == (method, target.encode())


names = st.text(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~", min_size=1, max_size=15).map(
    lambda name: "z" + name
)
header_values = st.text([chr(c) for c in range(33, 127)] + [" ", "é", "🙂"], max_size=30).map(str.strip)


@MANY
@given(
    lines=st.lists(st.tuples(names.map(str.encode), header_values.map(str.encode)), max_size=8),
    route=st.sampled_from(ROUTES),
)
def test_any_header_lines_arrive_as_they_were_sent_and_none_is_added(
    proxy: Proxy, provider: Provider, lines: list[tuple[bytes, bytes]], route: str
) -> None:
    assert wire.ask(proxy.url, wire.request(target=route.encode(), lines=lines)).status == 200
    assert provider.last.lines() == [(key.lower(), value) for key, value in lines]
    assert {key for key, _ in provider.last.header_lines} - {key.lower() for key, _ in lines} == {
        b"host",
        b"content-length",
    }


def test_lines_for_this_hop_and_for_us_stay_here(proxy: Proxy, provider: Provider) -> None:
    lines = [
        (b"connection", b"x-private, close"), (b"x-private", b"1"), (b"te", b"trailers"), (b"keep-alive", b"1"), (b"proxy-authorization", b"Basic x"),
        (b"upgrade", b"h2c"), (b"expect", b"100-continue"), (b"x-headroom-anything", b"1"), (b"x-headroom-user-id", b"u"), (b"x-public", b"2"), (b"x-public", b"3"),
    ]  # fmt: skip
    assert wire.ask(proxy.url, wire.request(lines=lines)).status in (100, 200)
    provider.wait_until(lambda: bool(provider.requests))
    assert provider.last.lines() == [(b"x-public", b"2"), (b"x-public", b"3")]


def test_a_get_carries_no_body_and_no_length(proxy: Proxy, provider: Provider) -> None:
    wire.ask(proxy.url, wire.request("GET", b"/v1/models", body=None))
    assert [key for key, _ in provider.last.header_lines] == [b"host"]


def test_an_upload_in_chunks_arrives_in_order(proxy: Proxy, provider: Provider) -> None:
    parts = [bytes([n]) * (1000 * n + 1) for n in range(20)]
    for target in (b"/v1/files", b"/v1/messages"):
        with wire.connected(proxy.url) as connection:
            connection.send(b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % target)
            for part in parts:
                connection.send(b"%x\r\n%s\r\n" % (len(part), part))
            connection.send(b"0\r\n\r\n")
            assert connection.hear().status == 200
        assert provider.last.body == b"".join(parts)


def _written(members: list[tuple[str, bytes]]) -> bytes:
    return b"{" + b",".join(b'"%s":%s' % (key.encode(), value) for key, value in members) + b"}"
