"""A scripted provider and a real proxy in front of it, shared by the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.live import provider as providers
from tests.live import proxies
from tests.live.agents import Client
from tests.live.provider import Provider
from tests.live.proxies import Proxy
from tests.savings.databases import migrated_postgres_url

__all__ = ["migrated_postgres_url"]


@pytest.fixture(scope="session")
def _provider() -> Iterator[Provider]:
    with providers.running() as provider:
        yield provider


@pytest.fixture
def provider(_provider: Provider) -> Iterator[Provider]:
    """The provider behind every proxy of this folder; forgets after each test. Broken HTTP fails the test."""
    _provider.reset()
    yield _provider
    assert _provider.violations == []


@pytest.fixture(scope="session")
def _proxy(_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    workspace = tmp_path_factory.mktemp("proxy") / "workspace"
    with proxies.running(workspace, _provider.url, is_first_start=True) as proxy:
        yield proxy


@pytest.fixture
def proxy(_proxy: Proxy, provider: Provider) -> Proxy:
    """A proxy with default settings, on SQLite. It is the same one for all tests, and so is its ledger."""
    assert _proxy.process is not None
    assert _proxy.process.poll() is None, _proxy.output
    return _proxy


@pytest.fixture
def start_proxy(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Proxy]]:
    """Start a proxy with settings of one's own, behind the same provider unless told otherwise."""
    with ExitStack() as stack:

        def start(*flags: str, upstream_url: str = provider.url, **env: str) -> Proxy:
            workspace = tmp_path_factory.mktemp("proxy") / "workspace"
            return stack.enter_context(proxies.running(workspace, upstream_url, flags=flags, env=env))

        yield start


@pytest.fixture(scope="session")
def _offering(_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    workspace = tmp_path_factory.mktemp("proxy") / "workspace"
    with proxies.running(workspace, _provider.url, env={"HEADROOM_RETRIEVE_TOOL": "on"}) as proxy:
        yield proxy


@pytest.fixture
def offering(_offering: Proxy, provider: Provider) -> Proxy:
    """A proxy that offers the tool whatever the size of the prompt."""
    return _offering


@pytest.fixture
def client_of(offering: Proxy) -> Iterator[Callable[..., Client]]:
    """Start an agent."""
    with ExitStack() as stack:

        def start(kind: type[Client], *, is_streaming: bool) -> Client:
            client = kind(offering, is_streaming=is_streaming)
            stack.callback(client.close)
            return client

        yield start


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    """An HTTP client that adds as little as it can."""
    with httpx.Client(**proxies.UNENCRYPTED) as client:
        yield client
