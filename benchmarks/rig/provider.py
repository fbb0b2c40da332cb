"""A provider that costs next to nothing: fixed answers over a bare HTTP parser, and a count of what it was asked.

`python -m benchmarks.rig.provider --port N`; `GET /count` says how many calls were answered, and with how many bytes.
"""

from __future__ import annotations

import argparse
import asyncio
import json

import httptools
import uvloop

EVENTS = 20


def _event(name: str, payload: dict[str, object]) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **payload})}\n\n".encode()


USAGE = {"input_tokens": 12, "cache_creation_input_tokens": 340, "cache_read_input_tokens": 20_100, "output_tokens": 1}
MESSAGE = {"id": "msg_benchmark", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5"}
ANSWER = json.dumps(
    {
        **MESSAGE,
        "content": [
            {"type": "text", "text": "The test fails because the fixture is created twice. I will look at it."}
        ],
        "stop_reason": "end_turn",
        "usage": USAGE | {"output_tokens": 17},
    }
).encode()
STREAM = [
    _event("message_start", {"message": {**MESSAGE, "content": [], "usage": USAGE}}),
    _event("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
    *[
        _event("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": f"word {number} "}})
        for number in range(EVENTS - 5)
    ],
    _event("content_block_stop", {"index": 0}),
    _event("message_delta", {"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 17}}),
    _event("message_stop", {}),
]
HEAD = b"HTTP/1.1 200 OK\r\nrequest-id: req_benchmark\r\n"
WHOLE = HEAD + b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(ANSWER) + ANSWER
STREAM_HEAD = HEAD + b"content-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
CHUNKS = [b"%x\r\n%s\r\n" % (len(event), event) for event in STREAM]
STREAM_END = b"0\r\n\r\n"

calls = {"calls": 0, "bytes": 0}


class Conversation(asyncio.Protocol):
    """One connection of a client."""

    def __init__(self, gap_s: float) -> None:
        self._gap_s = gap_s

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)
        self._clear()

    def _clear(self) -> None:
        self._url, self._bytes, self._is_stream = b"", 0, False

    def data_received(self, data: bytes) -> None:
        # Good enough here: the bodies of the benchmarks say `stream` near their beginning.
        self._is_stream = self._is_stream or b'"stream":true' in data
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._url = url

    def on_body(self, body: bytes) -> None:
        self._bytes += len(body)

    def on_message_complete(self) -> None:
        url, size, is_stream = self._url, self._bytes, self._is_stream
        self._clear()
        if url.startswith(b"/count"):
            body = json.dumps(calls).encode()
            self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
            return
        calls["calls"] += 1
        calls["bytes"] += size
        if is_stream:
            self._transport.write(STREAM_HEAD)
            self._next_event(0)
        else:
            self._transport.write(WHOLE)

    def _next_event(self, number: int) -> None:
        """One event per turn of the loop, or with a pause between them, so that they leave one by one."""
        if number == len(CHUNKS):
            self._transport.write(STREAM_END)
            return
        self._transport.write(CHUNKS[number])
        loop = asyncio.get_running_loop()
        if self._gap_s:
            loop.call_later(self._gap_s, self._next_event, number + 1)
        else:
            loop.call_soon(self._next_event, number + 1)


async def _serve(port: int, gap_s: float) -> None:
    server = await asyncio.get_running_loop().create_server(
        lambda: Conversation(gap_s), "127.0.0.1", port, backlog=2048
    )
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--event-gap-ms", type=float, default=0.0)
    arguments = parser.parse_args()
    uvloop.run(_serve(arguments.port, arguments.event_gap_ms / 1000))


if __name__ == "__main__":
    main()
