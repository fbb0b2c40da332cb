from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.providers.openai_chat import UsageChunkFilter

USAGE = b'data: {"id":"1","choices":[],"usage":{"prompt_tokens":1}}\n\n'
OTHERS = [
    b'data: {"id":"1","choices":[{"delta":{"content":"\\"choices\\":[],\\"usage\\":{}"}}],"usage":null}\n\n',
    b'data: {"usage":{"prompt_tokens":1},"choices":[{"delta":{}}]}\n\n',
    b'data: {"choices":[],"prompt_filter_results":[]}\n\n',
    b'data: {"choices":[],"usage":null}\n\n',
    b": ping\n\n",
    b"event: odd\ndata: {}\n\n",
    b"data: [DONE]\n\n",
    b'data: not json "usage"\n\n',
    b'data:{"choices":[{}]}\r\n\r\n',
    'data: {"choices":[{"delta":{"content":"🙂"}}]}\n\n'.encode(),
]


def passed(pieces: list[bytes]) -> bytes:
    one = UsageChunkFilter()
    return b"".join(map(one.feed, pieces)) + one.flush()


@given(events=st.lists(st.sampled_from([USAGE, *OTHERS]), max_size=8), cuts=st.lists(st.integers(0, 800), max_size=12))
def test_just_the_usage_chunks_go_whatever_the_cuts(events: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(events)
    ends = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    pieces = [stream[start:end] for start, end in zip(ends, ends[1:], strict=False)]
    assert passed(pieces) == b"".join(event for event in events if event is not USAGE)


@given(pieces=st.lists(st.binary(max_size=20), max_size=10))
def test_what_is_no_stream_of_events_passes(pieces: list[bytes]) -> None:
    if b'"usage"' not in b"".join(pieces):
        assert passed(pieces) == b"".join(pieces)


def test_an_event_passes_as_soon_as_it_cannot_be_the_one() -> None:
    one = UsageChunkFilter()
    start = b'data: {"id":"1","choices":[{"delta":{"content":"He'
    assert one.feed(start) == start
    assert one.feed(b"llo") == b"llo"


def test_a_usage_chunk_at_the_very_end_goes_too() -> None:
    assert passed([OTHERS[0], USAGE.rstrip()]) == OTHERS[0]
    assert passed([OTHERS[0], USAGE[:-1]]) == OTHERS[0]
