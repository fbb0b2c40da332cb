"""Settings for the engine, end to end: a proxy with flags of its own and a grammar that is not installed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from tests.live import proxies
from tests.live.provider import Provider
from tests.live.proxies import Proxy

LOG = "\n".join(f"2024-01-02 03:04:{at % 60:02} INFO served /items/{at * 7} in {at % 90} ms" for at in range(300))
RECORDS = json.dumps([{"id": at, "zone": "eu-central-1", "state": "running"} for at in range(200)], indent=2)

HIDING = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name == "tree_sitter_ruby":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Hidden())
"""


@pytest.fixture(scope="module")
def careful(_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy that keeps no originals, leaves one tool alone, and lacks a grammar."""
    folder = tmp_path_factory.mktemp("careful")
    (folder / "sitecustomize.py").write_text(HIDING)
    with ExitStack() as stack:
        yield stack.enter_context(
            proxies.running(
                folder / "workspace",
                _provider.url,
                flags=("--no-ccr", "--exclude-tools", "Grep,mcp__db__*"),
                env={"PYTHONPATH": str(folder), "HEADROOM_TOOL_LEVELS": "Bash=deep"},
            )
        )


def _messages(tool: str, text: str) -> list[dict[str, Any]]:
    return [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": tool, "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": text}]},
    ]


def _sent(proxy: Proxy, provider: Provider, http: httpx.Client, tool: str, text: str) -> str:
    http.post(f"{proxy.url}/v1/messages", json={"model": "m", "max_tokens": 5, "messages": _messages(tool, text)})
    return str(provider.last.json["messages"][1]["content"][0]["content"])


def test_a_missing_grammar_is_told_at_start_and_by_health(careful: Proxy, http: httpx.Client) -> None:
    assert "code-aware: unavailable: ruby" in careful.output
    assert http.get(f"{careful.url}/health").json()["config"]["code_aware"] == "unavailable: ruby"


def _is_whole(text: str) -> bool:
    """Whether the log is there to its last line, however it is written."""
    return "left out" not in text and all(line.partition(" INFO ")[2] in text for line in LOG.splitlines())


def test_without_originals_nothing_is_left_out(careful: Proxy, provider: Provider, http: httpx.Client) -> None:
    assert _is_whole(_sent(careful, provider, http, "Bash", LOG))
    table = _sent(careful, provider, http, "Bash", RECORDS)
    assert len(table) < len(RECORDS) / 2 and "left out" not in table and "199" in table
    answer = http.post(
        f"{careful.url}/v1/compress",
        json={"model": "m", "messages": _messages("Bash", LOG), "token_budget": 100, "config": {"mode": "ccr"}},
    ).json()
    assert answer["ccr_hashes"] == [] and _is_whole(answer["messages"][-1]["content"][0]["content"])


def test_an_excluded_tool_is_left_alone(careful: Proxy, provider: Provider, http: httpx.Client) -> None:
    assert _sent(careful, provider, http, "mcp__db__query", RECORDS) == RECORDS
    assert _sent(careful, provider, http, "grep", RECORDS) == RECORDS
