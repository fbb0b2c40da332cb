"""What the ledger says was saved, beside what a provider charges that bills prompt caching."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import orjson
import pytest

from proxy.replay import billing
from proxy.replay.billing import Cache
from proxy.replay.prompts import Prompts
from savings.receipts import Usage
from tests.live import answers, proxies
from tests.live.provider import Provider, Received
from tests.live.proxies import Proxy
from tests.proxy.accounting import sessions

TOKEN_RATIO = 1.2
NANO_USD = (3_000, 300, 3_750)
"""A token of claude-sonnet-4-5: fresh, read, written for five minutes."""


class Caching:
    """Bills what it receives like Anthropic, with a tokenizer of its own."""

    def __init__(self) -> None:
        self.prompts = Prompts()
        self.cache: Cache = {}
        self.charged = 0

    def bill(self, body: bytes) -> Usage:
        blocks = self.prompts.blocks(orjson.loads(body), "anthropic")
        blocks = [replace(block, tokens=round(block.tokens * TOKEN_RATIO)) for block in blocks]
        billed = billing.bill_anthropic(blocks, self.cache, at_s=0.0)
        usage, self.cache = billed.usage, billed.cache
        counts = (usage.input_fresh, usage.cache_read, usage.cache_write_5m)
        self.charged += sum((count or 0) * price for count, price in zip(counts, NANO_USD, strict=True))
        return usage

    def answer(self, received: Received) -> answers.Answer:
        usage = self.bill(received.body)
        return answers.json_answer(
            answers.message(
                usage={
                    "input_tokens": usage.input_fresh,
                    "cache_read_input_tokens": usage.cache_read,
                    "cache_creation_input_tokens": usage.cache_write_5m,
                    "output_tokens": 10,
                }
            )
        )


def ask(proxy: Proxy, body: bytes, session: str) -> httpx.Response:
    answer = proxies.post(f"{proxy.v1}/messages", content=body, headers={"x-claude-code-session-id": session})
    assert answer.status_code == 200
    return answer


def played(proxy: Proxy, provider: Provider, session: str) -> tuple[list[dict[str, Any]], int]:
    """The rows of a session, and by how much its bill was lower than that of the bytes that the client sent."""
    direct, ours = Caching(), Caching()
    rows = []
    for body in sessions.requests("anthropic", 6, lines=200):
        direct.bill(body)
        provider.say(ours.answer)
        rows.append(proxy.row_of(ask(proxy, body, session)))
    return rows, direct.charged - ours.charged


def test_every_call_says_what_it_saved(proxy: Proxy, provider: Provider) -> None:
    rows, saved = played(proxy, provider, "savings")
    assert sum(row["saved_nano_usd"] for row in rows) == pytest.approx(saved, rel=0.03)
    assert saved > 50_000_000
    assert [row["cache_outcome"] for row in rows] == ["cold_start", *["hit"] * 5]
    assert [row["savings_basis"] for row in rows] == ["same-1", *["model-1"] * 5]
    assert len({row["conversation"] for row in rows} - {""}) == 1
    assert not any(row["is_observed"] for row in rows)


def test_a_request_that_cannot_be_put_together_says_so(proxy: Proxy, provider: Provider) -> None:
    body = list(sessions.requests("anthropic", 2, lines=200))[1]
    before, role, result = body.rpartition(b'"role"')
    odd = b'%b"too_deep_to_compare": %b,%b%b' % (before, b"[" * 980 + b"]" * 980, role, result)
    provider.say(Caching().answer)
    answer = ask(proxy, odd, "odd")
    assert answer.headers["x-headroom-reason"] == "unspliceable"
    assert provider.requests[-1].body == odd
    row = proxy.row_of(answer)
    assert (row["reason"], row["tokens_saved"], row["saved_nano_usd"]) == ("unspliceable", 0, 0)


def test_the_ledger_says_why_nothing_is_claimed(proxy: Proxy, provider: Provider) -> None:
    result = {"type": "function_call_output", "call_id": "c", "output": sessions.log(7, 60)}
    body = {"model": "gpt-4o", "previous_response_id": "resp_1", "input": [result]}
    row = proxy.row_of(proxies.post(f"{proxy.v1}/responses", json=body))
    assert len(provider.requests[-1].body) < len(json.dumps(body)) / 2
    assert (row["saved_nano_usd"], row["savings_basis"]) == (None, "unknown-kept")


def test_an_observer_touches_nothing_and_says_what_would_have_been(
    start_proxy: Callable[..., Proxy], provider: Provider
) -> None:
    proxy = start_proxy("--observe")
    direct = Caching()
    rows = []
    for body in sessions.requests("anthropic", 4, lines=200):
        provider.say(direct.answer)
        answer = ask(proxy, body, "observed")
        assert provider.requests[-1].body == body
        rows.append(proxy.row_of(answer))
    assert answer.headers["x-headroom-tokens-saved"] == "0"
    assert int(answer.headers["x-headroom-tokens-would-save"]) == rows[-1]["tokens_saved"] > 10_000
    assert answer.headers["x-headroom-reason"] == rows[-1]["reason"] == "observed"
    assert all(row["is_observed"] for row in rows)
    assert sum(row["saved_nano_usd"] for row in rows) > 0.5 * direct.charged
    with contextlib.closing(sqlite3.connect(proxy.workspace / "headroom.sqlite3")) as database:
        assert database.execute("SELECT count(*) FROM proxy_original").fetchone() == (0,)
