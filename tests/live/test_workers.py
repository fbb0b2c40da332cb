"""One conversation at two proxies that share PostgreSQL and Redis: what one has sent, the other sends, whatever happens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import orjson
import pytest

from proxy import database
from proxy.replay.prompts import Prompts
from tests import conftest as services
from tests.live import forwarder, proxies
from tests.live.forwarder import Forwarder
from tests.live.provider import Provider
from tests.live.proxies import Proxy
from tests.proxy import sessions
from tests.proxy.test_changed_histories import common, requests
from tests.savings.databases import migrated_postgres

pytestmark = [pytest.mark.postgres, pytest.mark.redis]

PATHS = {"anthropic": "/v1/messages", "openai": "/v1/chat/completions"}
PROMPTS = Prompts()
NOTICED_S = 3.0
"""So long after a database went away every worker knows."""


@dataclass
class Site:
    """Two proxies of one workspace, and the cables to what else they share."""

    proxies: list[Proxy]
    database: Forwarder
    redis: Forwarder


@pytest.fixture(scope="module")
def site(_provider: Provider, tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any) -> Iterator[Site]:
    with ExitStack() as stack:
        with django_db_blocker.unblock():
            template = migrated_postgres()
        database_url = stack.enter_context(services.fresh_postgres(template))
        cables = []
        env = {"TESTS_DATABASE_URL": database_url}
        for name, url in (
            ("HEADROOM_DATABASE_URL", database_url),
            ("HEADROOM_REDIS_URL", stack.enter_context(services.fresh_redis())),
        ):
            parts = urlsplit(url)
            port = parts.port or (6379 if "REDIS" in name else 5432)
            cable = stack.enter_context(forwarder.running(parts.hostname or "127.0.0.1", port))
            user = f"{parts.username}@" if parts.username else ""
            env[name] = urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{cable.port}"))
            cables.append(cable)
        workspace = tmp_path_factory.mktemp("workers") / "workspace"
        two = [Proxy(workspace, _provider.url, env=env) for _ in range(2)]
        for one in two:
            stack.callback(one.stop)
            one.start(expect_ready=False)
        for one in two:
            one.wait_ready()
        yield Site(two, *cables)
    for one in two:
        assert not [line for line in one.output.splitlines() if any(mark in line for mark in proxies.UNCAUGHT)], (
            one.output
        )


def ask(proxy: Proxy, dialect: str, document: dict[str, Any]) -> httpx.Response:
    answer = proxies.post(f"{proxy.url}{PATHS[dialect]}", content=orjson.dumps(document))
    assert answer.status_code == 200, answer.text
    return answer


def test_a_client_that_goes_back_gets_what_went_out_last(site: Site, provider: Provider) -> None:
    """An epoch begins at one worker, and then the client takes back what came before."""
    changes = [(6, "reverse", 57, True), (9, "repeat", 80, True)]
    earlier: list[tuple[Any, Any]] = []
    epoch_at = -1
    for turn, document in enumerate(requests("openai", changes)):
        answer = ask(site.proxies[turn % 2], "openai", document)
        theirs, ours = (PROMPTS.blocks(one, "openai") for one in (document, provider.last.json))
        if "epoch:" in answer.headers.get("x-headroom-transforms", ""):
            epoch_at = turn
        elif earlier:
            most, nearest = max((common(one, theirs), n) for n, (one, _) in enumerate(earlier))
            held = {nearest, turn - 1} if epoch_at > nearest else {nearest}
            assert any(common(earlier[n][1], ours) >= common(earlier[n][0], theirs) for n in held), turn
        earlier.append((theirs, ours))
    assert epoch_at > 0


@pytest.mark.parametrize("dialect", ["anthropic", "openai"])
def test_what_comes_to_all_workers_at_once_goes_out_alike(site: Site, provider: Provider, dialect: str) -> None:
    steps = [(tool, {**given, "why": dialect}, text) for tool, given, text in sessions.long_session(16)]
    copies = [0, 1, 1, 0]
    before: list[bytes] = []
    with ThreadPoolExecutor(len(copies)) as clients:
        for turn, body in enumerate(sessions.bodies(steps, dialect)):
            document = orjson.loads(body)
            asked = [clients.submit(ask, site.proxies[n], dialect, document) for n in copies]
            epochs = ["epoch:" in one.result().headers.get("x-headroom-transforms", "") for one in asked]
            sent, *others = (one.body for one in provider.requests[-len(copies) :])
            assert others == [sent] * len(others), turn
            blocks = [block.digest for block in PROMPTS.blocks(orjson.loads(sent), dialect)]  # type: ignore[arg-type]
            assert any(epochs) or blocks[: len(before)] == before, turn
            before = blocks


@pytest.mark.parametrize(("dialect", "gone"), [("openai", "database"), ("anthropic", "redis")])
def test_what_others_decided_goes_out_as_it_did_while_the_database_is_away(
    site: Site, provider: Provider, dialect: str, gone: str
) -> None:
    cable: Forwarder = getattr(site, gone)
    steps = [(tool, {**given, "why": f"{dialect} {gone}"}, text) for tool, given, text in sessions.long_session(16)]
    before: list[bytes] = []
    for turn, body in enumerate(sessions.bodies(steps, dialect)):
        if turn == 8:
            cable.cut()
        if turn == 9 and gone == "database":
            time.sleep(NOTICED_S)
        if turn == 12:
            cable.mend()
            time.sleep(database.RETRY_AFTER_S if gone == "database" else 0)
        answer = ask(site.proxies[turn % 2], dialect, orjson.loads(body))
        is_epoch = "epoch:" in answer.headers.get("x-headroom-transforms", "")
        sent = [block.digest for block in PROMPTS.blocks(provider.last.json, dialect)]  # type: ignore[arg-type]
        assert is_epoch or sent[: len(before)] == before, turn
        assert not (is_epoch and gone == "database" and 8 <= turn < 12)
        before = sent
