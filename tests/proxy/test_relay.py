from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from proxy import relay
from proxy.relay import Relay, Ticket
from proxy.values import Reading
from savings.journal import Journal
from savings.journal_lines import parse
from savings.receipts import Settlement, Usage
from tests.savings.receipts import make_admission


class Said:
    """An answer that a provider gave: these pieces, then an end or an error."""

    status = 200

    def __init__(self, *pieces: bytes, content_type: str = "application/json", error: Exception | None = None) -> None:
        self._pieces, self._error, self._content_type = pieces, error, content_type
        self.is_closed = False

    def header(self, name: bytes) -> str:
        return self._content_type if name == b"content-type" else ""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece
        if self._error is not None:
            raise self._error

    async def close(self) -> None:
        self.is_closed = True


class Meter:
    """Believes an answer complete after its last byte; breaks where it is told to."""

    def __init__(self, *, breaks: str = "") -> None:
        self.breaks = breaks
        self.seen = b""

    def feed(self, chunk: bytes) -> None:
        if self.breaks == "feed":
            raise ValueError("odd answer")
        self.seen += chunk

    def reading(self) -> Reading:
        if self.breaks == "reading":
            raise ValueError("odd answer")
        return Reading(Usage(input_fresh=1, output=2), "m", self.seen.endswith(b"end"))


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


def relayed(journal: Journal, said: Said, meter: Meter, **options: Any) -> Relay:
    call = make_admission()
    journal.admit(call)
    answer: Any = said
    return Relay(answer, Ticket(journal, call.call_id, 0.0), meter, **options)


def settlements(journal: Journal) -> list[Settlement]:
    lines = [line for file in journal.directory.glob("*.jsonl") for line in file.read_bytes().splitlines()]
    return [one for one in map(parse, lines) if isinstance(one, Settlement)]


async def test_an_answer_that_ended_is_complete(journal: Journal) -> None:
    said = Said(b"the ", b"end")
    assert [piece async for piece in relayed(journal, said, Meter())] == [b"the ", b"end"]
    (settlement,) = settlements(journal)
    assert (settlement.status, settlement.usage.output, settlement.model) == ("complete", 2, "m")
    assert said.is_closed


async def test_an_answer_without_its_closing_event_is_partial_unless_nobody_knows_one(journal: Journal) -> None:
    for has_unknown_end in (False, True):
        async for _ in relayed(
            journal, Said(b"data", content_type="text/event-stream"), Meter(), has_unknown_end=has_unknown_end
        ):
            pass
    assert [one.status for one in settlements(journal)] == ["partial", "complete"]


async def test_a_client_that_left_is_settled_once(journal: Journal) -> None:
    said = Said(b"a", b"b", content_type="text/event-stream")
    one = relayed(journal, said, Meter())
    await anext(one)
    await one.close()
    await one.close()
    assert [(s.status, s.error) for s in settlements(journal)] == [("partial", "the client hung up")]
    assert said.is_closed


async def test_a_client_that_left_after_the_closing_event_had_it_all(journal: Journal) -> None:
    one = relayed(journal, Said(b"the end", b"more", content_type="text/event-stream"), Meter())
    await anext(one)
    await one.close()
    assert [s.status for s in settlements(journal)] == ["complete"]


async def test_a_provider_that_breaks_off_is_passed_on_and_settled(journal: Journal) -> None:
    one = relayed(journal, Said(b"a", error=relay.upstream.UpstreamBroke("gone")), Meter())
    assert await anext(one) == b"a"
    with pytest.raises(relay.upstream.UpstreamBroke):
        await anext(one)
    await one.close()
    assert [(s.status, s.error) for s in settlements(journal)] == [("partial", "gone")]


@pytest.mark.parametrize("breaks", ["feed", "reading"])
@pytest.mark.parametrize("is_filtered", [True, False])
async def test_a_meter_that_fails_takes_nothing_from_the_client_and_the_call_is_settled(
    journal: Journal, breaks: str, is_filtered: bool
) -> None:
    class Nothing:
        def feed(self, chunk: bytes) -> bytes:
            return chunk

        def flush(self) -> bytes:
            return b""

    options: dict[str, Any] = {"chunk_filter": Nothing()} if is_filtered else {}
    one = relayed(journal, Said(b"the ", b"end"), Meter(breaks=breaks), **options)
    assert b"".join([piece async for piece in one]) == b"the end"
    assert len(settlements(journal)) == 1
