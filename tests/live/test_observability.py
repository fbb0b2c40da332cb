"""What other tools get to see of a running proxy."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.live import answers, proxies
from tests.live.provider import Provider
from tests.live.proxies import Proxy, eventually

PROMPT = {"model": "claude-sonnet-4-5", "max_tokens": 5, "messages": [{"role": "user", "content": "my prompt"}]}


@pytest.fixture(scope="module")
def told(_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy that keeps a log with bodies."""
    folder = tmp_path_factory.mktemp("told")
    flags = ("--log-file", str(folder / "calls.jsonl"), "--log-messages")
    with proxies.running(folder / "workspace", _provider.url, flags=flags) as proxy:
        yield proxy


def ask(proxy: Proxy, provider: Provider, http: httpx.Client) -> dict[str, object]:
    provider.say(answers.json_answer(answers.message("the answer")))
    answer = http.post(f"{proxy.url}/v1/messages", json=PROMPT, headers={"x-api-key": "k"})
    assert answer.status_code == 200
    return proxy.row_of(answer)


def test_metrics_agree_with_the_ledger_to_the_nano_dollar(told, provider, http):
    ask(told, provider, http)
    rows = told.rows()

    def total(name: str) -> float:
        text = http.get(f"{told.url}/metrics").text
        return sum(s.value for f in text_string_to_metric_families(text) for s in f.samples if s.name == name)

    expected = sum(row["cost_nano_usd"] for row in rows)
    assert expected > 0
    eventually(lambda: total("headroom_cost_nano_usd_total"), lambda cost: cost == expected)
    assert total("headroom_calls_total") == len(rows)
    assert total("headroom_request_seconds_count") == len(rows)


def test_bodies_are_kept_where_somebody_asked_for_it(told, provider, http):
    row = ask(told, provider, http)
    path = told.workspace.parent / "calls.jsonl"

    def of_this_call() -> list[dict[str, object]]:
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        return [line for line in lines if str(line["call_id"]).replace("-", "") == row["id"]]

    line = eventually(of_this_call, bool)[0]
    assert json.loads(str(line["request_body"])) == PROMPT
    assert "the answer" in str(line["response_body"])
    assert line["sent_body"] == ""


def test_a_log_that_was_moved_away_is_begun_anew(told, provider, http):
    ask(told, provider, http)
    path = told.workspace.parent / "calls.jsonl"
    eventually(lambda: path.exists() and path.read_text(), bool)
    path.rename(path.with_suffix(".1"))
    told.process.send_signal(signal.SIGHUP)
    eventually(path.exists, bool)
    ask(told, provider, http)
    assert eventually(path.read_text, bool).count("\n") == 1


def test_without_asking_no_prompt_is_written_anywhere(proxy, provider, http):
    ask(proxy, provider, http)
    for path in proxy.workspace.rglob("*"):
        assert not path.is_file() or b"my prompt" not in path.read_bytes(), path
