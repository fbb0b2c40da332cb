from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Callable
from typing import Any

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from proxy import exchange
from proxy.exchange import BadEncoding, BodyReader, BodyTooLarge, ClientGone

MIB = 1024 * 1024


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


def reader(*messages: dict[str, Any]) -> BodyReader:
    queue = [{"type": "http.request", **one} for one in messages]

    async def receive() -> dict[str, Any]:
        if queue:
            return queue.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    return BodyReader(receive)


@given(data=st.binary(max_size=5000), codec=st.sampled_from(list(PACKERS)))
def test_what_was_packed_is_unpacked(data: bytes, codec: str) -> None:
    assert exchange.unpack(PACKERS[codec](data), codec, MIB) == data


@given(data=st.binary(min_size=1, max_size=3000), codec=st.sampled_from(list(PACKERS)), size=st.integers(1, 500))
def test_what_was_packed_is_unpacked_piece_by_piece(data: bytes, codec: str, size: int) -> None:
    packed, decode = PACKERS[codec](data), exchange.decoder_for(codec)
    assert decode is not None
    assert b"".join(decode(packed[start : start + size]) for start in range(0, len(packed), size)) == data


def test_raw_deflate_is_told_apart() -> None:
    assert exchange.unpack(raw_deflate(b"hello" * 50), "deflate", MIB) == b"hello" * 50
    decode = exchange.decoder_for("deflate")
    assert decode is not None
    assert decode(raw_deflate(b"hello" * 50)) == b"hello" * 50


def test_codings_are_undone_in_reverse_order() -> None:
    assert exchange.unpack(brotli.compress(gzip.compress(b"x")), "gzip, br", MIB) == b"x"
    assert exchange.unpack(b"x", "identity", MIB) == b"x"


@pytest.mark.parametrize("codec", PACKERS)
def test_a_bomb_is_noticed(codec: str) -> None:
    with pytest.raises(BodyTooLarge):
        exchange.unpack(PACKERS[codec](bytes(20 * MIB)), codec, 10 * MIB)


@pytest.mark.parametrize(
    ("codec", "body"),
    [
        ("gzip", b"x"),
        ("gzip", gzip.compress(b"hello", mtime=0)[:-9]),
        ("br", b"\xff\xff"),
        ("zstd", b"x"),
        ("odd", b"x"),
    ],
)
def test_what_is_not_what_it_says_is_refused(codec: str, body: bytes) -> None:
    with pytest.raises(BadEncoding):
        exchange.unpack(body, codec, MIB)


def test_an_unknown_coding_has_no_decoder() -> None:
    assert exchange.decoder_for("odd") is None
    assert exchange.decoder_for("gzip, br") is None


async def test_a_body_is_read_whole() -> None:
    assert (
        await reader({"body": b"a", "more_body": True}, {"body": b"b", "more_body": True}, {"body": b"c"}).read(10, "")
        == b"abc"
    )


async def test_a_body_that_was_skipped_is_empty_and_waits_for_nobody() -> None:
    body = reader({"body": b""})
    await body.skip()
    assert await asyncio.wait_for(body.read(10, "0"), 1) == b""


async def test_a_body_over_the_limit_is_refused_before_it_is_read_if_it_says_so() -> None:
    with pytest.raises(BodyTooLarge):
        await reader().read(10, "11")
    with pytest.raises(BodyTooLarge):
        await reader({"body": b"x" * 6, "more_body": True}, {"body": b"x" * 6, "more_body": True}).read(10, "")


async def test_a_client_that_goes_is_noticed() -> None:
    with pytest.raises(ClientGone):
        await reader({"body": b"a", "more_body": True}, {"type": "http.disconnect"}).read(10, "")


async def test_the_end_of_the_body_is_announced_once() -> None:
    ends: list[int] = []
    body = reader({"body": b"a", "more_body": True}, {"body": b""})
    body.on_finished(lambda: ends.append(1))
    assert [piece async for piece in body] == [b"a", b""]
    assert ends == [1]


@pytest.mark.parametrize(
    ("raw", "path"), [(b"/a%2Fb", "/a/b"), (b"/%F0%9F%99%82", "/🙂"), (b"/%zz", "/%zz"), (b"/\xe9", "/é")]
)
def test_paths_are_decoded_and_targets_are_not(raw: bytes, path: str) -> None:
    made = exchange.from_scope({"method": "GET", "path": "", "raw_path": raw, "query_string": b"q=%20", "headers": []})
    assert (made.path, made.target) == (path, raw + b"?q=%20")
