"""Small decisions of the road: who is asking, from where, what is passed on, what is tried again."""

from __future__ import annotations

import time
import uuid
from types import SimpleNamespace
from typing import Any

import pytest

from proxy import attribution, errors, hosts, ids, upstream
from proxy.upstream import Answer
from proxy.values import Call
from tests.proxy.requests import make_exchange


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8787",
        "LocalHost.",
        "app.localhost:1",
        "127.0.0.1",
        "10.1.2.3:80",
        "[::1]:8787",
        "[::1]",
        "ours.example:443",
    ],
)
def test_names_of_ours_may_talk_to_us(host: str) -> None:
    hosts.check(make_exchange(host=host), frozenset({"ours.example"}))


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "[::1].evil",
        "localhost:80@evil",
        "ours.example.evil",
        "2130706433",
        "127.1",
        "0x7f.1",
    ],
)
def test_other_names_may_not(host: str) -> None:
    with pytest.raises(hosts.ForbiddenHost):
        hosts.check(make_exchange(host=host), frozenset({"ours.example"}))


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "http://localhost:1",
        "file://",
        "https://localhost.evil:8787",
        "chrome-extension://x",
    ],
)
def test_pages_of_others_may_not(origin: str) -> None:
    with pytest.raises(hosts.ForbiddenHost):
        hosts.check(make_exchange(host="localhost:8787", origin=origin), frozenset())


def test_pages_of_ours_may() -> None:
    hosts.check(
        make_exchange(host="localhost:8787", origin="http://localhost:8787", sec_fetch_site="same-origin"), frozenset()
    )
    hosts.check(make_exchange(host="localhost:8787", origin="https://ours.example"), frozenset({"ours.example"}))
    with pytest.raises(hosts.ForbiddenHost):
        hosts.check(make_exchange(host="localhost:8787", sec_fetch_site="cross-site"), frozenset())


@pytest.mark.parametrize(
    ("user_agent", "agent"),
    [
        ("claude-cli/2.1 (x)", "claude-code"),
        ("codex_cli_rs/0.1", "codex"),
        ("Anthropic/Python 1", "anthropic-sdk"),
        ("AsyncOpenAI/Python 3", "openai-sdk"),
        ("curl/8", "curl"),
        ("Some Tool/1", "some"),
        ("", ""),
    ],
)
def test_agents_are_told_by_their_names(user_agent: str, agent: str) -> None:
    assert attribution.attribute(make_exchange(user_agent=user_agent), Call(b""), "").agent == agent


def test_our_headers_go_before_hints_and_paths() -> None:
    call = Call(b"", session_hint="hinted", user_hint="bob_session_x")
    said = attribution.attribute(
        make_exchange(x_headroom_session_id="s", x_headroom_project="p", x_headroom_user_id="u"), call, "path"
    )
    assert (said.session, said.project, said.user) == ("s", "p", "u")
    hinted = attribution.attribute(make_exchange(), call, "path")
    assert (hinted.session, hinted.project, hinted.user) == ("hinted", "path", "bob")
    assert attribution.attribute(make_exchange(), Call(b"", user_hint="bob_session_x"), "").session == "x"


@pytest.mark.parametrize(
    ("hint", "user", "session"),
    [
        ("user_ab_account_cd_session_ef-01", "user_ab_account_cd", "ef-01"),
        ('{"device_id":"d1","account_uuid":"a1","session_id":"s1"}', "a1", "s1"),
        ('{"device_id":"d1","account_uuid":"","session_id":"s1"}', "d1", "s1"),
        ('{"session_id":7}', "", ""),
        ("{broken", "{broken", ""),
        ("bob", "bob", ""),
    ],
)
def test_one_user_has_one_label_in_all_sessions(hint: str, user: str, session: str) -> None:
    said = attribution.attribute(make_exchange(), Call(b"", user_hint=hint), "")
    assert (said.user, said.session) == (user, session)


def test_labels_are_printable_and_short() -> None:
    assert attribution.clean("a\x00b\u202ec\ud800") == "a b c "
    assert len(attribution.clean("x" * 1000)) == attribution.MAX_LABEL_CHARS


def test_hop_by_hop_lines_are_dropped_in_any_spelling() -> None:
    lines = [
        (b"Connection", b"close, X-Own"),
        (b"X-Own", b"1"),
        (b"TE", b"trailers"),
        (b"Transfer-Encoding", b"chunked"),
        (b"X-Kept", b"1"),
        (b"x-kept", b"2"),
    ]
    assert upstream.end_to_end(lines) == [(b"x-kept", b"1"), (b"x-kept", b"2")]


def answer(status: int, **lines: str) -> Answer:
    response: Any = SimpleNamespace()
    return Answer(status, [(key.replace("_", "-").encode(), value.encode()) for key, value in lines.items()], response)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 529])
def test_busy_answers_are_tried_again_after_as_long_as_they_say(status: int) -> None:
    assert upstream.retry_wait_s(answer(status, retry_after="2"), 0) == 2
    assert upstream.retry_wait_s(answer(status, retry_after="9", retry_after_ms="150"), 0) == 0.15
    assert 0 < (upstream.retry_wait_s(answer(status), 0) or 0) < 2


@pytest.mark.parametrize(
    "lines",
    [
        {"x_should_retry": "false"},
        {"retry_after": "3600"},
        {"retry_after": "-1"},
        {"retry_after": "Wed, 21 Oct 2026 07:28:00 GMT"},
        {"retry_after": "nan"},
    ],
)
def test_what_asks_for_no_retry_or_too_long_a_wait_is_relayed(lines: dict[str, str]) -> None:
    assert upstream.retry_wait_s(answer(529, **lines), 0) is None


@pytest.mark.parametrize("status", [200, 400, 401, 404, 408, 409, 422])
def test_everything_else_is_relayed(status: int) -> None:
    assert upstream.retry_wait_s(answer(status), 0) is None


def test_backing_off_grows_and_ends() -> None:
    assert upstream.backoff_s(0) < 1 < upstream.backoff_s(3) <= upstream.backoff_s(30) * 2 <= 20.5


def test_ids_are_of_version_7_and_sort_by_time() -> None:
    made = []
    for _ in range(3):
        made.append(ids.uuid7())
        time.sleep(0.002)
    assert made == sorted(made)
    assert {uuid.UUID(one).version for one in made} == {7}
    assert {uuid.UUID(one).variant for one in made} == {uuid.RFC_4122}


def test_every_error_of_ours_is_worded_for_both_dialects() -> None:
    for status, code in errors.HTTP.values():
        assert b'"type": "error"' in errors.body("anthropic", status, code, "words")
        assert b'"code": "%s"' % code.encode() in errors.body("openai", status, code, "words")
