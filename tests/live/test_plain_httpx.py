"""The transport that is one setting away keeps the same promises."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.live import answers, proxies, wire
from tests.live import test_fidelity_of_answers as of_answers
from tests.live import test_fidelity_of_requests as of_requests
from tests.live import test_hang_ups as hang_ups
from tests.live.answers import CLOSE, FOREVER
from tests.live.provider import Provider
from tests.live.proxies import Proxy


@pytest.fixture(scope="module")
def plain(_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    workspace = tmp_path_factory.mktemp("plain") / "workspace"
    with proxies.running(
        workspace, _provider.url, flags=("--request-timeout-seconds", "2"), env={"HEADROOM_HTTP_TRANSPORT": "httpx"}
    ) as proxy:
        yield proxy


def test_requests_arrive_as_they_were_sent(plain: Proxy, provider: Provider) -> None:
    of_requests.test_an_upload_in_chunks_arrives_in_order(plain, provider)
    provider.reset()
    of_requests.test_lines_for_this_hop_and_for_us_stay_here(plain, provider)
    of_requests.test_a_get_carries_no_body_and_no_length(plain, provider)
    target = b"/v1/x/%7E/%2f//a%20b?a=b&&c=%2F"
    wire.ask(plain.url, wire.request("DELETE", target, [(b"x-odd", "é".encode()), (b"x-odd", b"2")], body=None))
    assert (provider.last.target, provider.last.lines()) == (target, [(b"x-odd", "é".encode()), (b"x-odd", b"2")])
    wire.ask(plain.url, wire.request("POST", b"/v1/files", body=b"x" * 200_000))
    assert provider.last.header("content-length") == "200000"


def test_answers_come_as_they_were_said(plain: Proxy, provider: Provider) -> None:
    of_answers.test_lines_that_come_twice_come_twice(plain, provider)
    provider.reset()
    of_answers.test_cookies_are_kept_for_nobody(plain, provider)
    of_answers.test_no_piece_of_a_stream_is_held_back(plain, provider, "/v1/messages", answers.message_events())
    of_answers.test_an_answer_that_breaks_off_breaks_off(plain, provider, CLOSE, True, "/v1/messages")


def test_whoever_leaves_is_noticed(plain: Proxy, provider: Provider) -> None:
    hang_ups.test_a_client_that_leaves_in_the_middle_of_a_stream_stops_the_provider(
        plain, provider, "/v1/messages", True
    )
    provider.reset()
    hang_ups.test_a_provider_that_takes_the_request_and_leaves_is_never_asked_twice(plain, provider, CLOSE, "plain")
    provider.say([FOREVER])
    assert wire.ask(plain.url, wire.request()).status == 504
